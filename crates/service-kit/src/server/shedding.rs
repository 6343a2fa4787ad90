//! Calls that are refused because too many are in progress.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often they are told of in the log. A line for each would make an overload worse, and fill the disk of whoever is
/// flooded; `latchkey_calls_total` counts each.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// Counts refused calls, and tells of them now and then.
#[derive(Debug, Default)]
pub(super) struct Shedding(Mutex<Untold>);

#[derive(Debug, Default)]
struct Untold {
    calls: u64,
    told: Option<Instant>,
}

impl Shedding {
    /// Notes one refused call.
    pub(super) fn note(&self) {
        if let Some(calls) = self.due(Instant::now()) {
            tracing::warn!(
                calls,
                "calls were refused: as many as allowed are in progress (limits.max_calls)"
            );
        }
    }

    /// One more; how many there are to tell of, if it is time.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut untold = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        untold.calls += 1;
        let early = untold.told.is_some_and(|told| now < told + TELL_INTERVAL);
        if early {
            return None;
        }
        untold.told = Some(now);
        Some(std::mem::take(&mut untold.calls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_a_flood_once_a_second() {
        let shedding = Shedding::default();
        let began = Instant::now();
        assert_eq!(shedding.due(began), Some(1));
        for _ in 0..10_000 {
            assert_eq!(shedding.due(began + TELL_INTERVAL / 2), None);
        }
        assert_eq!(shedding.due(began + TELL_INTERVAL), Some(10_001));
        assert_eq!(shedding.due(began + TELL_INTERVAL), None);
    }
}
