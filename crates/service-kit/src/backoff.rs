//! Pauses before something is tried again: each of random length (full jitter), so that those who failed together do not
//! come back together.

use std::time::Duration;

use rand::RngExt;

use crate::ids::os_random;

/// How pauses grow with failures in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest pause after the first failure; doubled after each further one.
    pub first: Duration,
    /// The longest pause after any.
    pub longest: Duration,
}

impl Backoff {
    /// A pause after so many `failures` in a row: any part of [`Backoff::longest_after`] them.
    pub fn pause(&self, failures: u32) -> Duration {
        any_part_of(self.longest_after(failures))
    }

    /// The longest pause after so many `failures` in a row.
    pub fn longest_after(&self, failures: u32) -> Duration {
        self.first
            .saturating_mul(1 << failures.saturating_sub(1).min(16))
            .min(self.longest)
    }
}

/// Any time from nothing to `longest`.
pub fn any_part_of(longest: Duration) -> Duration {
    longest.mul_f64(os_random().random_range(0.0..1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_a_bound() {
        let backoff = Backoff {
            first: Duration::from_millis(20),
            longest: Duration::from_secs(5),
        };
        assert_eq!(backoff.longest_after(0), backoff.first);
        assert_eq!(backoff.longest_after(1), backoff.first);
        assert_eq!(backoff.longest_after(3), 4 * backoff.first);
        assert_eq!(backoff.longest_after(4), 8 * backoff.first);
        assert_eq!(backoff.longest_after(u32::MAX), backoff.longest);
        assert!(any_part_of(backoff.longest) < backoff.longest);
        assert!(backoff.pause(2) < 2 * backoff.first);
    }
}
