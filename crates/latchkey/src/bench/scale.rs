//! How long and how large measurements are.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// How many rounds a figure is the median of that may be quoted: those of the full form unless told otherwise.
pub const ROUNDS: usize = 5;
/// How many rounds the quick form has.
pub const QUICK_ROUNDS: usize = 3;

/// The size of everything in a run of benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Scale {
    /// How often the two sides of a benchmark take turns.
    pub rounds: usize,
    /// How long pgbench runs with each number of clients.
    #[serde(rename = "by_hand_seconds", serialize_with = "seconds")]
    pub by_hand: Duration,
    /// With how many clients; the best of them counts.
    pub clients: &'static [u32],
    /// How many single-use keys pgbench has: more than the fastest run uses.
    pub keys_by_hand: u32,
    /// How many calls a measurement makes where many make them: some seconds of them.
    pub calls: u64,
    /// How many where one makes them after the other.
    pub calls_alone: u64,
    /// How many keys bulk work is about.
    pub bulk: u64,
    /// How many keys a large table has.
    pub table: u64,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl Scale {
    /// All of it, with this many rounds.
    pub fn full(rounds: usize) -> Self {
        Self {
            rounds,
            by_hand: Duration::from_secs(5),
            clients: &[8, 32, 64],
            keys_by_hand: 200_000,
            calls: 40_000,
            calls_alone: 3_000,
            bulk: 1_000_000,
            table: 10_000_000,
        }
    }

    /// As little as still says something.
    pub fn quick(rounds: usize) -> Self {
        Self {
            rounds,
            by_hand: Duration::from_secs(1),
            clients: &[32],
            keys_by_hand: 40_000,
            calls: 5_000,
            calls_alone: 500,
            bulk: 40_000,
            table: 100_000,
        }
    }

    /// How many calls all rounds make together, and some more for warming up.
    pub(super) fn all_calls(&self, of_a_round: u64) -> usize {
        let all = of_a_round * (self.rounds as u64 + 1);
        usize::try_from(all).unwrap_or(usize::MAX)
    }
}
