//! What a measurement took: processors, memory, log.

mod process;
mod wal;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;
use sqlx::PgConnection;
use tokio::task::spawn_blocking;

use self::process::{busy, cpu, family};
pub use self::process::{memory, reset_peak};
use self::wal::{Wal, postmaster};
use super::percentile::median;
use crate::load::observe::Look;

/// The stage whose batches are transactions that decide.
const DECIDE: &str = "decide";

/// What to look at.
#[derive(Debug)]
pub struct Meter {
    /// The processes of the keys service.
    pub keys: Vec<u32>,
    /// The processes of the enrollment service.
    pub enrollment: Vec<u32>,
    /// Where an enrollment process shows its metrics.
    pub metrics: Option<SocketAddr>,
    /// A connection to the server, that of its owner.
    pub server: PgConnection,
}

/// What a measurement took, by one operation where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Usage {
    /// How many processors of the machine were busy, on the average.
    pub cores_busy: f64,
    /// Microseconds of processor time of the keys service.
    pub keys_us: f64,
    /// Of the enrollment service.
    pub enrollment_us: f64,
    /// Of Postgres with all its processes.
    pub postgres_us: f64,
    /// Of this program and pgbench.
    pub client_us: f64,
    /// Bytes of write-ahead log.
    pub wal_bytes: f64,
    /// How often the log was flushed to disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_flushes: Option<f64>,
    /// Decisions in a transaction, on the average of the whole measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<f64>,
    /// The most memory that one keys process had, in MiB.
    pub keys_peak_mib: f64,
    /// Likewise, of enrollment.
    pub enrollment_peak_mib: f64,
}

/// All counters at one moment.
#[derive(Debug, Clone)]
struct Reading {
    at: Instant,
    busy: Duration,
    keys: Duration,
    enrollment: Duration,
    postgres: Duration,
    client: Duration,
    wal: Wal,
    enrollment_look: Option<Look>,
}

/// A measurement that goes on.
#[derive(Debug)]
pub struct Measurement {
    before: Reading,
}

impl Usage {
    /// The median of each figure; none of none.
    pub fn median(usages: &[Self]) -> Option<Self> {
        let of = |figure: fn(&Self) -> f64| median(usages.iter().map(figure));
        let maybe = |figure: fn(&Self) -> Option<f64>| median(usages.iter().filter_map(figure));
        Some(Self {
            cores_busy: of(|usage| usage.cores_busy)?,
            keys_us: of(|usage| usage.keys_us)?,
            enrollment_us: of(|usage| usage.enrollment_us)?,
            postgres_us: of(|usage| usage.postgres_us)?,
            client_us: of(|usage| usage.client_us)?,
            wal_bytes: of(|usage| usage.wal_bytes)?,
            wal_flushes: maybe(|usage| usage.wal_flushes),
            batch: maybe(|usage| usage.batch),
            keys_peak_mib: of(|usage| usage.keys_peak_mib)?,
            enrollment_peak_mib: of(|usage| usage.enrollment_peak_mib)?,
        })
    }
}

impl Meter {
    /// What measures work that the server does without the services.
    pub fn of_server(server: PgConnection) -> Self {
        Self {
            keys: Vec::new(),
            enrollment: Vec::new(),
            metrics: None,
            server,
        }
    }

    /// Begins a measurement. Peaks of memory begin anew.
    ///
    /// # Errors
    /// When the operating system or the server does not tell.
    pub async fn begin(&mut self) -> anyhow::Result<Measurement> {
        for pid in self.keys.iter().chain(&self.enrollment) {
            reset_peak(*pid);
        }
        let before = self.read().await?;
        Ok(Measurement { before })
    }

    /// Ends a measurement in which `operations` were done.
    ///
    /// # Errors
    /// When the operating system or the server does not tell.
    pub async fn end(&mut self, begun: Measurement, operations: f64) -> anyhow::Result<Usage> {
        let (before, after) = (begun.before, self.read().await?);
        let elapsed = (after.at - before.at).as_secs_f64();
        let each = |before: Duration, after: Duration| {
            after.saturating_sub(before).as_secs_f64() * 1e6 / operations
        };
        let flushes = after.wal.flushes.zip(before.wal.flushes);
        Ok(Usage {
            cores_busy: after.busy.saturating_sub(before.busy).as_secs_f64() / elapsed,
            keys_us: each(before.keys, after.keys),
            enrollment_us: each(before.enrollment, after.enrollment),
            postgres_us: each(before.postgres, after.postgres),
            client_us: each(before.client, after.client),
            wal_bytes: (after.wal.bytes - before.wal.bytes) / operations,
            wal_flushes: flushes.map(|(after, before)| (after - before) / operations),
            batch: after
                .enrollment_look
                .zip(before.enrollment_look)
                .and_then(|(after, before)| after.batch_items_since(&before).remove(DECIDE)),
            keys_peak_mib: peak_mib(&self.keys)?,
            enrollment_peak_mib: peak_mib(&self.enrollment)?,
        })
    }

    async fn read(&mut self) -> anyhow::Result<Reading> {
        let postmaster = postmaster(&mut self.server).await?;
        let enrollment_look = match self.metrics {
            Some(address) => {
                let url = format!("http://{address}/metrics");
                spawn_blocking(move || Look::at(&url)).await?.ok()
            }
            None => None,
        };
        Ok(Reading {
            wal: Wal::read(&mut self.server).await?,
            enrollment_look,
            at: Instant::now(),
            busy: busy()?,
            keys: all(&self.keys)?,
            enrollment: all(&self.enrollment)?,
            postgres: family(postmaster)?,
            // pgbench is waited for, and then counts as ours.
            client: cpu(std::process::id())?.with_children,
        })
    }
}

fn all(pids: &[u32]) -> anyhow::Result<Duration> {
    let mut sum = Duration::ZERO;
    for pid in pids {
        sum += cpu(*pid)?.own;
    }
    Ok(sum)
}

fn peak_mib(pids: &[u32]) -> anyhow::Result<f64> {
    let mut peak = 0.0_f64;
    for pid in pids {
        peak = peak.max(memory(*pid)?.peak_mib);
    }
    Ok(peak)
}
