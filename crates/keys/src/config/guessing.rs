//! How many wrong guesses are too many.

use std::time::Duration;

use latchkey_service_kit::attempts::{Allowance, check_settings};
use latchkey_service_kit::config::{Check, Problems};
use serde::{Deserialize, Serialize};

use crate::app::guesses::{CALLER, ORGANIZATION};

/// Bounds on wrong codes: how many may be wrong at once (0: any number), and after how many milliseconds one more may.
/// All replicas must have the same. The defaults and their reasons stand in `deploy/keys.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GuessingConfig {
    /// Wrong codes of one caller.
    pub caller_burst: u32,
    /// After how long one more.
    pub caller_refill_ms: u64,
    /// Wrong codes of all callers of one organization.
    pub organization_burst: u32,
    /// After how long one more.
    pub organization_refill_ms: u64,
    /// How often replicas tell each other of wrong guesses, in milliseconds.
    pub exchange_interval_ms: u64,
}

impl Default for GuessingConfig {
    fn default() -> Self {
        Self {
            caller_burst: 100,
            caller_refill_ms: 10_000,
            organization_burst: 500,
            organization_refill_ms: 5_000,
            exchange_interval_ms: 1_000,
        }
    }
}

impl GuessingConfig {
    /// How often replicas tell each other of wrong guesses.
    pub fn exchange_interval(&self) -> Duration {
        Duration::from_millis(self.exchange_interval_ms)
    }

    /// The allowance of each limit; `None` of one that is off.
    pub fn allowances(&self) -> [(&'static str, Option<Allowance>); 2] {
        let of = Allowance::of;
        [
            (CALLER, of(self.caller_burst, self.caller_refill_ms)),
            (
                ORGANIZATION,
                of(self.organization_burst, self.organization_refill_ms),
            ),
        ]
    }
}

impl Check for GuessingConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        let interval_ms = self.exchange_interval_ms;
        check_settings(&self.allowances(), interval_ms, path, problems);
    }
}
