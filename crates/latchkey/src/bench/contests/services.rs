//! The services against themselves, or against the least that a service can do.

use anyhow::Context;

use super::super::catalogue::Benchmark;
use super::super::drive::{Driver, closed_loop};
use super::super::echo::EchoProcess;
use super::super::rounds::{Contest, Sample};
use super::super::site::Site;
use super::by_hand::keys;
use super::{Arena, Played};
use crate::load::engine::Plan;
use crate::load::mix::Action;
use crate::load::prepare::Wanted;

const STREAMS: usize = 64;

/// The mixed load of two processes: most redeem, some register, some ask, some repeat themselves.
const MIX: &str = "enrollment=60,event=20,register=5,check=10,replay=5";

/// Two drivers, each with a plan.
pub(super) struct Pair<'a> {
    pub(super) baseline: (Driver, Plan),
    pub(super) ours: (Driver, Plan),
    pub(super) sites: Vec<&'a Site>,
}

impl Contest for Pair<'_> {
    async fn baseline(&mut self, _: usize) -> anyhow::Result<Sample> {
        self.baseline.0.rate(&self.baseline.1).await
    }

    async fn ours(&mut self, _: usize) -> anyhow::Result<Sample> {
        self.ours.0.rate(&self.ours.1).await
    }

    async fn wrong(&mut self) -> anyhow::Result<Vec<String>> {
        wrong(&mut [&mut self.baseline.0, &mut self.ours.0], &self.sites).await
    }
}

/// What is wrong with the answers that drivers got and what sites store.
pub(super) async fn wrong(
    drivers: &mut [&mut Driver],
    sites: &[&Site],
) -> anyhow::Result<Vec<String>> {
    let mut wrong = Driver::judge(drivers).await?;
    for site in sites {
        wrong.extend(site.verify().await?);
    }
    Ok(wrong)
}

/// Two processes of each service against one.
pub(super) async fn replicas(arena: &mut Arena<'_>) -> anyhow::Result<Played> {
    let (ground, scale) = (arena.ground, arena.scale);
    let calls = scale.calls / 2;
    let plan = Plan {
        mix: MIX.parse()?,
        ..closed_loop(Action::Enrollment, STREAMS, calls)
    };
    let all = scale.all_calls(calls);
    let wanted = Wanted {
        classes: 50,
        // As many as the mix takes, and some more, because it is drawn.
        enrollment_keys: all * 7 / 10,
        event_seats: all * 3 / 10,
        registrations: all / 10,
        ..Wanted::default()
    };
    let mut sites = Vec::new();
    let mut drivers = Vec::new();
    for (name, replicas) in [("one_replica", 1), ("two_replicas", 2)] {
        let site = Site::start(ground, name, replicas).await?;
        arena.book.idle(&site);
        let mut driver = Driver::prepare(ground, &site, &wanted, arena.progress).await?;
        driver.warm_up(&plan).await?;
        sites.push(site);
        drivers.push((driver, plan.clone()));
    }
    let ours = drivers.pop().context("two drivers")?;
    let baseline = drivers.pop().context("two drivers")?;
    let mut pair = Pair {
        baseline,
        ours,
        sites: sites.iter().collect(),
    };
    let played = arena.compete(Benchmark::RedeemReplicas, &mut pair).await;
    drop(pair);
    for site in sites {
        site.stop(ground).await?;
    }
    played
}

/// Registrations against redemptions, by the same processes.
pub(super) async fn register(arena: &mut Arena<'_>) -> anyhow::Result<Played> {
    let (ground, scale) = (arena.ground, arena.scale);
    let calls = scale.calls / 2;
    let all = scale.all_calls(calls);
    let site = Site::start(ground, Benchmark::Register64.name(), 1).await?;
    arena.book.idle(&site);
    let wanted = Wanted {
        registrations: all,
        ..keys(all)
    };
    let mut driver = Driver::prepare(ground, &site, &wanted, arena.progress).await?;
    let redeem = closed_loop(Action::Enrollment, STREAMS, calls);
    let register = closed_loop(Action::Register, STREAMS, calls);
    let mut beside = driver.beside(ground, &site).await?;
    driver.warm_up(&redeem).await?;
    beside.warm_up(&register).await?;
    let mut pair = Pair {
        baseline: (driver, redeem),
        ours: (beside, register),
        sites: vec![&site],
    };
    let played = arena.compete(Benchmark::Register64, &mut pair).await;
    drop(pair);
    site.stop(ground).await?;
    played
}

/// `CheckKey` against an echo.
pub(super) async fn check(arena: &mut Arena<'_>) -> anyhow::Result<Played> {
    let (ground, scale) = (arena.ground, arena.scale);
    let site = Site::start(ground, Benchmark::Check64.name(), 1).await?;
    arena.book.idle(&site);
    // Of one class, which the echo can name.
    let wanted = Wanted {
        enrollment_keys: 1_000,
        ..Wanted::default()
    };
    let mut driver = Driver::prepare(ground, &site, &wanted, arena.progress).await?;
    let class = driver.first_class()?;
    let echo = EchoProcess::start(ground, &site, &class).await?;
    let mut echoed = driver
        .elsewhere(ground, &site, echo.url(), echo.pid()?)
        .await?;
    let plan = closed_loop(Action::Check, STREAMS, scale.calls * 3 / 2);
    driver.warm_up(&plan).await?;
    echoed.warm_up(&plan).await?;
    let mut pair = Pair {
        baseline: (echoed, plan.clone()),
        ours: (driver, plan),
        sites: vec![&site],
    };
    let played = arena.compete(Benchmark::Check64, &mut pair).await;
    drop(pair);
    drop(echo);
    site.stop(ground).await?;
    played
}
