//! How many wrong guesses are too many.

use std::time::Duration;

use latchkey_service_kit::attempts::{Allowance, check_settings};
use latchkey_service_kit::config::{Check, Problems};
use serde::{Deserialize, Serialize};

use crate::app::redemption::guesses::{
    ACCOUNT, CALLER, NEWCOMER, NEWCOMERS, ORGANIZATION, PLATFORM, STUDENT,
};

/// Bounds on wrong codes and wrong passwords. Of each: how many may be wrong at once (0: any number), and after how many
/// milliseconds one more may. All replicas must have the same. The defaults and their reasons stand in
/// `deploy/enrollment.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GuessingConfig {
    /// Wrong codes of one student.
    pub student_burst: u32,
    /// After how long one more.
    pub student_refill_ms: u64,
    /// Wrong codes of one e-mail address that would register in one organization.
    pub newcomer_burst: u32,
    /// After how long one more.
    pub newcomer_refill_ms: u64,
    /// Wrong codes of all students of one organization.
    pub organization_burst: u32,
    /// After how long one more.
    pub organization_refill_ms: u64,
    /// Wrong codes of all who would register in one organization.
    pub newcomers_burst: u32,
    /// After how long one more.
    pub newcomers_refill_ms: u64,
    /// Wrong codes of one caller who is no platform service.
    pub caller_burst: u32,
    /// After how long one more.
    pub caller_refill_ms: u64,
    /// Wrong codes of one platform service.
    pub platform_burst: u32,
    /// After how long one more.
    pub platform_refill_ms: u64,
    /// Wrong passwords of one account.
    pub account_burst: u32,
    /// After how long one more.
    pub account_refill_ms: u64,
    /// How often replicas tell each other of wrong guesses, in milliseconds.
    pub exchange_interval_ms: u64,
}

impl Default for GuessingConfig {
    fn default() -> Self {
        Self {
            student_burst: 10,
            student_refill_ms: 60_000,
            newcomer_burst: 10,
            newcomer_refill_ms: 60_000,
            organization_burst: 1_000,
            organization_refill_ms: 1_000,
            newcomers_burst: 1_000,
            newcomers_refill_ms: 1_000,
            caller_burst: 100,
            caller_refill_ms: 10_000,
            platform_burst: 0,
            platform_refill_ms: 100,
            account_burst: 10,
            account_refill_ms: 60_000,
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
    pub fn allowances(&self) -> [(&'static str, Option<Allowance>); 7] {
        let of = Allowance::of;
        [
            (STUDENT, of(self.student_burst, self.student_refill_ms)),
            (NEWCOMER, of(self.newcomer_burst, self.newcomer_refill_ms)),
            (
                ORGANIZATION,
                of(self.organization_burst, self.organization_refill_ms),
            ),
            (
                NEWCOMERS,
                of(self.newcomers_burst, self.newcomers_refill_ms),
            ),
            (CALLER, of(self.caller_burst, self.caller_refill_ms)),
            (PLATFORM, of(self.platform_burst, self.platform_refill_ms)),
            (ACCOUNT, of(self.account_burst, self.account_refill_ms)),
        ]
    }
}

impl Check for GuessingConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        let interval_ms = self.exchange_interval_ms;
        check_settings(&self.allowances(), interval_ms, path, problems);
    }
}
