//! Redemption with very many keys in the table.

use super::super::catalogue::Benchmark;
use super::super::drive::{Driver, closed_loop};
use super::super::ground::{Ground, execute};
use super::super::rounds::{Contest, Sample};
use super::super::site::Site;
use super::by_hand::keys;
use super::services::{Pair, wrong};
use super::{Arena, Played};
use crate::load::mix::Action;

const STREAMS: usize = 64;

/// How many keys the small table has, all of which are redeemed.
const SMALL: u64 = 100_000;

/// How many are filled in by one statement.
const PORTION: u64 = 500_000;

struct Table<'a> {
    pair: Pair<'a>,
    ground: &'a Ground,
}

impl Table<'_> {
    /// From here on the first change of each page is in the log as a whole.
    async fn checkpoint(&self) -> anyhow::Result<()> {
        let mut owner = self.ground.connect("postgres").await?;
        execute(&mut owner, "CHECKPOINT").await
    }
}

impl Contest for Table<'_> {
    async fn baseline(&mut self, round: usize) -> anyhow::Result<Sample> {
        self.checkpoint().await?;
        self.pair.baseline(round).await
    }

    async fn ours(&mut self, round: usize) -> anyhow::Result<Sample> {
        self.checkpoint().await?;
        self.pair.ours(round).await
    }

    async fn wrong(&mut self) -> anyhow::Result<Vec<String>> {
        let pair = &mut self.pair;
        wrong(&mut [&mut pair.baseline.0, &mut pair.ours.0], &pair.sites).await
    }
}

/// The same load on a small table and on a large one.
pub(super) async fn play(arena: &mut Arena<'_>) -> anyhow::Result<Played> {
    let (ground, scale) = (arena.ground, arena.scale);
    let calls = SMALL / (scale.rounds as u64 + 1);
    let calls = calls.min(scale.calls);
    let plan = closed_loop(Action::Enrollment, STREAMS, calls);
    let wanted = keys(scale.all_calls(calls));
    let small = Site::start(ground, "small_table", 1).await?;
    let large = Site::start(ground, "large_table", 1).await?;
    arena.book.idle(&large);
    let mut baseline = Driver::prepare(ground, &small, &wanted, arena.progress).await?;
    let mut ours = Driver::prepare(ground, &large, &wanted, arena.progress).await?;
    fill(arena, &large).await?;
    baseline.warm_up(&plan).await?;
    ours.warm_up(&plan).await?;
    let mut table = Table {
        pair: Pair {
            baseline: (baseline, plan.clone()),
            ours: (ours, plan),
            sites: vec![&small, &large],
        },
        ground,
    };
    let played = arena.compete(Benchmark::Redeem10m, &mut table).await;
    drop(table);
    small.stop(ground).await?;
    large.stop(ground).await?;
    played
}

/// Puts keys and codes into the tables of `site` that nobody will redeem: of one class, of random hashes, sealed by nobody.
/// References are not checked and indexes are made afterwards: it is quicker, and comes to the same.
async fn fill(arena: &Arena<'_>, site: &Site) -> anyhow::Result<()> {
    let mut owner = site.owner(arena.ground).await?;
    execute(&mut owner, BEFORE).await?;
    let mut from = 0;
    while from < arena.scale.table {
        arena.progress.step(format!(
            "redeem_10m: {from} of {} keys filled in",
            arena.scale.table
        ));
        let to = (from + PORTION).min(arena.scale.table);
        let portion = PORTION_OF_KEYS
            .replace(":from", &from.to_string())
            .replace(":to", &(to - 1).to_string());
        execute(&mut owner, &portion).await?;
        from = to;
    }
    arena.progress.step("redeem_10m: making the indexes");
    execute(&mut owner, AFTER).await?;
    execute(&mut owner, "VACUUM ANALYZE keys.training_keys").await?;
    execute(&mut owner, "VACUUM ANALYZE keys.codes").await
}

const BEFORE: &str = include_str!("fill_before.sql");
const PORTION_OF_KEYS: &str = include_str!("fill_portion.sql");
const AFTER: &str = include_str!("fill_after.sql");
