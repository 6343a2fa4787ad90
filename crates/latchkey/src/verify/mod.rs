//! `latchkey verify`: whether what both services store holds together.
//!
//! Each service states and checks its own invariants, in one snapshot of its own schema. What spans both is compared
//! here: the uses of keys, and the copies of organizations and classes that keys keeps of enrollment's.
//!
//! A copy follows its original by a moment, so a difference counts only if it is seen twice, the same both times, and
//! all that was owed to keys when it was first seen was delivered in between. That is sound while traffic goes on:
//!
//! - An original that both readings of enrollment show unchanged was there before the delivery, which therefore
//!   brought its copy; if the second reading of keys lacks it, it is missing.
//! - A copy that both readings of keys show, and that the first reading of enrollment (which begins after that of keys)
//!   did not show, had been given up or was never there; the delivery would have ended it, so it is a stray.

mod compare;
mod losses;
mod repair;
mod report;
mod sides;

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context;
use latchkey_service_kit::database::ServerTrust;
use latchkey_service_kit::invariants::Finding;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool};
use tokio::time::{Instant, sleep};

pub use repair::{Mended, Repaired, repair};
pub use report::Report;
use sides::Seen;

/// What the server shows beside the connections.
const APPLICATION: &str = "latchkey-verify";
/// How many connections are open to each database at once: one streams while another asks.
const CONNECTIONS: u32 = 2;
/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked whether everything owed is delivered.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Connections to the databases of both services, which may be one.
#[derive(Debug, Clone)]
pub struct Databases {
    keys: PgPool,
    enrollment: PgPool,
}

impl Databases {
    /// Connects to both, of a stack that made them itself. Each URL needs no more rights than its service has.
    ///
    /// # Errors
    /// When a URL makes no sense, or nobody answers there.
    pub async fn connect(keys: &SecretString, enrollment: &SecretString) -> anyhow::Result<Self> {
        Self::connect_trusting(keys, enrollment, &ServerTrust::in_anybody()).await
    }

    /// The same with servers that are known by `trust`.
    ///
    /// # Errors
    /// When a URL makes no sense, a server could be anybody, or nobody answers there.
    pub async fn connect_trusting(
        keys: &SecretString,
        enrollment: &SecretString,
        trust: &ServerTrust,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            keys: pool(keys, trust)
                .await
                .context("the database of the keys service")?,
            enrollment: pool(enrollment, trust)
                .await
                .context("the database of the enrollment service")?,
        })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.keys.close().await;
        self.enrollment.close().await;
    }
}

async fn pool(url: &SecretString, trust: &ServerTrust) -> anyhow::Result<PgPool> {
    let options: PgConnectOptions = url
        .expose_secret()
        .parse()
        // The parser's error may repeat a part of the URL, which has a password in it.
        .map_err(|_| anyhow::anyhow!("its address is not a URL of Postgres"))?;
    let options = trust
        .apply(options)?
        .application_name(APPLICATION)
        .disable_statement_logging()
        .options([("timezone", "UTC")]);
    // A pool would go on trying where nobody listens, and not say why it gave up.
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let first = tokio::time::timeout(CONNECT_WITHIN, options.connect()).await;
    first
        .with_context(|| format!("nobody answers at {place}"))?
        .with_context(|| format!("cannot connect to {place}; does the stack run?"))?
        .close()
        .await?;
    Ok(PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(CONNECT_WITHIN)
        .connect_lazy_with(options))
}

/// How long what is owed to keys may take to arrive there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// The bound.
    pub within: Duration,
}

impl Default for Drain {
    /// Longer than the interval of the enrollment service's sweeper (30 s), which delivers what a process left behind
    /// that ended right after a commit. Everything else arrives within milliseconds.
    fn default() -> Self {
        Self {
            within: Duration::from_secs(40),
        }
    }
}

/// Checks everything. The running enrollment service delivers what is owed; this only waits for it.
///
/// # Errors
/// When a database cannot be read. What is broken is not an error but in the report.
pub async fn verify(databases: &Databases, drain: &Drain) -> anyhow::Result<Report> {
    let first = Seen::look(databases).await?;
    let mut findings = match drained(databases, drain).await? {
        Ok(()) => {
            let second = Seen::look(databases).await?;
            let still: HashSet<_> = second.into_iter().collect();
            first
                .into_iter()
                .filter(|seen| still.contains(seen))
                .map(Seen::into_finding)
                .collect()
        }
        Err(owed) => vec![owed],
    };
    findings.extend(sides::findings(databases).await?);
    Ok(Report::of(findings))
}

/// Waits until keys has been told everything that it was owed when this was called; a finding if that takes too long.
async fn drained(databases: &Databases, drain: &Drain) -> anyhow::Result<Result<(), Finding>> {
    let mark = sides::mark(databases).await?;
    let deadline = Instant::now() + drain.within;
    loop {
        let owed = sides::owed_below(databases, &mark).await?;
        if owed == 0 {
            return Ok(Ok(()));
        }
        if Instant::now() >= deadline {
            return Ok(Err(Finding {
                table: "enrollment.deliveries",
                id: format!("changes below {mark}"),
                invariant: "what keys is owed is delivered",
                found: format!(
                    "{owed} changes still wait after {} s; do both services run?",
                    drain.within.as_secs()
                ),
            }));
        }
        sleep(LOOK_EVERY).await;
    }
}
