//! The same work done by hand at its best, in a database of its own: pgbench scripts for redemption, COPY for bulk.

mod bulk;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use sqlx::postgres::PgConnection;

pub use bulk::Bulk;

use super::ground::{Ground, execute};
use super::meter::Meter;
use super::pgbench::{Pgbench, PgbenchOutcome, PgbenchRun};
use super::rounds::Sample;

const SCHEMA: &str = include_str!("schema.sql");
const SINGLE_USE: &str = include_str!("single_use.sql");
const SINGLE_USE_BY_STATEMENTS: &str = include_str!("single_use_by_statements.sql");
const HOT_CLASS: &str = include_str!("hot_class.sql");
const HOT_CLASS_BY_STATEMENTS: &str = include_str!("hot_class_by_statements.sql");

/// The database's name.
const DATABASE: &str = "baseline";
/// How many classes the single-use keys open.
const CLASSES: u32 = 100;
/// Which script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Single-use keys of 100 classes.
    SingleUse,
    /// The same by several statements: not what benchmarks are held to, which is the best that can be done by hand.
    SingleUseByStatements,
    /// The event key of one class.
    HotClass,
    /// The same by several statements.
    HotClassByStatements,
}

impl Script {
    const ALL: [Self; 4] = [
        Self::SingleUse,
        Self::SingleUseByStatements,
        Self::HotClass,
        Self::HotClassByStatements,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::SingleUse => "single_use",
            Self::SingleUseByStatements => "single_use_by_statements",
            Self::HotClass => "hot_class",
            Self::HotClassByStatements => "hot_class_by_statements",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::SingleUse => SINGLE_USE,
            Self::SingleUseByStatements => SINGLE_USE_BY_STATEMENTS,
            Self::HotClass => HOT_CLASS,
            Self::HotClassByStatements => HOT_CLASS_BY_STATEMENTS,
        }
    }
}

/// The database in which it is done by hand.
#[derive(Debug)]
pub struct ByHand {
    pgbench: Pgbench,
    owner: PgConnection,
    meter: Meter,
    directory: PathBuf,
    keys: u32,
}

impl ByHand {
    /// Makes the database, with `keys` single-use keys: more than the fastest run uses.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn prepare(ground: &Ground, keys: u32) -> anyhow::Result<Self> {
        let mut owner = ground.empty(DATABASE).await?;
        let schema = SCHEMA
            .replace(":classes", &CLASSES.to_string())
            .replace(":keys", &keys.to_string());
        for statement in statements(&schema) {
            execute(&mut owner, statement).await?;
        }
        let directory = ground.directory(DATABASE)?;
        for script in Script::ALL {
            std::fs::write(directory.join(script.name()), script.text())?;
        }
        Ok(Self {
            pgbench: ground.pgbench(DATABASE)?,
            owner,
            meter: Meter::of_server(ground.connect(DATABASE).await?),
            directory,
            keys,
        })
    }

    /// Runs `script` for `duration` with each of these numbers of clients, and has the best of them count: redemptions a second.
    ///
    /// # Errors
    /// When it fails, or did not do what it says.
    pub async fn best(
        &mut self,
        script: Script,
        clients: &[u32],
        duration: Duration,
    ) -> anyhow::Result<Sample> {
        let mut best: Option<Sample> = None;
        let mut tried = Vec::new();
        for &clients in clients {
            self.clear().await?;
            let measurement = self.meter.begin().await?;
            let outcome = self.run(script, clients, duration, false).await?;
            let usage = self
                .meter
                .end(measurement, count(outcome.transactions))
                .await?;
            self.check(&outcome).await?;
            tried.push(format!("{clients} clients {:.0}", outcome.per_second));
            if best
                .as_ref()
                .is_none_or(|best| outcome.per_second > best.value)
            {
                best = Some(Sample {
                    value: outcome.per_second,
                    usage: Some(usage),
                    note: String::new(),
                });
            }
        }
        let mut best = best.context("no number of clients")?;
        best.note = tried.join(", ");
        Ok(best)
    }

    /// The median latency of `script` with one client, in milliseconds.
    ///
    /// # Errors
    /// When it fails, or did not do what it says.
    pub async fn alone(&mut self, script: Script, duration: Duration) -> anyhow::Result<Sample> {
        self.clear().await?;
        let measurement = self.meter.begin().await?;
        let outcome = self.run(script, 1, duration, true).await?;
        let usage = self
            .meter
            .end(measurement, count(outcome.transactions))
            .await?;
        self.check(&outcome).await?;
        let median = outcome.median.context("no latencies were logged")?;
        Ok(Sample {
            value: median.as_secs_f64() * 1e3,
            usage: Some(usage),
            note: format!("{:.0} a second", outcome.per_second),
        })
    }

    async fn run(
        &self,
        script: Script,
        clients: u32,
        duration: Duration,
        log: bool,
    ) -> anyhow::Result<PgbenchOutcome> {
        let variables = [
            ("i", "0".to_owned()),
            ("span", (self.keys / clients).to_string()),
        ];
        let run = PgbenchRun {
            script: &self.directory.join(script.name()),
            clients,
            duration,
            variables: &variables,
            log: log.then_some(self.directory.as_path()),
        };
        self.pgbench.run(&run).await
    }

    /// Takes away what the run before has written: each begins alike.
    async fn clear(&mut self) -> anyhow::Result<()> {
        let clear = [
            "TRUNCATE baseline.redemptions, baseline.enrollments, baseline.marks",
            "UPDATE baseline.classes SET seats_taken = 0",
            "VACUUM baseline.classes",
        ];
        for statement in clear {
            execute(&mut self.owner, statement).await?;
        }
        Ok(())
    }

    /// A transaction that redeemed nothing, because its client had used up its keys, must not count.
    async fn check(&mut self, outcome: &PgbenchOutcome) -> anyhow::Result<()> {
        let counts = "SELECT (SELECT count(*) FROM baseline.redemptions), (SELECT count(*) FROM baseline.enrollments), \
             (SELECT count(*) FROM baseline.marks), (SELECT sum(seats_taken) FROM baseline.classes)";
        let counts: (i64, i64, i64, i64) =
            sqlx::query_as(counts).fetch_one(&mut self.owner).await?;
        let done = i64::try_from(outcome.transactions)?;
        ensure!(
            counts == (done, done, done, done),
            "{done} transactions left {counts:?} redemptions, enrollments, uses and seats"
        );
        Ok(())
    }
}

/// A number of operations, for a ratio.
#[expect(
    clippy::cast_precision_loss,
    reason = "nothing here is done 2^53 times"
)]
pub(super) fn count(operations: u64) -> f64 {
    operations as f64
}

/// VACUUM must stand alone, so that a script is sent statement by statement. None has a semicolon inside.
fn statements(script: &str) -> impl Iterator<Item = &str> {
    script
        .split(";\n")
        .map(str::trim)
        .filter(|statement| !statement.is_empty())
}
