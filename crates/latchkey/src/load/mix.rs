//! What is called, and in which proportion.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// One kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A student redeems an enrollment key of their own.
    Enrollment,
    /// A student redeems the code of an event key.
    Event,
    /// Somebody without an account registers with an enrollment key, or with an event key where there are none; with an
    /// external identity.
    Register,
    /// Asks what a code would open.
    Check,
    /// A redemption that was answered is sent again, with its id.
    Replay,
    /// A code that does not exist: every second one is mistyped, the others are well formed.
    Wrong,
    /// Another student tries an enrollment key that has been redeemed.
    Spent,
}

impl Action {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 7] = [
        Self::Enrollment,
        Self::Event,
        Self::Register,
        Self::Check,
        Self::Replay,
        Self::Wrong,
        Self::Spent,
    ];

    /// Why wrong codes are tried only in an organization that is made for that.
    pub(super) const WRONG_SHUTS_OUT: &str = "`wrong` would shut out the organization's own students, because too many wrong guesses shut out all of one: it is for organizations that are made for it";

    /// Its name in a mix and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enrollment => "enrollment",
            Self::Event => "event",
            Self::Register => "register",
            Self::Check => "check",
            Self::Replay => "replay",
            Self::Wrong => "wrong",
            Self::Spent => "spent",
        }
    }

    /// Whether it uses up a key or a seat that was prepared.
    pub fn consumes(self) -> bool {
        matches!(self, Self::Enrollment | Self::Event | Self::Register)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Actions with their weights: `enrollment=70,event=20,check=10`. Weights are whole numbers and need not add up to 100.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    weights: [u32; Action::ALL.len()],
}

/// Why a text is no mix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    /// A part is not `ACTION=WEIGHT`.
    #[error("`{0}` is not ACTION=WEIGHT, such as enrollment=70")]
    Form(String),
    /// There is no such action.
    #[error(
        "there is no action `{0}`; there are enrollment, event, register, check, replay, wrong, spent"
    )]
    Unknown(String),
    /// The same action stands there twice.
    #[error("`{0}` stands there twice")]
    Twice(Action),
    /// All weights are 0, or too large together.
    #[error("the weights must add up to something between 1 and 4294967295")]
    Sum,
    /// What is replayed must have been redeemed before.
    #[error(
        "replay repeats what enrollment, event or register did: one of these must be in the mix"
    )]
    NothingToRepeat,
    /// What is tried once more must have been redeemed before, by a key for one student.
    #[error(
        "spent tries the keys of enrollment and register again: one of these must be in the mix"
    )]
    NothingToSpend,
}

impl Mix {
    /// Only `action`.
    pub fn only(action: Action) -> Self {
        let mut weights = [0; Action::ALL.len()];
        weights[action as usize] = 1;
        Self { weights }
    }

    /// The weight of an action.
    pub fn weight(&self, action: Action) -> u32 {
        self.weights[action as usize]
    }

    /// Whether an action is in it.
    pub fn has(&self, action: Action) -> bool {
        self.weight(action) > 0
    }

    /// Whether any of its actions uses up what was prepared.
    pub fn consumes(&self) -> bool {
        let mut actions = Action::ALL.into_iter();
        actions.any(|action| action.consumes() && self.has(action))
    }

    /// All weights together.
    pub fn total(&self) -> u32 {
        self.weights.iter().sum()
    }

    /// The part of all calls that an action has: 0 to 1.
    pub fn share(&self, action: Action) -> f64 {
        f64::from(self.weight(action)) / f64::from(self.total())
    }

    /// The action that `lot` draws: each is drawn by as many lots below [`Mix::total`] as its weight says.
    pub fn drawn_by(&self, lot: u32) -> Action {
        let mut left = lot % self.total();
        for action in Action::ALL {
            let weight = self.weight(action);
            if left < weight {
                return action;
            }
            left -= weight;
        }
        Action::Enrollment
    }
}

impl FromStr for Mix {
    type Err = MixError;

    fn from_str(text: &str) -> Result<Self, MixError> {
        let mut weights = [0_u32; Action::ALL.len()];
        for part in text.split(',').map(str::trim) {
            let (name, weight) = part
                .split_once('=')
                .ok_or_else(|| MixError::Form(part.to_owned()))?;
            let action = Action::ALL
                .into_iter()
                .find(|action| action.name() == name.trim())
                .ok_or_else(|| MixError::Unknown(name.trim().to_owned()))?;
            let weight: u32 = weight
                .trim()
                .parse()
                .map_err(|_| MixError::Form(part.to_owned()))?;
            if std::mem::replace(&mut weights[action as usize], weight) > 0 {
                return Err(MixError::Twice(action));
            }
        }
        let sum = weights.iter().try_fold(0_u32, |sum, &w| sum.checked_add(w));
        if sum.is_none_or(|sum| sum == 0) {
            return Err(MixError::Sum);
        }
        let mix = Self { weights };
        if mix.has(Action::Replay) && !mix.consumes() {
            return Err(MixError::NothingToRepeat);
        }
        let spends = mix.has(Action::Enrollment) || mix.has(Action::Register);
        if mix.has(Action::Spent) && !spends {
            return Err(MixError::NothingToSpend);
        }
        Ok(mix)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there = Action::ALL.iter().filter(|action| self.has(**action));
        let parts: Vec<String> = there
            .map(|action| format!("{action}={}", self.weight(*action)))
            .collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_read_and_drawn_by_its_weights() {
        let mix: Mix = "enrollment=70, check=10,event=20".parse().expect("a mix");
        assert_eq!(mix.to_string(), "enrollment=70,event=20,check=10");
        let drawn = |action| {
            let lots = (0..mix.total()).filter(|&lot| mix.drawn_by(lot) == action);
            lots.count()
        };
        assert_eq!(drawn(Action::Enrollment), 70);
        assert_eq!(drawn(Action::Event), 20);
        assert_eq!(drawn(Action::Check), 10);
        assert_eq!(drawn(Action::Wrong), 0);
        assert_eq!(Mix::only(Action::Check).drawn_by(12), Action::Check);
        assert!((mix.share(Action::Event) - 0.2).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_mix_is_told_so() {
        let error = |text: &str| text.parse::<Mix>().expect_err(text);
        assert_eq!(error("enrollment"), MixError::Form("enrollment".to_owned()));
        assert_eq!(error("event=x"), MixError::Form("event=x".to_owned()));
        assert_eq!(error(""), MixError::Form(String::new()));
        assert_eq!(error("evnt=1"), MixError::Unknown("evnt".to_owned()));
        assert_eq!(error("event=1,event=2"), MixError::Twice(Action::Event));
        assert_eq!(error("event=0"), MixError::Sum);
        assert_eq!(error("event=4294967295,check=1"), MixError::Sum);
        assert_eq!(error("check=1,replay=1"), MixError::NothingToRepeat);
        assert_eq!(error("event=1,spent=1"), MixError::NothingToSpend);
        for good in ["event=1,replay=1", "register=1,spent=1", "check=1"] {
            good.parse::<Mix>().expect(good);
        }
    }
}
