//! Rounds in which a baseline and ours take turns, and what they come to.
//!
//! The machine changes while it is measured: its disk, its neighbours, its heat. So both sides of a ratio are of one round,
//! the side that begins alternates, and what counts is the median of the ratios.

use serde::Serialize;

use super::catalogue::{Benchmark, Goal};
use super::meter::Usage;
use super::percentile::median;

/// One measurement of one side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// What was measured, in the unit of the benchmark.
    pub value: f64,
    /// What it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What else there is to say, in a few words: the number of clients, percentiles.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// One round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Round {
    /// What it is measured against.
    pub baseline: Sample,
    /// What is measured.
    pub ours: Sample,
    /// The second by the first.
    pub ratio: f64,
}

/// All rounds of a benchmark.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The median of the ratios; of memory, the greatest.
    pub ratio: f64,
    /// The least of them.
    pub min: f64,
    /// The greatest of them.
    pub max: f64,
    /// What the median must reach.
    pub must: f64,
    /// What it should reach.
    pub aim: f64,
    /// Whether more or less is better.
    pub better: &'static str,
    /// Whether all answers were right, and the median is as good as it must be.
    pub passes: bool,
    /// Whether it is as good as it should be.
    pub aimed: bool,
    /// The median of the baseline; of memory, the bound that the greatest ratio is of.
    pub baseline: f64,
    /// The median of ours; of memory, what was held to that bound.
    pub ours: f64,
    /// In what both are measured.
    pub unit: &'static str,
    /// What was measured.
    pub what: &'static str,
    /// Against what.
    pub against: &'static str,
    /// What was found to be wrong; nothing, if all answers were right and `verify` was clean.
    pub wrong: Vec<String>,
    /// The rounds, in order.
    pub rounds: Vec<Round>,
}

/// The two sides of a benchmark, each of which can be measured again and again.
pub trait Contest {
    /// Measures what is measured against.
    fn baseline(&mut self, round: usize) -> impl Future<Output = anyhow::Result<Sample>>;
    /// Measures ours.
    fn ours(&mut self, round: usize) -> impl Future<Output = anyhow::Result<Sample>>;
    /// After the last round: whatever is wrong with what was answered or stored.
    fn wrong(&mut self) -> impl Future<Output = anyhow::Result<Vec<String>>>;
}

/// Has both sides take turns for `rounds` rounds, which are told to `tell` one by one.
///
/// # Errors
/// When a side cannot be measured.
pub async fn compete(
    contest: &mut impl Contest,
    rounds: usize,
    mut tell: impl FnMut(usize, &Round),
) -> anyhow::Result<(Vec<Round>, Vec<String>)> {
    let mut played = Vec::new();
    for number in 0..rounds {
        let (baseline, ours) = if number % 2 == 0 {
            let baseline = contest.baseline(number).await?;
            (baseline, contest.ours(number).await?)
        } else {
            let ours = contest.ours(number).await?;
            (contest.baseline(number).await?, ours)
        };
        let round = Round::of(baseline, ours);
        tell(number, &round);
        played.push(round);
    }
    let wrong = contest.wrong().await?;
    Ok((played, wrong))
}

impl Round {
    /// A round of these two.
    pub fn of(baseline: Sample, ours: Sample) -> Self {
        Self {
            ratio: ours.value / baseline.value,
            baseline,
            ours,
        }
    }
}

impl Measured {
    /// What `rounds` of `benchmark` come to, held to `goal`. Without any, or with a ratio that is no number, it passes
    /// nothing.
    pub fn of(benchmark: Benchmark, goal: Goal, rounds: Vec<Round>, wrong: Vec<String>) -> Self {
        let of = |number: fn(&Round) -> f64| rounds.iter().map(number);
        let worst = rounds
            .iter()
            .max_by(|one, other| one.ratio.total_cmp(&other.ratio));
        let shown = |number: fn(&Round) -> f64| match benchmark {
            // Not one of them may take more; and the figures are those of one of them, so that they belong together.
            Benchmark::Memory => worst.map(number),
            _ => median(of(number)),
        };
        let figure = |number: fn(&Round) -> f64| shown(number).unwrap_or(f64::NAN);
        let ratio = figure(|round| round.ratio);
        let text = benchmark.text();
        Self {
            ratio,
            min: of(|round| round.ratio).fold(f64::NAN, f64::min),
            max: of(|round| round.ratio).fold(f64::NAN, f64::max),
            must: goal.must,
            aim: goal.aim,
            better: goal.better(),
            passes: goal.met(ratio) && wrong.is_empty(),
            aimed: goal.aimed(ratio),
            baseline: figure(|round| round.baseline.value),
            ours: figure(|round| round.ours.value),
            unit: text.unit,
            what: text.ours,
            against: text.baseline,
            wrong,
            rounds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(value: f64) -> Sample {
        Sample {
            value,
            usage: None,
            note: String::new(),
        }
    }

    fn round(baseline: f64, ours: f64) -> Round {
        Round::of(sample(baseline), sample(ours))
    }

    #[test]
    fn the_median_is_that_of_the_ratios_and_not_the_ratio_of_medians() {
        let rounds = vec![round(100.0, 300.0), round(50.0, 250.0), round(200.0, 800.0)];
        let benchmark = Benchmark::RedeemEnrollment64;
        let measured = Measured::of(benchmark, benchmark.goal(), rounds, Vec::new());
        let found = [
            measured.ratio,
            measured.min,
            measured.max,
            measured.baseline,
            measured.ours,
        ];
        for (found, expected) in found.into_iter().zip([4.0, 3.0, 5.0, 100.0, 300.0]) {
            assert!(
                (found - expected).abs() < f64::EPSILON,
                "{found} {expected}"
            );
        }
        assert!(measured.passes);
    }

    #[test]
    fn of_memory_the_most_that_was_taken_counts() {
        let rounds = vec![round(64.0, 32.0), round(256.0, 64.0), round(256.0, 257.0)];
        let goal = Benchmark::Memory.goal();
        let measured = Measured::of(Benchmark::Memory, goal, rounds, Vec::new());
        assert!(measured.ratio > 1.0 && !measured.passes);
        // The figures are of the same round as the ratio.
        let shown = measured.ours / measured.baseline;
        assert!((shown - measured.ratio).abs() < f64::EPSILON, "{shown}");
    }

    #[test]
    fn a_wrong_answer_passes_at_no_speed() {
        let benchmark = Benchmark::RedeemEnrollment64;
        let goal = benchmark.goal();
        let wrong = vec!["a seat too many".to_owned()];
        assert!(!Measured::of(benchmark, goal, vec![round(1.0, 99.0)], wrong).passes);
        assert!(!Measured::of(benchmark, goal, Vec::new(), Vec::new()).passes);
        assert!(!Measured::of(benchmark, goal, vec![round(0.0, 0.0)], Vec::new()).passes);
    }

    struct Turns(Vec<String>);

    impl Contest for Turns {
        async fn baseline(&mut self, round: usize) -> anyhow::Result<Sample> {
            self.0.push(format!("baseline {round}"));
            Ok(sample(2.0))
        }

        async fn ours(&mut self, round: usize) -> anyhow::Result<Sample> {
            self.0.push(format!("ours {round}"));
            Ok(sample(3.0))
        }

        async fn wrong(&mut self) -> anyhow::Result<Vec<String>> {
            self.0.push("wrong".to_owned());
            Ok(Vec::new())
        }
    }

    #[tokio::test]
    async fn the_side_that_begins_alternates() {
        let mut turns = Turns(Vec::new());
        let mut told = Vec::new();
        let (rounds, _) = compete(&mut turns, 3, |number, round| {
            told.push((number, round.ratio));
        })
        .await
        .expect("played");
        assert_eq!(rounds.len(), 3);
        assert_eq!(told, [(0, 1.5), (1, 1.5), (2, 1.5)]);
        let order = [
            "baseline 0",
            "ours 0",
            "ours 1",
            "baseline 1",
            "baseline 2",
            "ours 2",
            "wrong",
        ];
        assert_eq!(turns.0, order);
    }
}
