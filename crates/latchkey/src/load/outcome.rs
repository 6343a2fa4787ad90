//! What became of a call.

use std::fmt;

use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::status::{name, reason_of};
use serde::{Serialize, Serializer};
use tonic::{Code, Status};

/// What became of a call, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Enrolled by this call.
    Enrolled,
    /// The student was in the class already.
    AlreadyIn,
    /// The answer of before, once more.
    Replayed,
    /// The code would open a class.
    Opens,
    /// Refused by the service, for this reason of the contract.
    Refused(ErrorReason),
    /// A failure without such a reason: a gRPC code.
    Failed(Code),
    /// No answer within the time of a call: what became of it is not known.
    Unheard,
    /// The connection broke, or there was none.
    Disconnected,
    /// It was due in an open loop, and was not made before the end: everybody waited for answers to the calls before it.
    NeverSent,
}

impl Outcome {
    /// The outcome that `status` tells.
    pub fn of_failure(status: &Status) -> Self {
        match reason_of(status) {
            Some(reason) => Self::Refused(reason),
            None => Self::Failed(status.code()),
        }
    }

    /// Its place among all, as lists have them.
    fn place(self) -> (u8, i32) {
        match self {
            Self::Enrolled => (0, 0),
            Self::AlreadyIn => (1, 0),
            Self::Replayed => (2, 0),
            Self::Opens => (3, 0),
            Self::Refused(reason) => (4, reason as i32),
            Self::Failed(code) => (5, code as i32),
            Self::Unheard => (6, 0),
            Self::Disconnected => (7, 0),
            Self::NeverSent => (8, 0),
        }
    }

    /// Whether the caller got what was asked for.
    pub fn is_granted(self) -> bool {
        matches!(
            self,
            Self::Enrolled | Self::AlreadyIn | Self::Replayed | Self::Opens
        )
    }

    /// Whether the service said anything.
    pub fn is_answered(self) -> bool {
        !matches!(self, Self::Unheard | Self::Disconnected | Self::NeverSent)
    }

    /// Whether the time that the call took says anything of the service. Where there was no connection it was over in no time;
    /// who gave up waiting knows that it took at least that long.
    pub fn is_timed(self) -> bool {
        self != Self::Disconnected
    }

    /// Whether it tells of a service that could not, rather than of one that would not: outages, overload, no answer.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Refused(reason) => matches!(
                reason,
                ErrorReason::Overloaded
                    | ErrorReason::DependencyUnavailable
                    | ErrorReason::DeadlineExceeded
                    | ErrorReason::Conflict
                    | ErrorReason::Internal
                    | ErrorReason::Unspecified
            ),
            Self::Failed(_) | Self::Unheard | Self::Disconnected | Self::NeverSent => true,
            Self::Enrolled | Self::AlreadyIn | Self::Replayed | Self::Opens => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enrolled => f.write_str("enrolled"),
            Self::AlreadyIn => f.write_str("already in"),
            Self::Replayed => f.write_str("replayed"),
            Self::Opens => f.write_str("opens"),
            Self::Refused(reason) => f.write_str(name(*reason)),
            Self::Failed(code) => write!(f, "gRPC {code:?}"),
            Self::Unheard => f.write_str("no answer in time"),
            Self::Disconnected => f.write_str("no connection"),
            Self::NeverSent => f.write_str("never sent"),
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How often each outcome was met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcomes(Vec<(Outcome, u64)>);

impl Outcomes {
    /// Counts one.
    pub fn add(&mut self, outcome: Outcome) {
        self.add_many(outcome, 1);
    }

    /// Counts `count` of the same.
    pub fn add_many(&mut self, outcome: Outcome, count: u64) {
        // A handful of different ones: looking through them is faster than hashing.
        match self.0.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, counted)) => *counted += count,
            None => self.0.push((outcome, count)),
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for &(outcome, count) in &other.0 {
            self.add_many(outcome, count);
        }
    }

    /// How often `outcome` was met.
    pub fn of(&self, outcome: Outcome) -> u64 {
        let found = self.0.iter().find(|(known, _)| *known == outcome);
        found.map_or(0, |(_, count)| *count)
    }

    /// Those that were made: all but what was due and never sent.
    pub fn made(&self) -> u64 {
        self.sum(|outcome| outcome != Outcome::NeverSent)
    }

    /// All together, those that were due and never sent too.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Those who got what they asked for.
    pub fn granted(&self) -> u64 {
        self.sum(Outcome::is_granted)
    }

    /// Those to which the service said anything.
    pub fn answered(&self) -> u64 {
        self.sum(Outcome::is_answered)
    }

    /// Outages, overload, no answer.
    pub fn failures(&self) -> u64 {
        self.sum(Outcome::is_failure)
    }

    fn sum(&self, wanted: impl Fn(Outcome) -> bool) -> u64 {
        let counted = self.0.iter().filter(|(outcome, _)| wanted(*outcome));
        counted.map(|(_, count)| count).sum()
    }

    /// Each with its count, in a fixed order.
    pub fn sorted(&self) -> Vec<(Outcome, u64)> {
        let mut all = self.0.clone();
        all.sort_unstable_by_key(|(outcome, _)| outcome.place());
        all
    }

    /// The same of those who did not get what they asked for.
    pub fn refusals(&self) -> Vec<(Outcome, u64)> {
        let mut all = self.sorted();
        all.retain(|(outcome, _)| !outcome.is_granted());
        all
    }
}

#[cfg(test)]
mod tests {
    use latchkey_service_kit::status::ApiError;

    use super::*;

    #[test]
    fn each_failure_is_counted_as_what_it_is() {
        let refusal = Status::from(ApiError::new(ErrorReason::ClassFull, "full"));
        let bare = Status::permission_denied("no");
        assert_eq!(
            Outcome::of_failure(&refusal),
            Outcome::Refused(ErrorReason::ClassFull)
        );
        assert_eq!(
            Outcome::of_failure(&bare),
            Outcome::Failed(Code::PermissionDenied)
        );
        let mut outcomes = Outcomes::default();
        for outcome in [
            Outcome::Enrolled,
            Outcome::of_failure(&refusal),
            Outcome::Enrolled,
            Outcome::of_failure(&bare),
            Outcome::Unheard,
            Outcome::NeverSent,
        ] {
            outcomes.add(outcome);
        }
        assert_eq!((outcomes.total(), outcomes.made()), (6, 5));
        assert_eq!(outcomes.answered(), 4);
        let mut twice = outcomes.clone();
        twice.merge(&outcomes);
        assert_eq!(twice.of(Outcome::Enrolled), 4);
        assert_eq!(
            (twice.total(), twice.granted(), twice.failures()),
            (12, 4, 6)
        );
        let named: Vec<String> = outcomes
            .refusals()
            .iter()
            .map(|(outcome, count)| format!("{outcome}: {count}"))
            .collect();
        assert_eq!(
            named,
            [
                "CLASS_FULL: 1",
                "gRPC PermissionDenied: 1",
                "no answer in time: 1",
                "never sent: 1"
            ]
        );
    }
}
