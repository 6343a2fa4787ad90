//! What the service is told when it starts.

mod guessing;
mod mail;

use std::path::Path;
use std::time::Duration;

use guessing::GuessingConfig;
use latchkey_service_kit::command::Observation;
use latchkey_service_kit::config::{
    Check, ClientConfig, ConfigError, DatabaseConfig, IdentityConfig, LimitsConfig, ListenConfig,
    LogConfig, MetricsConfig, Problems, ShutdownConfig, StreamConfig, TracesConfig, from_file,
};
use latchkey_service_kit::telemetry::Chain;
use mail::MailConfig;
pub use mail::MailFileError;
use serde::{Deserialize, Serialize};

use crate::app::Pace;
use crate::domain::password::Cost;
use crate::private_file::PrivateFile;

/// What the names of environment variables that override the configuration begin with.
const ENVIRONMENT_PREFIX: &str = "LATCHKEY_ENROLLMENT";

/// The most memory that one password hash may take, in KiB: 1 GiB. More is a mistyped number.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;

/// The most passwords that may wait: by then the last one would do so for minutes.
const MAX_WAITING: usize = 10_000;

/// The configuration of the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Where it listens.
    pub listen: ListenConfig,
    /// The database with the schema `enrollment`.
    pub database: DatabaseConfig,
    /// Whose tokens it believes.
    pub identity: IdentityConfig,
    /// The keys service.
    pub keys: ClientConfig,
    /// Who it is towards the keys service.
    pub own_identity: OwnIdentityConfig,
    /// The file with the key of request fingerprints, at least 32 random bytes in hexadecimal, which all replicas share.
    /// Nobody but its owner may be able to read it.
    pub fingerprint_key_file: PrivateFile,
    /// What password hashes cost.
    #[serde(default)]
    pub passwords: PasswordsConfig,
    /// How long it remembers.
    #[serde(default)]
    pub retention: RetentionConfig,
    /// How many wrong guesses are too many.
    #[serde(default)]
    pub guessing: GuessingConfig,
    /// How often it sees to what keys is owed.
    #[serde(default)]
    pub sweeper: SweeperConfig,
    /// How people are told.
    #[serde(default)]
    pub mail: MailConfig,
    /// What it logs.
    #[serde(default)]
    pub log: LogConfig,
    /// Where its metrics can be scraped.
    #[serde(default)]
    pub metrics: MetricsConfig,
    /// Where its traces go.
    #[serde(default)]
    pub traces: TracesConfig,
    /// Bounds on what callers can make it do.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Bounds on exports.
    #[serde(default)]
    pub export: StreamConfig,
    /// How it ends.
    #[serde(default)]
    pub shutdown: ShutdownConfig,
}

/// The tokens that the service signs for its calls to the keys service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnIdentityConfig {
    /// The file with the private key (Ed25519, PKCS#8 PEM). Nobody but its owner may be able to read it.
    pub private_key_file: PrivateFile,
    /// Their `iss`: the `service_issuer` of the keys service.
    pub issuer: String,
    /// Their `aud`: that of the keys service.
    pub audience: String,
}

/// What password hashes (Argon2id) cost, and how many are made at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PasswordsConfig {
    /// The memory that one takes, in KiB.
    pub memory_kib: u32,
    /// How often it goes over the memory.
    pub passes: u32,
    /// Its lanes.
    pub lanes: u32,
    /// The most that are made at once; further ones wait for their turn. Each takes a core and the memory.
    pub at_once: usize,
    /// The most that wait; who comes on top is told OVERLOADED at once.
    pub waiting: usize,
}

/// How long answers are kept that enrolled nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetentionConfig {
    /// Refusals, and answers that a student is in already, in days: 1 to 3650. Until then the same redemption id gets the
    /// same answer; after that it is new. What enrolled a student is kept for ever.
    pub answers_days: i32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { answers_days: 30 }
    }
}

/// How often the sweeper does what, on the average. Each at least 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SweeperConfig {
    /// Looks whether something is owed to keys that was not delivered at once, in milliseconds.
    pub look_interval_ms: u64,
    /// Sweeps everything, in milliseconds.
    pub sweep_interval_ms: u64,
    /// Compares both services as a whole, in one replica, in seconds.
    pub comparison_interval_s: u64,
}

impl SweeperConfig {
    /// The same as durations, with how often replicas tell each other of wrong guesses.
    pub fn pace(&self, exchange: Duration) -> Pace {
        Pace {
            look: Duration::from_millis(self.look_interval_ms),
            sweep: Duration::from_millis(self.sweep_interval_ms),
            comparison: Duration::from_secs(self.comparison_interval_s),
            exchange,
        }
    }
}

impl Default for SweeperConfig {
    fn default() -> Self {
        Self {
            look_interval_ms: 1_000,
            sweep_interval_ms: 30_000,
            comparison_interval_s: 86_400,
        }
    }
}

impl PasswordsConfig {
    /// The cost of one hash.
    pub fn cost(&self) -> Cost {
        Cost {
            memory_kib: self.memory_kib,
            passes: self.passes,
            lanes: self.lanes,
        }
    }
}

impl Default for PasswordsConfig {
    fn default() -> Self {
        let cost = Cost::default();
        Self {
            memory_kib: cost.memory_kib,
            passes: cost.passes,
            lanes: cost.lanes,
            at_once: 4,
            // At 20 ms each and two cores, the last of them waits for about a second.
            waiting: 128,
        }
    }
}

impl Config {
    /// Reads the TOML file at `path` (none: the environment alone) and the environment, where
    /// `LATCHKEY_ENROLLMENT__LISTEN__ADDRESS` overrides `listen.address`. Fails with all unknown fields and all values
    /// that make no sense; the files with keys are read too.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        from_file(path, ENVIRONMENT_PREFIX)
    }

    /// The sections about what the service shows of itself.
    pub fn observation(&self) -> Observation<'_> {
        Observation {
            service: env!("CARGO_PKG_NAME"),
            log: &self.log,
            metrics: &self.metrics,
            traces: &self.traces,
        }
    }
}

impl Check for Config {
    fn check(&self, path: &str, problems: &mut Problems) {
        self.listen.check(&format!("{path}listen."), problems);
        self.database.check(&format!("{path}database."), problems);
        self.identity.check(&format!("{path}identity."), problems);
        self.keys.check(&format!("{path}keys."), problems);
        self.own_identity
            .check(&format!("{path}own_identity."), problems);
        self.passwords.check(&format!("{path}passwords."), problems);
        problems.check(
            &format!("{path}retention.answers_days"),
            (1..=3_650).contains(&self.retention.answers_days),
            "must be 1 to 3650",
        );
        self.guessing.check(&format!("{path}guessing."), problems);
        self.sweeper.check(&format!("{path}sweeper."), problems);
        self.mail.check(&format!("{path}mail."), problems);
        self.log.check(&format!("{path}log."), problems);
        self.traces.check(&format!("{path}traces."), problems);
        self.limits.check(&format!("{path}limits."), problems);
        self.export.check(&format!("{path}export."), problems);
        if let Err(error) = self.fingerprint_key_file.fingerprint_key() {
            problems.add(&format!("{path}fingerprint_key_file"), Chain(&error));
        }
    }
}

impl Check for OwnIdentityConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        if let Err(error) = self.private_key_file.private_key() {
            problems.add(&format!("{path}private_key_file"), Chain(&error));
        }
        for (field, value) in [("issuer", &self.issuer), ("audience", &self.audience)] {
            problems.check(&format!("{path}{field}"), !value.is_empty(), "must be set");
        }
    }
}

impl Check for SweeperConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        for (field, value) in [
            ("look_interval_ms", self.look_interval_ms),
            ("sweep_interval_ms", self.sweep_interval_ms),
            ("comparison_interval_s", self.comparison_interval_s),
        ] {
            // A year is longer than anybody means.
            problems.check(
                &format!("{path}{field}"),
                (1..=31_536_000_000).contains(&value),
                "must be at least 1, and no more than a year",
            );
        }
    }
}

impl Check for PasswordsConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        problems.check(
            &format!("{path}memory_kib"),
            self.memory_kib <= MAX_MEMORY_KIB,
            format_args!("must be at most {MAX_MEMORY_KIB}"),
        );
        problems.check(
            &format!("{path}at_once"),
            self.at_once > 0,
            "must be at least 1",
        );
        problems.check(
            &format!("{path}waiting"),
            self.waiting <= MAX_WAITING,
            format_args!("must be at most {MAX_WAITING}"),
        );
        if let Err(error) = self.cost().check() {
            problems.add(path.trim_end_matches('.'), error);
        }
    }
}

#[cfg(test)]
mod tests;
