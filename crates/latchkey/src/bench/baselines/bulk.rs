//! Many keys by COPY, in and out.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use futures::TryStreamExt;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};

use super::{count, statements};
use crate::bench::ground::{Ground, execute};
use crate::bench::meter::Meter;
use crate::bench::rounds::Sample;

const SCHEMA: &str = include_str!("bulk.sql");
const KEYS: &str = include_str!("bulk_keys.sql");
const CODES: &str = include_str!("bulk_codes.sql");
const KEYS_IN: &str = include_str!("copy_in_keys.sql");
const CODES_IN: &str = include_str!("copy_in_codes.sql");
const OUT: &str = include_str!("copy_out.sql");

/// The database's name.
const DATABASE: &str = "bulk";

/// A database into which keys and their codes are copied, and from which they are copied out.
#[derive(Debug)]
pub struct Bulk {
    owner: PgConnection,
    meter: Meter,
    directory: PathBuf,
    keys: u64,
}

impl Bulk {
    /// Makes the database and two files with `keys` keys and codes.
    ///
    /// # Errors
    /// When the server refuses, or there is no room.
    pub async fn prepare(ground: &Ground, keys: u64) -> anyhow::Result<Self> {
        let mut owner = ground.empty(DATABASE).await?;
        let directory = ground.directory(DATABASE)?;
        let of = |script: &str| script.replace(":keys", &keys.to_string());
        for statement in statements(&of(SCHEMA)) {
            execute(&mut owner, statement).await?;
        }
        for (script, file) in [(KEYS, "keys"), (CODES, "codes")] {
            write(&mut owner, &of(script), &directory.join(file)).await?;
        }
        Ok(Self {
            owner,
            meter: Meter::of_server(ground.connect(DATABASE).await?),
            directory,
            keys,
        })
    }

    /// Copies all keys and their codes into empty tables, in one transaction: keys a second.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn copy_in(&mut self) -> anyhow::Result<Sample> {
        execute(&mut self.owner, "TRUNCATE bulk.training_keys, bulk.codes").await?;
        let measurement = self.meter.begin().await?;
        let began = Instant::now();
        let mut transaction = self.owner.begin().await?;
        for (statement, file) in [(KEYS_IN, "keys"), (CODES_IN, "codes")] {
            let file = File::open(self.directory.join(file)).await?;
            let mut copy = transaction.copy_in_raw(statement).await?;
            copy.read_from(file).await?;
            let rows = copy.finish().await?;
            ensure!(
                rows == self.keys,
                "{rows} rows were copied of {}",
                self.keys
            );
        }
        transaction.commit().await?;
        self.sample(began, measurement).await
    }

    /// Has all keys with their codes in the tables, as a table is that is not quite new.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn fill(&mut self) -> anyhow::Result<()> {
        self.copy_in().await?;
        execute(&mut self.owner, "VACUUM ANALYZE").await
    }

    /// Copies all keys with their codes out, and throws them away: keys a second.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn copy_out(&mut self) -> anyhow::Result<Sample> {
        let measurement = self.meter.begin().await?;
        let began = Instant::now();
        let mut rows: u64 = 0;
        let mut pieces = self.owner.copy_out_raw(OUT).await?;
        // The server sends each row as a piece of its own.
        while pieces.try_next().await?.is_some() {
            rows += 1;
        }
        drop(pieces);
        ensure!(
            rows == self.keys,
            "{rows} rows were copied of {}",
            self.keys
        );
        self.sample(began, measurement).await
    }

    async fn sample(
        &mut self,
        began: Instant,
        measurement: crate::bench::meter::Measurement,
    ) -> anyhow::Result<Sample> {
        let keys = count(self.keys);
        let value = keys / began.elapsed().as_secs_f64();
        Ok(Sample {
            value,
            usage: Some(self.meter.end(measurement, keys).await?),
            note: String::new(),
        })
    }
}

/// Writes what a COPY TO gives into a file.
async fn write(owner: &mut PgConnection, copy: &str, path: &Path) -> anyhow::Result<()> {
    let file = File::create(path)
        .await
        .with_context(|| format!("cannot write {}", path.display()))?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let mut pieces = owner.copy_out_raw(copy).await?;
    while let Some(piece) = pieces.try_next().await? {
        file.write_all(&piece).await?;
    }
    file.flush().await?;
    Ok(())
}
