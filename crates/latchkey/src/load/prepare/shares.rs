//! How things are spread over classes.

use std::fmt;
use std::str::FromStr;

/// How keys and seats are spread over classes, and classes over organizations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Skew {
    /// All alike, and in random order.
    Uniform,
    /// The first has most: the k-th has a part in proportion to 1/k^s; in random order. With s = 0 all are alike.
    Zipf(f64),
    /// All alike, and each is filled before the next one begins: always one hot class.
    OneAfterTheOther,
}

impl Skew {
    /// Whether tickets stay in the order of the classes.
    pub(super) fn is_in_order(self) -> bool {
        self == Self::OneAfterTheOther
    }

    /// `count` things over `places`, which is at least 1.
    pub(super) fn shares(self, count: usize, places: usize) -> Vec<usize> {
        let weights: Vec<f64> = (1..=places).map(|rank| self.weight(rank)).collect();
        let all: f64 = weights.iter().sum();
        // By rounding what all up to here have together, so that the sum is right.
        let mut sum = 0.0;
        let mut given = 0;
        weights
            .iter()
            .map(|weight| {
                sum += weight;
                let up_to_here = times(count, sum / all).min(count);
                let share = up_to_here - given;
                given = up_to_here;
                share
            })
            .collect()
    }

    /// Which of `places` each of `count` things belongs to.
    pub(super) fn places(self, count: usize, places: usize) -> Vec<usize> {
        match self {
            Self::Zipf(_) => {
                let shares = self.shares(count, places).into_iter().enumerate();
                shares
                    .flat_map(|(place, share)| std::iter::repeat_n(place, share))
                    .collect()
            }
            Self::Uniform | Self::OneAfterTheOther => {
                (0..count).map(|number| number % places).collect()
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
    fn weight(self, rank: usize) -> f64 {
        match self {
            Self::Uniform | Self::OneAfterTheOther => 1.0,
            Self::Zipf(exponent) => (rank as f64).powf(-exponent),
        }
    }
}

/// `count` times `factor`, rounded. A negative factor counts as 0.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are far below 2^52, and the cast saturates"
)]
pub(super) fn times(count: usize, factor: f64) -> usize {
    (count as f64 * factor).round() as usize
}

impl FromStr for Skew {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is none of uniform, zipf, zipf:EXPONENT (0 to 10), hot");
        match text.split_once(':') {
            None if text == "uniform" => Ok(Self::Uniform),
            None if text == "zipf" => Ok(Self::Zipf(1.0)),
            None if text == "hot" => Ok(Self::OneAfterTheOther),
            Some(("zipf", exponent)) => {
                let exponent: f64 = exponent.parse().map_err(|_| wrong())?;
                let usable = (0.0..=10.0).contains(&exponent);
                usable.then_some(Self::Zipf(exponent)).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf(exponent) => write!(f, "zipf:{exponent}"),
            Self::OneAfterTheOther => f.write_str("hot"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_follow_the_skew() {
        assert_eq!(Skew::Uniform.shares(10, 4), [3, 2, 3, 2]);
        assert_eq!(Skew::Uniform.shares(0, 3), [0, 0, 0]);
        let zipf = Skew::Zipf(1.0).shares(1_100, 3);
        assert_eq!(zipf, [600, 300, 200]);
        for (count, places) in [(1, 7), (1_000_003, 97), (5, 5)] {
            for skew in [Skew::Uniform, Skew::Zipf(0.7), Skew::Zipf(10.0)] {
                let shares = skew.shares(count, places);
                assert_eq!(shares.len(), places);
                assert_eq!(shares.iter().sum::<usize>(), count);
            }
        }
        assert_eq!(Skew::Uniform.places(5, 2), [0, 1, 0, 1, 0]);
        assert_eq!(Skew::Zipf(1.0).places(6, 2), [0, 0, 0, 0, 1, 1]);
    }

    #[test]
    fn a_skew_is_read_as_it_is_written() {
        for text in ["uniform", "zipf:1.2", "hot"] {
            let skew: Skew = text.parse().expect(text);
            assert_eq!(skew.to_string(), text);
        }
        assert_eq!("zipf".parse(), Ok(Skew::Zipf(1.0)));
        for text in ["", "zipf:", "zipf:-1", "zipf:NaN", "linear", "hot:1"] {
            let error = text.parse::<Skew>().expect_err(text);
            assert!(error.contains("zipf:EXPONENT"), "{error}");
        }
    }
}
