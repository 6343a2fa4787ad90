//! What a run was: figures, and what is needed to judge its answers.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hdrhistogram::Histogram;
use serde::Serialize;
use uuid::Uuid;

use super::mix::Action;
use super::outcome::{Outcome, Outcomes};

/// The longest latency that is told from longer ones.
const LONGEST: Duration = Duration::from_mins(2);

/// How many wrong answers are kept with their text.
const KEPT: usize = 200;

/// Latencies in microseconds, up to two minutes.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet; a value is kept with `digits` decimal digits, 1 to 5.
    pub fn new(digits: u8) -> Self {
        let longest = micros(LONGEST);
        let made = Histogram::new_with_bounds(1, longest, digits.clamp(1, 5));
        // The bounds are right, so this is never taken.
        let mut histogram = made.unwrap_or_else(|_| unreachable!("the bounds are in order"));
        histogram.auto(false);
        Self(histogram)
    }

    /// Adds one; none is longer than two minutes.
    pub fn record(&mut self, latency: Duration) {
        self.record_many(latency, 1);
    }

    /// Adds `count` of the same.
    pub fn record_many(&mut self, latency: Duration, count: u64) {
        let latency = micros(latency).max(1);
        self.0.saturating_record_n(latency, count);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        // Both have the same bounds.
        let _ = self.0.add(&other.0);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that `quantile` (0 to 1) of all calls did not exceed; 0 without calls.
    pub fn at(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(quantile))
    }

    /// The mean; 0 without calls.
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.0.mean() / 1e6)
    }

    /// The longest; 0 without calls.
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.0.max())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The figures of one action.
#[derive(Debug, Clone)]
pub struct ActionRun {
    /// The latency of each call after the ramp, whatever became of it; but not of those for which there was no connection. Those that were due and never sent are among them
    /// with the time from when they were due to the end, which is the least that they would have taken.
    pub latencies: Latencies,
    /// The same of those calls that got what they asked for.
    pub granted: Latencies,
    /// Those that were answered within the time that rates are of.
    pub answered: u64,
    /// Those of them that got what they asked for.
    pub granted_in_time: u64,
    /// What became of all calls, those during the ramp too, and how many were due and never sent.
    pub outcomes: Outcomes,
}

impl Default for ActionRun {
    fn default() -> Self {
        Self {
            latencies: Latencies::new(3),
            granted: Latencies::new(3),
            answered: 0,
            granted_in_time: 0,
            outcomes: Outcomes::default(),
        }
    }
}

impl ActionRun {
    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.latencies.merge(&other.latencies);
        self.granted.merge(&other.granted);
        self.answered += other.answered;
        self.granted_in_time += other.granted_in_time;
        self.outcomes.merge(&other.outcomes);
    }
}

/// The time that is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// When it begins: with the end of the ramp.
    pub from: Duration,
    /// When it should end, if that is planned. What is answered after it is counted, but makes no rate: the longer the last
    /// answers take, the more of the time nobody calls any more.
    pub until: Option<Duration>,
}

impl Window {
    /// Whether it has begun at the moment `at`: from then on latencies are measured.
    pub fn has_begun(self, at: Duration) -> bool {
        at >= self.from
    }

    /// Whether the moment `at` is in it.
    pub fn holds(self, at: Duration) -> bool {
        self.has_begun(at) && self.until.is_none_or(|until| at <= until)
    }

    /// How long it was in a run that `lasted` so long.
    pub fn length(self, lasted: Duration) -> Duration {
        let end = self.until.map_or(lasted, |until| until.min(lasted));
        end.saturating_sub(self.from)
    }
}

/// What was answered in one second, and what was due in it and never sent.
#[derive(Debug, Clone)]
pub struct Second {
    /// Their latencies.
    pub latencies: Latencies,
    /// What they were.
    pub outcomes: Outcomes,
}

impl Default for Second {
    fn default() -> Self {
        Self {
            latencies: Latencies::new(2),
            outcomes: Outcomes::default(),
        }
    }
}

/// An enrollment by an enrollment key, as it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyUse {
    /// The number of the class.
    pub class: u32,
    /// The number of the key in it.
    pub key: u32,
    /// Who was enrolled.
    pub student: Uuid,
}

/// An enrollment, as it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seat {
    /// The number of the class.
    pub class: u32,
    /// The enrollment.
    pub enrollment: Uuid,
    /// Of whom.
    pub student: Uuid,
}

/// What kind of thing cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WrongKind {
    /// More students are in a class than it has seats.
    MoreThanSeats,
    /// A single-use key enrolled two students.
    KeyUsedTwice,
    /// A replay says something else than the first answer.
    ReplayDiffers,
    /// An answer is about something else than was asked, or makes no sense.
    BesideTheQuestion,
    /// A code that does not exist opened something.
    WrongCodeOpens,
    /// Somebody was told to be in, and is not on the roster.
    NotOnTheRoster,
    /// Somebody was told that a class is full that has seats left.
    FullWithSeatsLeft,
    /// Somebody stands on a roster twice.
    TwiceOnTheRoster,
}

/// Something that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Wrong {
    /// What kind of thing.
    pub kind: WrongKind,
    /// What exactly, with ids. Without codes.
    pub what: String,
}

/// Wrong answers: all are counted, the first ones are kept.
#[derive(Debug, Clone, Default)]
pub struct Wrongs {
    count: u64,
    kept: Vec<Wrong>,
}

impl Wrongs {
    /// Adds one.
    pub fn add(&mut self, kind: WrongKind, what: impl Into<String>) {
        self.count += 1;
        if self.kept.len() < KEPT {
            let what = what.into();
            self.kept.push(Wrong { kind, what });
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.kept.extend(other.kept);
        self.kept.truncate(KEPT);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first ones.
    pub fn kept(&self) -> &[Wrong] {
        &self.kept
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It was as long as planned.
    AsPlanned,
    /// All keys or seats for an action were used.
    UsedUp(Action),
    /// It was told to.
    Stopped,
}

/// What a run was.
#[derive(Debug, Clone)]
pub struct Run {
    /// When it began.
    pub began: DateTime<Utc>,
    /// What of it was measured: calls answered during the ramp are counted, but their latency is not.
    pub window: Window,
    /// From the beginning to the last answer.
    pub lasted: Duration,
    /// Why it ended.
    pub ended: Ended,
    /// The figures of each action that was called, in the order of [`Action::ALL`].
    pub actions: Vec<(Action, ActionRun)>,
    /// Each second, from the beginning.
    pub seconds: Vec<Second>,
    /// Each use of an enrollment key that was answered.
    pub key_uses: Vec<KeyUse>,
    /// Each enrollment that was answered; repetitions are not among them.
    pub seats: Vec<Seat>,
    /// The numbers of the classes of which somebody was told that they are full.
    pub full: BTreeSet<u32>,
    /// What was seen at once to be wrong.
    pub wrong: Wrongs,
}

impl Run {
    /// The figures of `action`, if it was called.
    pub fn action(&self, action: Action) -> Option<&ActionRun> {
        let found = self.actions.iter().find(|(called, _)| *called == action);
        found.map(|(_, run)| run)
    }

    /// What became of all calls.
    pub fn outcomes(&self) -> Outcomes {
        let mut all = Outcomes::default();
        for (_, run) in &self.actions {
            all.merge(&run.outcomes);
        }
        all
    }

    /// The figures of all actions together.
    pub fn all(&self) -> ActionRun {
        let mut all = ActionRun::default();
        for (_, run) in &self.actions {
            all.merge(run);
        }
        all
    }

    /// Latencies of all calls after the ramp.
    pub fn latencies(&self) -> Latencies {
        self.all().latencies
    }

    /// How long was measured: from the ramp to the planned end, or to the last answer if that came before.
    pub fn measured(&self) -> Duration {
        self.window.length(self.lasted)
    }

    /// Calls that got what they asked for, a second of the time that was measured.
    pub fn granted_per_second(&self) -> f64 {
        per_second(self.all().granted_in_time, self.measured())
    }

    /// Calls that were answered, whatever the answer, a second of the time that was measured.
    pub fn calls_per_second(&self) -> f64 {
        per_second(self.all().answered, self.measured())
    }

    /// How many were refused for `outcome`, over all actions.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes().of(outcome)
    }
}

/// A rate; 0 in no time.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() {
        return 0.0;
    }
    count as f64 / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_kept_to_their_digits_and_merged() {
        let mut one = Latencies::new(3);
        for millis in 1..=100 {
            one.record(Duration::from_millis(millis));
        }
        let mut other = Latencies::new(3);
        other.record(Duration::from_hours(1));
        assert!(one.at(0.5).abs_diff(Duration::from_millis(50)) < Duration::from_micros(100));
        one.merge(&other);
        assert_eq!(one.count(), 101);
        assert!(one.max() >= LONGEST, "{:?}", one.max());
        assert_eq!(Latencies::new(3).at(0.99), Duration::ZERO);
    }

    #[test]
    fn a_rate_is_of_the_time_in_which_calls_were_made() {
        let second = Duration::from_secs;
        let window = Window {
            from: second(2),
            until: Some(second(10)),
        };
        assert!(!window.holds(second(1)) && window.holds(second(2)));
        assert!(window.holds(second(10)) && !window.holds(second(11)));
        // The last answers came ten seconds late; or all was used up before.
        assert_eq!(window.length(second(20)), second(8));
        assert_eq!(window.length(second(5)), second(3));
        assert_eq!(window.length(second(1)), Duration::ZERO);
        let by_count = Window {
            until: None,
            ..window
        };
        assert_eq!(by_count.length(second(20)), second(18));
    }

    #[test]
    fn wrong_answers_are_all_counted() {
        let mut wrongs = Wrongs::default();
        for _ in 0..KEPT + 5 {
            wrongs.add(WrongKind::KeyUsedTwice, "x");
        }
        wrongs.merge(wrongs.clone());
        assert_eq!(wrongs.count(), 2 * (KEPT as u64 + 5));
        assert_eq!(wrongs.kept().len(), KEPT);
    }
}
