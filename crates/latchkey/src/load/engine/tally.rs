//! What one thread counts. Nobody else writes there, so nothing is locked.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::mix::Action;
use super::super::outcome::Outcome;
use super::super::run::{ActionRun, KeyUse, Seat, Second, Wrongs};

/// The counts of one thread.
#[derive(Debug)]
pub(super) struct Tally {
    ramp: Duration,
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
    /// Nothing yet; latencies count after `ramp`.
    pub(super) fn new(ramp: Duration) -> Self {
        Self {
            ramp,
            actions: Action::ALL.map(|_| ActionRun::default()).into(),
            seconds: Vec::new(),
            key_uses: Vec::new(),
            seats: Vec::new(),
            full: BTreeSet::new(),
            wrong: Wrongs::default(),
            last: Duration::ZERO,
        }
    }

    /// Counts an answer that came `at` this time after the beginning.
    pub(super) fn count(
        &mut self,
        action: Action,
        outcome: Outcome,
        latency: Duration,
        at: Duration,
    ) {
        let run = &mut self.actions[action as usize];
        run.outcomes.add(outcome);
        if at >= self.ramp {
            run.latencies.record(latency);
            if outcome.is_granted() {
                run.granted.record(latency);
            }
        }
        let second = usize::try_from(at.as_secs()).unwrap_or(usize::MAX);
        while self.seconds.len() <= second {
            self.seconds.push(Second::default());
        }
        let second = &mut self.seconds[second];
        second.latencies.record(latency);
        second.outcomes.add(outcome);
        self.last = self.last.max(at);
    }

    /// Adds all that another thread counted.
    pub(super) fn merge(&mut self, other: Self) {
        for (one, other) in self.actions.iter_mut().zip(&other.actions) {
            one.latencies.merge(&other.latencies);
            one.granted.merge(&other.granted);
            one.outcomes.merge(&other.outcomes);
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

    #[test]
    fn answers_of_the_ramp_are_counted_and_not_measured() {
        let second = Duration::from_secs;
        let mut tally = Tally::new(second(2));
        tally.count(Action::Event, Outcome::Enrolled, second(1), second(1));
        tally.count(Action::Event, Outcome::Enrolled, second(1), second(2));
        tally.count(Action::Event, Outcome::Unheard, second(1), second(4));
        let mut other = Tally::new(second(2));
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
}
