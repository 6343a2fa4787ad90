//! What one thread counts. Nobody else writes there, so nothing is locked.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::mix::Action;
use super::super::outcome::Outcome;
use super::super::run::{ActionRun, KeyUse, Seat, Second, Window, Wrongs};

/// The counts of one thread.
#[derive(Debug)]
pub(super) struct Tally {
    window: Window,
    pub(super) actions: Vec<ActionRun>,
    pub(super) seconds: Vec<Second>,
    pub(super) key_uses: Vec<KeyUse>,
    pub(super) seats: Vec<Seat>,
    pub(super) full: BTreeSet<u32>,
    pub(super) wrong: Wrongs,
    /// When the last answer came.
    pub(super) last: Duration,
}

impl Tally {
    /// Nothing yet; what is in `window` is measured.
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            actions: Action::ALL.map(|_| ActionRun::default()).into(),
            seconds: Vec::new(),
            key_uses: Vec::new(),
            seats: Vec::new(),
            full: BTreeSet::new(),
            wrong: Wrongs::default(),
            last: Duration::ZERO,
        }
    }

    /// Counts what became of a call `at` this time after the beginning.
    pub(super) fn count(
        &mut self,
        action: Action,
        outcome: Outcome,
        latency: Duration,
        at: Duration,
    ) {
        let run = &mut self.actions[action as usize];
        run.outcomes.add(outcome);
        if self.window.has_begun(at) && outcome.is_timed() {
            run.latencies.record(latency);
            if outcome.is_granted() {
                run.granted.record(latency);
            }
        }
        if self.window.holds(at) {
            run.answered += u64::from(outcome.is_answered());
            run.granted_in_time += u64::from(outcome.is_granted());
        }
        let second = self.second(at);
        if outcome.is_timed() {
            second.latencies.record(latency);
        }
        second.outcomes.add(outcome);
        self.last = self.last.max(at);
    }

    /// Counts `count` calls that were due at `at` and had not been made at the end, which was `waited` later. They are of
    /// the second in which they were due.
    pub(super) fn count_never_sent(
        &mut self,
        action: Action,
        count: u64,
        at: Duration,
        waited: Duration,
    ) {
        let run = &mut self.actions[action as usize];
        run.outcomes.add_many(Outcome::NeverSent, count);
        if self.window.has_begun(at + waited) {
            run.latencies.record_many(waited, count);
        }
        let second = self.second(at);
        second.latencies.record_many(waited, count);
        second.outcomes.add_many(Outcome::NeverSent, count);
    }

    /// The second that the moment `at` is in.
    fn second(&mut self, at: Duration) -> &mut Second {
        let second = usize::try_from(at.as_secs()).unwrap_or(usize::MAX);
        while self.seconds.len() <= second {
            self.seconds.push(Second::default());
        }
        &mut self.seconds[second]
    }

    /// Adds all that another thread counted.
    pub(super) fn merge(&mut self, other: Self) {
        for (one, other) in self.actions.iter_mut().zip(&other.actions) {
            one.merge(other);
        }
        while self.seconds.len() < other.seconds.len() {
            self.seconds.push(Second::default());
        }
        for (one, other) in self.seconds.iter_mut().zip(&other.seconds) {
            one.latencies.merge(&other.latencies);
            one.outcomes.merge(&other.outcomes);
        }
        self.key_uses.extend(other.key_uses);
        self.seats.extend(other.seats);
        self.full.extend(other.full);
        self.wrong.merge(other.wrong);
        self.last = self.last.max(other.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a ramp of so many seconds.
    fn from(ramp: u64) -> Window {
        Window {
            from: Duration::from_secs(ramp),
            until: None,
        }
    }

    #[test]
    fn what_nobody_answered_has_no_rate_and_without_a_connection_no_latency() {
        let second = Duration::from_secs;
        let mut tally = Tally::new(Window {
            from: Duration::ZERO,
            until: Some(second(10)),
        });
        let mut count = |outcome, latency, at| tally.count(Action::Event, outcome, latency, at);
        count(Outcome::Enrolled, second(1), second(1));
        for _ in 0..100 {
            count(Outcome::Disconnected, Duration::from_millis(2), second(2));
        }
        count(Outcome::Unheard, second(5), second(7));
        count(Outcome::Enrolled, second(5), second(12));
        let run = &tally.actions[Action::Event as usize];
        assert_eq!(run.outcomes.total(), 103);
        assert_eq!((run.answered, run.granted_in_time), (1, 1));
        assert_eq!((run.latencies.count(), run.granted.count()), (3, 2));
        assert!(run.latencies.at(0.0) >= Duration::from_millis(990));
        assert_eq!(tally.seconds[2].latencies.count(), 0);
    }

    #[test]
    fn answers_of_the_ramp_are_counted_and_not_measured() {
        let second = Duration::from_secs;
        let mut tally = Tally::new(from(2));
        tally.count(Action::Event, Outcome::Enrolled, second(1), second(1));
        tally.count(Action::Event, Outcome::Enrolled, second(1), second(2));
        tally.count(Action::Event, Outcome::Unheard, second(1), second(4));
        let mut other = Tally::new(from(2));
        other.count(Action::Check, Outcome::Opens, second(1), second(5));
        tally.merge(other);
        let run = &tally.actions[Action::Event as usize];
        assert_eq!(run.outcomes.of(Outcome::Enrolled), 2);
        assert_eq!((run.latencies.count(), run.granted.count()), (2, 1));
        let each: Vec<u64> = tally
            .seconds
            .iter()
            .map(|second| second.outcomes.total())
            .collect();
        assert_eq!(each, [0, 1, 1, 0, 1, 1]);
        assert_eq!(tally.last, second(5));
    }

    #[test]
    fn what_was_never_sent_waited_from_when_it_was_due() {
        let second = Duration::from_secs;
        let mut tally = Tally::new(from(2));
        tally.count_never_sent(Action::Event, 3, second(1), second(4));
        let run = &tally.actions[Action::Event as usize];
        assert_eq!((run.outcomes.total(), run.outcomes.made()), (3, 0));
        assert_eq!(run.latencies.count(), 3);
        assert!(run.latencies.at(0.5) >= second(4), "at the least");
        assert_eq!(tally.seconds[1].outcomes.of(Outcome::NeverSent), 3);
        assert_eq!(tally.last, Duration::ZERO, "nothing was answered");
        // A run that was ended within its ramp measured nothing.
        tally.count_never_sent(Action::Event, 1, Duration::ZERO, second(1));
        assert_eq!(tally.actions[Action::Event as usize].latencies.count(), 3);
    }
}
