//! Very many keys, in and out.

use std::time::Instant;

use anyhow::{Context, ensure};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::baselines::{Bulk, count};
use super::super::catalogue::Benchmark;
use super::super::ground::execute;
use super::super::keys::{Office, export, generate};
use super::super::meter::Meter;
use super::super::rounds::{Contest, Sample};
use super::super::site::Site;
use super::{Arena, Played};

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

struct Bulky<'a> {
    way: Way,
    keys: u64,
    by_hand: Bulk,
    site: &'a Site,
    owner: PgConnection,
    office: Office,
    meter: Meter,
    wrong: Vec<String>,
    /// The class of all keys.
    class: Uuid,
}

impl Contest for Bulky<'_> {
    async fn baseline(&mut self, _: usize) -> anyhow::Result<Sample> {
        match self.way {
            Way::In => self.by_hand.copy_in().await,
            Way::Out => self.by_hand.copy_out().await,
        }
    }

    async fn ours(&mut self, _: usize) -> anyhow::Result<Sample> {
        if self.way == Way::In {
            // Those of the round before would make the next one slower than COPY into empty tables.
            execute(
                &mut self.owner,
                "TRUNCATE keys.codes, keys.subscription_keys, keys.training_keys, keys.batches, keys.requests",
            )
            .await?;
            execute(
                &mut self.owner,
                "DELETE FROM keys.audit_events WHERE action = 'training_key.generate'",
            )
            .await?;
        }
        let measurement = self.meter.begin().await?;
        let began = Instant::now();
        let rows = match self.way {
            Way::In => generate(&self.office, self.class, self.keys).await?,
            Way::Out => export(&self.office).await?,
        };
        let value = count(self.keys) / began.elapsed().as_secs_f64();
        if rows != self.keys {
            self.wrong
                .push(format!("{rows} keys instead of {}", self.keys));
        }
        let usage = self.meter.end(measurement, count(self.keys)).await?;
        Ok(Sample {
            value,
            usage: Some(usage),
            note: String::new(),
        })
    }

    async fn wrong(&mut self) -> anyhow::Result<Vec<String>> {
        let counts = "SELECT (SELECT count(*) FROM keys.training_keys), (SELECT count(DISTINCT hash) FROM keys.codes)";
        let counts: (i64, i64) = sqlx::query_as(counts).fetch_one(&mut self.owner).await?;
        let keys = i64::try_from(self.keys)?;
        if counts != (keys, keys) {
            self.wrong.push(format!(
                "{} keys and {} different codes are stored of {keys}",
                counts.0, counts.1
            ));
        }
        let mut wrong = std::mem::take(&mut self.wrong);
        wrong.extend(self.site.verify().await?);
        Ok(wrong)
    }
}

/// Keys generated through the service, against COPY of the same rows.
pub(super) async fn generate_keys(arena: &mut Arena<'_>) -> anyhow::Result<Played> {
    play(arena, Benchmark::Generate1m, Way::In).await
}

/// Keys exported through the service, against COPY of the same rows.
pub(super) async fn export_keys(arena: &mut Arena<'_>) -> anyhow::Result<Played> {
    play(arena, Benchmark::Export1m, Way::Out).await
}

async fn play(arena: &mut Arena<'_>, benchmark: Benchmark, way: Way) -> anyhow::Result<Played> {
    let (ground, keys) = (arena.ground, arena.scale.bulk);
    let mut by_hand = Bulk::prepare(ground, keys).await?;
    let site = Site::start(ground, benchmark.name(), 1).await?;
    arena.book.idle(&site);
    let office = Office::open(&site).await?;
    let class = office.class(keys).await?;
    let mut owner = site.owner(ground).await?;
    if way == Way::Out {
        arena.progress.step("export_1m: generating the keys");
        let made = generate(&office, class, keys).await?;
        ensure!(made == keys, "{made} keys were generated of {keys}");
        execute(&mut owner, "VACUUM ANALYZE").await?;
        by_hand.fill().await?;
    }
    let mut contest = Bulky {
        way,
        keys,
        by_hand,
        site: &site,
        owner,
        office,
        meter: site.meter(ground).await?,
        wrong: Vec::new(),
        class,
    };
    let played = arena.compete(benchmark, &mut contest).await;
    drop(contest);
    site.stop(ground).await?;
    ground.drop("bulk").await.context("the bulk database")?;
    played
}
