//! Identifiers and randomness, as arguments.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use rand::CryptoRng;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use uuid::Uuid;

use crate::clock::{Clock, SystemClock};

/// A source of new identifiers.
pub trait Ids: Debug + Send + Sync {
    /// An identifier (UUID version 7) that no other call returns.
    fn new_id(&self) -> Uuid;
}

/// An identifier for something made at `now`: UUID version 7, so that ids sort by time of making (to the
/// millisecond), with 74 random bits from `random`.
pub fn new_id(now: DateTime<Utc>, random: &mut impl CryptoRng) -> Uuid {
    let mut bytes = [0; 10];
    random.fill_bytes(&mut bytes);
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

/// The least identifier (UUID version 7) that is made at `instant` or later, to the millisecond.
pub fn least_at(instant: DateTime<Utc>) -> Uuid {
    let millis = u128::try_from(instant.timestamp_millis()).unwrap_or(0);
    // An id begins with 48 bits of milliseconds.
    Uuid::from_u128(millis.min((1 << 48) - 1) << 80)
}

/// The operating system's random source: for codes, keys and anything that must not be guessed.
///
/// Each use is a system call. The source panics if the operating system has no entropy to give, which no supported
/// system does once it has booted.
pub fn os_random() -> impl CryptoRng {
    UnwrapErr(SysRng)
}

/// Identifiers from a clock and the thread's cryptographic generator, which seeds itself from the operating system.
#[derive(Debug, Clone)]
pub struct RandomIds {
    clock: Arc<dyn Clock>,
}

impl RandomIds {
    /// Identifiers stamped by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

impl Default for RandomIds {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl Ids for RandomIds {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that makes identifiers from randomness"
    )]
    fn new_id(&self) -> Uuid {
        new_id(self.clock.now(), &mut rand::rng())
    }
}

/// Identifiers that count up from one, for tests that compare whole answers.
#[derive(Debug, Default)]
pub struct CountingIds {
    last: AtomicU64,
}

impl Ids for CountingIds {
    fn new_id(&self) -> Uuid {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&number.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(0, &bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn ids_are_version_seven_and_sort_by_time() {
        let early = DateTime::from_timestamp_millis(1_700_000_000_000).unwrap();
        let late = DateTime::from_timestamp_millis(1_700_000_000_001).unwrap();
        let first = new_id(early, &mut os_random());
        let second = new_id(late, &mut os_random());
        assert_eq!(first.get_version_num(), 7);
        assert!(first < second);
    }

    #[test]
    fn the_least_id_of_an_instant_is_not_after_those_made_then_and_after_all_made_before() {
        let at = |millis| DateTime::from_timestamp_millis(millis).unwrap();
        let least = least_at(at(1_700_000_000_001));
        assert!(least <= new_id(at(1_700_000_000_001), &mut os_random()));
        assert!(least > new_id(at(1_700_000_000_000), &mut os_random()));
        assert_eq!(least_at(at(-1)), Uuid::nil());
    }

    #[test]
    fn ids_of_one_instant_differ() {
        let clock = Arc::new(ManualClock::at(
            DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        ));
        let ids = RandomIds::new(clock);
        let made: HashSet<Uuid> = (0..1_000).map(|_| ids.new_id()).collect();
        assert_eq!(made.len(), 1_000);
    }

    #[test]
    fn counting_ids_are_the_same_in_each_run() {
        let (one, two) = (CountingIds::default(), CountingIds::default());
        assert_eq!(one.new_id(), two.new_id());
        assert_ne!(one.new_id(), Uuid::nil());
        assert!(one.new_id() > two.new_id());
    }
}
