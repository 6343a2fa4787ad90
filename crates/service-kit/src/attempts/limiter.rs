//! One limit.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::{Quota, RateLimiter};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::book::{Book, Entry};
use super::{Allowance, LONGEST_DEBT, Subject, TooMany};

/// What time and the way to the database may add to what a replica is told of its own failures. It is taken off, so that no
/// wait that a caller was told grows by it.
const SLACK: Duration = Duration::from_millis(100);

/// The time since a limit was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running(Instant);

impl Clock for Running {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

/// See the module. `C` shows the time since the limit was made.
pub(super) struct Limiter<C: Clock<Instant = Nanos> = Running> {
    governor: RateLimiter<Entry, Book, C, NoOpMiddleware<Nanos>>,
    book: Book,
    allowance: Allowance,
    /// Failures that other replicas were not told of, and since when.
    untold: Mutex<HashMap<Subject, Untold>>,
    /// Attempts in progress that were let in by [`Limiter::enter`].
    inside: Mutex<HashMap<Subject, Inside>>,
    /// The most subjects that are remembered.
    places: usize,
}

/// Failures of one subject that other replicas were not told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Untold {
    pub(super) failures: u32,
    /// When the first of them happened, on the limit's clock.
    pub(super) since: Nanos,
}

/// Attempts of one subject in progress.
#[derive(Debug, Default)]
struct Inside {
    attempts: u32,
    one_left: Arc<Notify>,
}

/// Whether an attempt is let in.
enum Room {
    /// It is.
    ForOneMore,
    /// It is not, even if none of those in progress fails.
    None(TooMany),
    /// It depends on those in progress.
    WhenOneLeaves,
}

impl Limiter {
    /// A limit that remembers `places` subjects.
    pub(super) fn new(allowance: Allowance, places: usize) -> Self {
        Self::with_clock(allowance, places, Running(Instant::now()))
    }
}

impl<C: Clock<Instant = Nanos>> Limiter<C> {
    pub(super) fn with_clock(allowance: Allowance, places: usize, clock: C) -> Self {
        let refill = allowance.refill.max(Duration::from_nanos(1));
        let burst = NonZeroU32::new(allowance.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(refill)
            .unwrap_or_else(|| Quota::per_hour(NonZeroU32::MIN))
            .allow_burst(burst);
        let book = Book::new(refill.into(), places);
        Self {
            governor: RateLimiter::new(quota, book.clone(), clock),
            book,
            allowance,
            untold: Mutex::default(),
            inside: Mutex::default(),
            places,
        }
    }

    pub(super) fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// Whether there is room for a failure of `subject`.
    pub(super) fn look(&self, subject: Subject) -> Result<(), TooMany> {
        let looked = self.governor.check_key(&Entry::Look(subject));
        looked.map_err(|until| TooMany {
            retry_after: in_whole_milliseconds(until.wait_time_from(self.now())),
        })
    }

    /// Lets an attempt of `subject` in, when there is room for its failure beside those in progress.
    pub(super) async fn enter(&self, subject: Subject) -> Result<Turn<'_, C>, TooMany> {
        loop {
            let one_left = {
                let mut inside = lock(&self.inside);
                let present = inside.get(&subject).map_or(0, |present| present.attempts);
                match self.room(subject, present) {
                    Room::ForOneMore => {
                        inside.entry(subject).or_default().attempts += 1;
                        return Ok(Turn {
                            limiter: self,
                            subject,
                        });
                    }
                    Room::None(refused) => {
                        // Nor is it for those who wait: each hears it from the one before.
                        if let Some(present) = inside.get(&subject) {
                            present.one_left.notify_one();
                        }
                        return Err(refused);
                    }
                    Room::WhenOneLeaves => {
                        let present = inside.entry(subject).or_default();
                        // Made under the lock, so that nobody's leaving is missed.
                        Arc::clone(&present.one_left).notified_owned()
                    }
                }
            };
            one_left.await;
        }
    }

    fn room(&self, subject: Subject, present: u32) -> Room {
        let entry = Entry::Look(subject);
        let all = NonZeroU32::MIN.saturating_add(present);
        if let Ok(Ok(())) = self.governor.check_key_n(&entry, all) {
            return Room::ForOneMore;
        }
        match self.look(subject) {
            Err(refused) => Room::None(refused),
            Ok(()) => Room::WhenOneLeaves,
        }
    }

    fn leave(&self, subject: Subject) {
        let mut inside = lock(&self.inside);
        if let Place::Occupied(mut place) = inside.entry(subject) {
            let present = place.get_mut();
            present.attempts = present.attempts.saturating_sub(1);
            if present.attempts == 0 {
                // Whoever waits looks again, and begins a new count.
                place.remove().one_left.notify_waiters();
            } else {
                // One has left, so there is room for one: to wake all would cost each of them a look for each who leaves.
                present.one_left.notify_one();
            }
        }
    }

    /// An attempt of `subject` failed.
    pub(super) fn failed(&self, subject: Subject) {
        // Refused or not: it happened.
        let _ = self.governor.check_key(&Entry::Failure(subject));
        let untold = Untold {
            failures: 1,
            since: self.now(),
        };
        self.owe(subject, untold);
    }

    fn owe(&self, subject: Subject, more: Untold) {
        let mut untold = lock(&self.untold);
        let full = untold.len() >= self.places;
        match untold.entry(subject) {
            Place::Occupied(mut place) => {
                let known = place.get_mut();
                known.failures = known.failures.saturating_add(more.failures);
                known.since = known.since.min(more.since);
            }
            Place::Vacant(place) if !full => {
                place.insert(more);
            }
            // Nobody was told for long: this replica goes on by itself.
            Place::Vacant(_) => {}
        }
    }

    /// The failures that other replicas were not told of. They count as told from now on.
    pub(super) fn take_untold(&self) -> Vec<(Subject, Untold)> {
        std::mem::take(&mut *lock(&self.untold))
            .into_iter()
            .collect()
    }

    /// Takes back what could not be told after all.
    pub(super) fn keep_untold(&self, untold: impl IntoIterator<Item = (Subject, Untold)>) {
        for (subject, failures) in untold {
            self.owe(subject, failures);
        }
    }

    /// How long ago `instant` of the limit's clock was.
    pub(super) fn age(&self, instant: Nanos) -> Duration {
        self.now().duration_since(instant).into()
    }

    /// All replicas together have it that `subject` pays for that long.
    pub(super) fn hear(&self, subject: Subject, pays_for: Duration) {
        let pays_for = pays_for.saturating_sub(SLACK).min(LONGEST_DEBT);
        if !pays_for.is_zero() {
            self.book.raise(subject, self.now() + pays_for);
        }
    }

    /// Forgets those who owe nothing.
    pub(super) fn forget_settled(&self) {
        self.governor.retain_recent();
    }

    fn now(&self) -> Nanos {
        self.governor.clock().now()
    }
}

impl<C: Clock<Instant = Nanos>> fmt::Debug for Limiter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("allowance", &self.allowance)
            .finish_non_exhaustive()
    }
}

/// An attempt in progress; over when it is dropped. Its failure is counted before that.
#[derive(Debug)]
pub(super) struct Turn<'l, C: Clock<Instant = Nanos> = Running> {
    limiter: &'l Limiter<C>,
    subject: Subject,
}

impl<C: Clock<Instant = Nanos>> Drop for Turn<'_, C> {
    fn drop(&mut self) {
        self.limiter.leave(self.subject);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `wait`, rounded up: who waits that long has waited long enough.
fn in_whole_milliseconds(wait: Duration) -> Duration {
    let milliseconds = wait.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
