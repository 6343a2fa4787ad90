//! Bounds on calls that may go on for minutes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Check, Problems};

/// How much calls of one kind may take of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamConfig {
    /// The most at once in this process; beyond, callers are asked to come back. Each keeps some megabytes of memory,
    /// whatever its length.
    pub max_at_once: usize,
    /// How long one may go on, in milliseconds: the longest deadline that is honoured, and that of a call which brings
    /// none. It is for slow readers, and for a million keys.
    pub max_duration_ms: u64,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            max_at_once: 4,
            max_duration_ms: 600_000,
        }
    }
}

impl StreamConfig {
    /// How long a call may go on.
    pub fn max_duration(&self) -> Duration {
        Duration::from_millis(self.max_duration_ms)
    }
}

impl Check for StreamConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        problems.check(
            &format!("{path}max_at_once"),
            self.max_at_once > 0,
            "must be at least 1",
        );
        problems.check(
            &format!("{path}max_duration_ms"),
            self.max_duration_ms > 0,
            "must be at least 1",
        );
    }
}
