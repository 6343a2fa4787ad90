//! Redemption against the same work done by hand.

use super::super::baselines::{ByHand, Script};
use super::super::catalogue::Benchmark;
use super::super::drive::{Driver, closed_loop};
use super::super::rounds::{Contest, Sample};
use super::super::scale::Scale;
use super::super::site::Site;
use super::services::wrong;
use super::{Arena, Played};
use crate::load::engine::Plan;
use crate::load::mix::Action;
use crate::load::prepare::{MOST_OF_A_CLASS, Skew, Wanted};

/// How many classes single-use keys open.
const CLASSES: usize = 100;

struct Redeem<'a> {
    by_hand: &'a mut ByHand,
    script: Script,
    driver: Driver,
    site: &'a Site,
    plan: Plan,
    scale: Scale,
}

impl Redeem<'_> {
    fn alone(&self) -> bool {
        self.plan.streams == 1
    }
}

impl Contest for Redeem<'_> {
    async fn baseline(&mut self, _: usize) -> anyhow::Result<Sample> {
        let (script, scale) = (self.script, self.scale);
        if self.alone() {
            self.by_hand.alone(script, scale.by_hand).await
        } else {
            self.by_hand
                .best(script, scale.clients, scale.by_hand)
                .await
        }
    }

    async fn ours(&mut self, _: usize) -> anyhow::Result<Sample> {
        if self.alone() {
            self.driver.median(&self.plan).await
        } else {
            self.driver.rate(&self.plan).await
        }
    }

    async fn wrong(&mut self) -> anyhow::Result<Vec<String>> {
        wrong(&mut [&mut self.driver], &[self.site]).await
    }
}

/// Plays one of them on services of its own.
pub(super) async fn play(arena: &mut Arena<'_>, benchmark: Benchmark) -> anyhow::Result<Played> {
    let scale = arena.scale;
    let (action, streams) = match benchmark {
        Benchmark::RedeemEvent64 => (Action::Event, 64),
        Benchmark::RedeemEvent256 => (Action::Event, 256),
        Benchmark::RedeemEnrollment256 => (Action::Enrollment, 256),
        Benchmark::RedeemSingleP50 => (Action::Enrollment, 1),
        _ => (Action::Enrollment, 64),
    };
    let plan = closed_loop(
        action,
        streams,
        if streams == 1 {
            scale.calls_alone
        } else {
            scale.calls
        },
    );
    let (script, wanted) = if action == Action::Event {
        (Script::HotClass, seats(scale.all_calls(scale.calls)))
    } else {
        (Script::SingleUse, keys(scale.all_calls(scale.calls)))
    };
    let site = Site::start(arena.ground, benchmark.name(), 1).await?;
    arena.book.idle(&site);
    let mut by_hand = match arena.by_hand.take() {
        Some(made) => made,
        None => ByHand::prepare(arena.ground, arena.scale.keys_by_hand).await?,
    };
    let mut driver = Driver::prepare(arena.ground, &site, &wanted, arena.progress).await?;
    driver.warm_up(&plan).await?;
    let mut contest = Redeem {
        by_hand: &mut by_hand,
        script,
        driver,
        site: &site,
        plan,
        scale,
    };
    let played = arena.compete(benchmark, &mut contest).await;
    drop(contest);
    arena.by_hand = Some(by_hand);
    site.stop(arena.ground).await?;
    played
}

/// Single-use keys of many classes.
pub(super) fn keys(count: usize) -> Wanted {
    Wanted {
        classes: CLASSES,
        enrollment_keys: count,
        ..Wanted::default()
    }
}

/// Seats of one hot class after the other, as many as a class has here: all redeem in the same one.
pub(super) fn seats(count: usize) -> Wanted {
    Wanted {
        classes: count.div_ceil(MOST_OF_A_CLASS),
        event_seats: count,
        skew: Skew::OneAfterTheOther,
        ..Wanted::default()
    }
}
