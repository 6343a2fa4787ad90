//! When calls are made, and when it is enough.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Who says when the next call is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Each worker makes the next call when it has the answer to the last one.
    Closed,
    /// Calls are made at a constant rate, whether or not answers come. At most as many are on their way as there are
    /// workers; those that have to wait for a worker count that as part of their latency, which is measured from the moment
    /// at which they should have been made.
    Open {
        /// How many calls a second.
        per_second: f64,
    },
}

/// When a run ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After this time, the ramp included.
    After(Duration),
    /// After so many calls.
    Count(u64),
}

/// How often those who wait look whether the run was ended meanwhile.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// The timer rings at whole milliseconds. What it is late by that is no fault of the service.
const TIMER: Duration = Duration::from_millis(2);

/// The calls of one run, over all threads.
pub(super) struct Schedule<'s> {
    pace: Pace,
    until: Until,
    ramp: Duration,
    workers: usize,
    issued: AtomicU64,
    over: AtomicBool,
    stop: &'s AtomicBool,
    /// When it was first seen to be stopped from outside.
    stopped_at: OnceLock<Duration>,
}

impl<'s> Schedule<'s> {
    /// The schedule of a run of `workers` that `stop` ends early.
    pub(super) fn new(
        pace: Pace,
        until: Until,
        ramp: Duration,
        workers: usize,
        stop: &'s AtomicBool,
    ) -> Self {
        Self {
            pace,
            until,
            ramp,
            workers,
            issued: AtomicU64::new(0),
            over: AtomicBool::new(false),
            stop,
            stopped_at: OnceLock::new(),
        }
    }

    /// How long a worker waits before its first call: in a closed loop they begin one after the other.
    pub(super) fn entrance(&self, worker: usize) -> Duration {
        match self.pace {
            Pace::Open { .. } => Duration::ZERO,
            Pace::Closed => {
                let place = u32::try_from(worker).unwrap_or(u32::MAX);
                let of = u32::try_from(self.workers).unwrap_or(u32::MAX).max(1);
                self.ramp * place / of
            }
        }
    }

    /// The moment, since the beginning, at which the next call should be made; `None` when it is enough. `elapsed` is now.
    pub(super) fn next(&self, elapsed: Duration) -> Option<Duration> {
        if self.is_over() {
            return None;
        }
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        if matches!(self.until, Until::Count(count) if number >= count) {
            return None;
        }
        let at = match self.pace {
            Pace::Closed => elapsed,
            Pace::Open { per_second } => moment(number, per_second, self.ramp),
        };
        match self.until {
            // A service that is too slow for the rate does not make it longer: what was not sent by then is not sent.
            Until::After(end) if at.max(elapsed) >= end => None,
            _ => Some(at),
        }
    }

    /// Looks whether the run was ended from outside meanwhile, so that it is known when. `elapsed` is now.
    pub(super) fn look(&self, elapsed: Duration) {
        if self.is_stopped() {
            self.stopped_at.get_or_init(|| elapsed);
        }
    }

    /// The calls that were due before the end and have not been made, where `made` were. Asked when all have been
    /// answered.
    pub(super) fn never_sent(&self, made: u64) -> impl Iterator<Item = Unsent> {
        let Pace::Open { per_second } = self.pace else {
            return Backlog::default();
        };
        let stopped = self.stopped_at.get().copied();
        let end = match (self.until, stopped) {
            (Until::After(end), stopped) => Some(stopped.map_or(end, |at| at.min(end))),
            (Until::Count(_), stopped) => stopped,
        };
        // Without an end all have been made that should be; and where nothing was left to call with, nothing was due.
        let Some(end) = end.filter(|_| !self.over.load(Ordering::Relaxed)) else {
            return Backlog::default();
        };
        let mut due = due_before(end, per_second, self.ramp);
        if let Until::Count(count) = self.until {
            due = due.min(count);
        }
        Backlog {
            next: made,
            due,
            each: due.saturating_sub(made).div_ceil(UNSENT_ONE_BY_ONE).max(1),
            per_second,
            ramp: self.ramp,
            end,
        }
    }

    /// Lets no further call begin.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Waits until `at`; the moment from which the latency of the call counts: `at` itself, if the worker came to it late or
    /// the machine woke it far too late, and otherwise the moment at which the timer rang. `None` when the run is over before
    /// that, which is soon seen however far away `at` is.
    pub(super) async fn wait_until(&self, at: Instant) -> Option<Instant> {
        let mut is_late = true;
        loop {
            if self.is_over() {
                return None;
            }
            let now = Instant::now();
            if now >= at {
                is_late |= now.duration_since(at) > TIMER;
                return Some(if is_late { at } else { now });
            }
            is_late = false;
            tokio::time::sleep_until(at.min(now + LOOK).into()).await;
        }
    }

    /// Whether no further call shall begin.
    fn is_over(&self) -> bool {
        self.is_stopped() || self.over.load(Ordering::Relaxed)
    }

    /// Whether the run was ended from outside.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// When the call with this number should be made, at a rate that grows evenly during `ramp` and is constant from then on.
fn moment(number: u64, per_second: f64, ramp: Duration) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let number = number as f64;
    let ramp = ramp.as_secs_f64();
    let in_ramp = per_second * ramp / 2.0;
    let seconds = if number < in_ramp {
        (2.0 * ramp * number / per_second).sqrt()
    } else {
        ramp + (number - in_ramp) / per_second
    };
    Duration::from_secs_f64(seconds)
}

/// How many calls are due before `end`.
fn due_before(end: Duration, per_second: f64, ramp: Duration) -> u64 {
    let (end_seconds, ramp_seconds) = (end.as_secs_f64(), ramp.as_secs_f64());
    let calls = if end < ramp {
        per_second * end_seconds * end_seconds / (2.0 * ramp_seconds)
    } else {
        per_second * (end_seconds - ramp_seconds / 2.0)
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    let mut due = calls.ceil() as u64;
    // What is rounded here may be rounded the other way there.
    while due > 0 && moment(due - 1, per_second, ramp) >= end {
        due -= 1;
    }
    due
}

/// How many calls that were never sent are told one by one; of more, neighbours are told together.
const UNSENT_ONE_BY_ONE: u64 = 1_000_000;

/// Calls that were due and were never made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsent {
    /// How many.
    pub(super) count: u64,
    /// When the first of them was due.
    pub(super) at: Duration,
    /// From then to the end.
    pub(super) waited: Duration,
}

/// Goes through the calls that were never sent.
#[derive(Debug, Default)]
struct Backlog {
    next: u64,
    due: u64,
    each: u64,
    per_second: f64,
    ramp: Duration,
    end: Duration,
}

impl Iterator for Backlog {
    type Item = Unsent;

    fn next(&mut self) -> Option<Unsent> {
        let count = self.due.saturating_sub(self.next).min(self.each);
        if count == 0 {
            return None;
        }
        let at = moment(self.next, self.per_second, self.ramp);
        self.next += count;
        Some(Unsent {
            count,
            at,
            waited: self.end.saturating_sub(at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn an_open_loop_keeps_its_rate_whatever_becomes_of_calls() {
        let stop = AtomicBool::new(false);
        let pace = Pace::Open { per_second: 100.0 };
        let schedule = Schedule::new(pace, Until::After(seconds(1.0)), Duration::ZERO, 4, &stop);
        // Late as it may be, calls are still due at their own moments.
        let moments: Vec<Duration> = std::iter::from_fn(|| schedule.next(seconds(0.99))).collect();
        assert_eq!(moments.len(), 100);
        assert_eq!(moments[0], Duration::ZERO);
        assert_eq!(moments[50], seconds(0.5));
        assert_eq!(schedule.entrance(3), Duration::ZERO);
        let pace = Pace::Open { per_second: 100.0 };
        let late = Schedule::new(pace, Until::After(seconds(1.0)), Duration::ZERO, 4, &stop);
        assert_eq!(late.next(seconds(1.0)), None, "the time is over");
    }

    fn unsent(schedule: &Schedule<'_>, made: u64) -> Vec<Unsent> {
        schedule.never_sent(made).collect()
    }

    fn counted(unsent: &[Unsent]) -> u64 {
        unsent.iter().map(|unsent| unsent.count).sum()
    }

    #[test]
    fn what_was_due_and_never_sent_is_told_with_the_time_it_waited() {
        let stop = AtomicBool::new(false);
        let pace = Pace::Open { per_second: 300.0 };
        let until = Until::After(seconds(14.0));
        let schedule = Schedule::new(pace, until, Duration::ZERO, 16, &stop);
        let told = unsent(&schedule, 1_815);
        assert_eq!(told.len(), 2_385, "of 4200");
        assert_eq!(told[0].at, seconds(6.05));
        assert_eq!(told[0].waited, seconds(7.95));
        assert!(told.iter().all(|unsent| unsent.at < seconds(14.0)));
        assert_eq!(unsent(&schedule, 4_200), []);
        // A closed loop owes nothing, and neither does one that had nothing left to call with.
        let closed = Schedule::new(Pace::Closed, until, Duration::ZERO, 16, &stop);
        assert_eq!(unsent(&closed, 0), []);
        schedule.end();
        assert_eq!(unsent(&schedule, 1_815), []);
    }

    #[test]
    fn what_was_due_ends_where_the_run_was_stopped() {
        let stop = AtomicBool::new(false);
        let pace = Pace::Open { per_second: 10.0 };
        let schedule = Schedule::new(pace, Until::Count(100), seconds(2.0), 1, &stop);
        schedule.look(seconds(1.0));
        assert_eq!(unsent(&schedule, 3), [], "all of a count are made");
        stop.store(true, Ordering::Relaxed);
        schedule.look(seconds(4.0));
        schedule.look(seconds(5.0));
        // Ten during the ramp, and twenty in two seconds after it.
        assert_eq!(counted(&unsent(&schedule, 3)), 27);
        let late = Schedule::new(pace, Until::Count(20), Duration::ZERO, 1, &stop);
        late.look(seconds(60.0));
        assert_eq!(
            counted(&unsent(&late, 3)),
            17,
            "no more than were asked for"
        );
    }

    #[test]
    fn very_many_are_told_together() {
        let stop = AtomicBool::new(false);
        let pace = Pace::Open { per_second: 1e7 };
        let until = Until::After(seconds(3.0));
        let schedule = Schedule::new(pace, until, seconds(1.0), 1, &stop);
        let told = unsent(&schedule, 7);
        assert_eq!(counted(&told), 25_000_000 - 7);
        assert!(told.len() <= 1_000_000);
    }

    #[test]
    fn a_ramp_brings_half_as_much() {
        let ramp = seconds(2.0);
        assert_eq!(moment(0, 100.0, ramp), Duration::ZERO);
        assert_eq!(moment(25, 100.0, ramp), seconds(1.0));
        assert_eq!(moment(100, 100.0, ramp), seconds(2.0));
        assert_eq!(moment(200, 100.0, ramp), seconds(3.0));
    }

    #[test]
    fn a_closed_loop_ends_by_time_by_count_or_when_it_is_told_to() {
        let stop = AtomicBool::new(false);
        let by_time = Schedule::new(
            Pace::Closed,
            Until::After(seconds(1.0)),
            seconds(0.5),
            4,
            &stop,
        );
        assert_eq!(by_time.next(seconds(0.9)), Some(seconds(0.9)));
        assert_eq!(by_time.next(seconds(1.0)), None);
        assert_eq!(by_time.entrance(2), seconds(0.25));
        let by_count = Schedule::new(Pace::Closed, Until::Count(2), Duration::ZERO, 1, &stop);
        assert!(by_count.next(seconds(9.0)).is_some());
        assert!(by_count.next(seconds(9.0)).is_some());
        assert!(by_count.next(seconds(9.0)).is_none());
        assert!(by_time.next(seconds(0.1)).is_some());
        by_time.end();
        assert!(by_time.next(seconds(0.1)).is_none());
        assert!(!by_time.is_stopped());
        let told = Schedule::new(Pace::Closed, Until::Count(9), Duration::ZERO, 1, &stop);
        stop.store(true, Ordering::Relaxed);
        assert!(told.next(seconds(0.1)).is_none());
        assert!(told.is_stopped());
    }

    #[tokio::test]
    async fn who_comes_late_counts_from_when_it_should_have_been() {
        let stop = AtomicBool::new(false);
        let schedule = Schedule::new(Pace::Closed, Until::Count(9), Duration::ZERO, 1, &stop);
        let now = Instant::now();
        let past = now.checked_sub(seconds(0.5)).expect("a past");
        assert_eq!(schedule.wait_until(past).await, Some(past));
        let soon = now + seconds(0.01);
        let woken = schedule.wait_until(soon).await.expect("it goes on");
        assert!(woken >= soon && woken <= soon + TIMER, "{:?}", woken - soon);
    }

    #[tokio::test]
    async fn who_waits_for_a_far_moment_sees_the_end() {
        let stop = AtomicBool::new(false);
        let schedule = Schedule::new(Pace::Closed, Until::Count(9), Duration::ZERO, 1, &stop);
        let far = Instant::now() + Duration::from_hours(1);
        let end = async {
            tokio::time::sleep(LOOK / 2).await;
            stop.store(true, Ordering::Relaxed);
        };
        let waited = async { tokio::join!(schedule.wait_until(far), end).0 };
        let woken = tokio::time::timeout(LOOK * 100, waited).await;
        assert_eq!(woken.expect("it ends"), None);
        // Who is due now does not begin either.
        assert_eq!(schedule.wait_until(Instant::now()).await, None);
    }
}
