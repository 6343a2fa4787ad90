//! Sections that the services share.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::redact::without_password;
use super::transport::readable;
use super::{Check, Problems, SecretFile};
use crate::database::{self, ServerTrust};
use crate::telemetry::Chain;

/// The database and how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseConfig {
    /// A file with the URL, for a URL with a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_file: Option<SecretFile>,
    /// The URL itself, when it has no password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The authorities whose certificates the server may show: PEM, read for each connection. With it the server is verified,
    /// by TLS and its name; a server on another machine must be, by this or by `sslmode=verify-full` in the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Takes a server on another machine although it could be anybody: whoever is on the way to it gets the password and all
    /// data.
    #[serde(default)]
    pub unverified_server: bool,
    /// The most connections held at once. One process works well with few: batches share them.
    #[serde(default = "ten")]
    pub max_connections: u32,
    /// How long work waits for a connection before it fails, in milliseconds.
    #[serde(default = "two_seconds")]
    pub acquire_timeout_ms: u64,
    /// How long one statement may run, in milliseconds.
    #[serde(default = "five_seconds")]
    pub statement_timeout_ms: u64,
    /// How long a statement may wait for a lock, in milliseconds.
    #[serde(default = "two_seconds")]
    pub lock_timeout_ms: u64,
    /// How long a transaction may stand idle before the server ends it, in milliseconds: at most 5000, because a
    /// process that was stopped in the middle of a transaction holds its locks that long.
    #[serde(default = "five_seconds")]
    pub idle_in_transaction_timeout_ms: u64,
}

/// Bounds on what callers can make the service do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitsConfig {
    /// The most calls in progress at once in this process; beyond, callers are asked to come back.
    pub max_calls: usize,
    /// The most connections open at once; beyond, new ones are closed.
    pub max_connections: usize,
    /// The most calls in progress on one connection.
    pub max_streams_per_connection: u32,
    /// The most calls that need no token in progress on one connection, of each kind: health checks, health watches,
    /// reflection. Nobody knows who makes them; who takes too many shuts out only themselves.
    pub max_open_calls_per_connection: usize,
    /// The most calls of reflection in progress in this process: their answers are large and anybody gets them. A place is free
    /// again at its call's deadline at the latest.
    pub max_reflections: usize,
    /// The largest request message, in bytes.
    pub max_request_bytes: usize,
    /// The largest response message, in bytes.
    pub max_response_bytes: usize,
    /// The largest set of request headers, in bytes. A token takes most of it.
    pub max_header_bytes: u32,
    /// How long a new connection may take to show that it speaks HTTP/2, in milliseconds.
    pub handshake_timeout_ms: u64,
    /// How often a connection is asked whether it is alive, in milliseconds.
    pub keepalive_interval_ms: u64,
    /// How long it may take to answer that, in milliseconds.
    pub keepalive_timeout_ms: u64,
    /// The deadline of a call that brings none, in milliseconds.
    pub default_deadline_ms: u64,
    /// The longest deadline that is honoured, in milliseconds.
    pub max_deadline_ms: u64,
}

/// How the service ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShutdownConfig {
    /// How long the service still accepts calls after it has told its health watchers that it is going away, in
    /// milliseconds: time for load balancers to take notice.
    pub notice_ms: u64,
    /// How long calls in progress may take to end, in milliseconds; then connections are closed.
    pub drain_ms: u64,
}

fn ten() -> u32 {
    10
}
fn two_seconds() -> u64 {
    2_000
}
fn five_seconds() -> u64 {
    5_000
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_calls: 4_096,
            max_connections: 4_096,
            max_streams_per_connection: 1_024,
            max_open_calls_per_connection: 16,
            max_reflections: 32,
            max_request_bytes: 1024 * 1024,
            max_response_bytes: 4 * 1024 * 1024,
            max_header_bytes: 16 * 1024,
            handshake_timeout_ms: 5_000,
            keepalive_interval_ms: 30_000,
            keepalive_timeout_ms: 10_000,
            default_deadline_ms: 10_000,
            max_deadline_ms: 60_000,
        }
    }
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self {
            notice_ms: 0,
            drain_ms: 10_000,
        }
    }
}

/// How long an answer of the database may be on its way.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

impl DatabaseConfig {
    /// By what the server is known.
    pub fn trust(&self) -> ServerTrust {
        ServerTrust {
            ca_file: self.ca_file.clone(),
            unverified: self.unverified_server,
        }
    }

    /// Whether the server could be anybody, though that is not good enough. What is wrong with the URL is told elsewhere.
    fn check_server(&self, path: &str, problems: &mut Problems) {
        if let Some(file) = &self.ca_file {
            readable(path, "ca_file", file, problems);
        }
        let verified =
            database::options(self).is_none_or(|options| self.trust().apply(options).is_ok());
        problems.check(
            &format!("{path}ca_file"),
            verified,
            "must be set (or `sslmode=verify-full` in the URL): the server is on another machine, and whoever is on the way \
             to one that is not verified gets the password and all data (`unverified_server = true` takes that)",
        );
        problems.check(
            &format!("{path}unverified_server"),
            !(self.unverified_server && self.ca_file.is_some()),
            "must not be set together with `ca_file`",
        );
    }

    /// How long work waits for a connection.
    pub fn acquire_timeout(&self) -> Duration {
        Duration::from_millis(self.acquire_timeout_ms)
    }

    /// How long the work of one batch may take before its connection is taken for dead: the server itself ends a
    /// statement before that, so whatever is silent for longer does not hear us.
    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.acquire_timeout_ms + self.statement_timeout_ms) + ANSWER_WITHIN
    }
}

impl ShutdownConfig {
    /// How long calls in progress may take to end.
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }

    /// How long the service still accepts calls once it is going away.
    pub fn notice(&self) -> Duration {
        Duration::from_millis(self.notice_ms)
    }
}

impl Check for DatabaseConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        match (&self.url_file, &self.url) {
            (Some(file), None) => {
                if let Err(error) = file.read() {
                    problems.add(&format!("{path}url_file"), Chain(&error));
                }
            }
            (None, Some(url)) => {
                let open = without_password(url).is_some();
                problems.check(
                    &format!("{path}url"),
                    !open,
                    "has a password in it: put it in a file, as `url_file`",
                );
            }
            (None, None) => problems.add(
                &format!("{path}url_file"),
                "must be set (or `url`, without a password)",
            ),
            (Some(_), Some(_)) => problems.add(
                &format!("{path}url"),
                "must not be set together with `url_file`",
            ),
        }
        self.check_server(path, problems);
        problems.check(
            &format!("{path}max_connections"),
            self.max_connections > 0,
            "must be at least 1",
        );
        problems.check(
            &format!("{path}acquire_timeout_ms"),
            self.acquire_timeout_ms > 0,
            "must be at least 1",
        );
        problems.check(
            &format!("{path}statement_timeout_ms"),
            self.statement_timeout_ms > 0,
            "must be at least 1",
        );
        problems.check(
            &format!("{path}lock_timeout_ms"),
            self.lock_timeout_ms > 0,
            "must be at least 1",
        );
        problems.check(
            &format!("{path}idle_in_transaction_timeout_ms"),
            (1..=5_000).contains(&self.idle_in_transaction_timeout_ms),
            "must be 1 to 5000",
        );
    }
}

impl Check for LimitsConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        let mut at_least = |field: &str, value: u64, least: u64| {
            problems.check(
                &format!("{path}{field}"),
                value >= least,
                format_args!("must be at least {least}"),
            );
        };
        at_least("max_calls", self.max_calls as u64, 1);
        at_least("max_connections", self.max_connections as u64, 1);
        at_least(
            "max_streams_per_connection",
            self.max_streams_per_connection.into(),
            1,
        );
        at_least(
            "max_open_calls_per_connection",
            self.max_open_calls_per_connection as u64,
            1,
        );
        at_least("max_reflections", self.max_reflections as u64, 1);
        at_least("max_request_bytes", self.max_request_bytes as u64, 1_024);
        at_least("max_response_bytes", self.max_response_bytes as u64, 1_024);
        at_least("max_header_bytes", self.max_header_bytes.into(), 1_024);
        at_least("handshake_timeout_ms", self.handshake_timeout_ms, 1);
        at_least("keepalive_interval_ms", self.keepalive_interval_ms, 1);
        at_least("keepalive_timeout_ms", self.keepalive_timeout_ms, 1);
        at_least("default_deadline_ms", self.default_deadline_ms, 1);
        at_least(
            "max_deadline_ms",
            self.max_deadline_ms,
            self.default_deadline_ms,
        );
    }
}
