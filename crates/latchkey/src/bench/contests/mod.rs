//! Each benchmark: what is made before, what each side does, and what is looked at afterwards.

mod bulk;
mod by_hand;
mod curves;
mod memory;
mod services;
mod table;

use super::baselines::ByHand;
use super::catalogue::Benchmark;
use super::ground::Ground;
use super::rounds::{Contest, Round, compete};
use super::scale::Scale;
use crate::progress::Progress;

pub use curves::Curve;
pub use memory::Book;

/// What the benchmarks of a run share.
#[derive(Debug)]
pub struct Arena<'g> {
    /// The cluster.
    pub ground: &'g Ground,
    /// How large everything is.
    pub scale: Scale,
    /// Where it is said what is being done.
    pub progress: &'g Progress,
    /// The database in which redemption is done by hand, once it is needed.
    by_hand: Option<ByHand>,
    /// What services took of memory so far.
    pub book: Book,
}

/// What came of a benchmark.
#[derive(Debug)]
pub struct Played {
    /// Its rounds.
    pub rounds: Vec<Round>,
    /// What was wrong.
    pub wrong: Vec<String>,
}

impl<'g> Arena<'g> {
    /// An arena on `ground`.
    pub fn new(ground: &'g Ground, scale: Scale, progress: &'g Progress) -> Self {
        Self {
            ground,
            scale,
            progress,
            by_hand: None,
            book: Book::default(),
        }
    }

    /// Plays all rounds of a benchmark.
    ///
    /// # Errors
    /// When it cannot be played.
    pub async fn play(&mut self, benchmark: Benchmark) -> anyhow::Result<Played> {
        self.progress
            .step(format!("{}: preparing", benchmark.name()));
        match benchmark {
            Benchmark::RedeemEnrollment64
            | Benchmark::RedeemEvent64
            | Benchmark::RedeemEnrollment256
            | Benchmark::RedeemEvent256
            | Benchmark::RedeemSingleP50 => by_hand::play(self, benchmark).await,
            Benchmark::RedeemReplicas => services::replicas(self).await,
            Benchmark::Register64 => services::register(self).await,
            Benchmark::Check64 => services::check(self).await,
            Benchmark::Generate1m => bulk::generate_keys(self).await,
            Benchmark::Export1m => bulk::export_keys(self).await,
            Benchmark::Redeem10m => table::play(self).await,
            Benchmark::Memory => memory::play(self).await,
        }
    }

    /// Measures how throughput goes with the number of those who redeem at once.
    ///
    /// # Errors
    /// When something cannot be measured.
    pub async fn curves(&mut self) -> anyhow::Result<Vec<Curve>> {
        curves::draw(self).await
    }

    /// Has both sides of `contest` take turns.
    async fn compete(
        &mut self,
        benchmark: Benchmark,
        contest: &mut impl Contest,
    ) -> anyhow::Result<Played> {
        let (progress, of) = (self.progress, self.scale.rounds);
        let unit = benchmark.text().unit;
        let tell = |number: usize, round: &Round| {
            progress.note(format!(
                "{} round {} of {of}: {:.2} ({:.2} against {:.2} {unit})",
                benchmark.name(),
                number + 1,
                round.ratio,
                round.ours.value,
                round.baseline.value,
            ));
            progress.step(format!("{}: measuring", benchmark.name()));
        };
        progress.step(format!("{}: measuring", benchmark.name()));
        let (rounds, wrong) = compete(contest, of, tell).await?;
        self.book.note(benchmark, &rounds);
        Ok(Played { rounds, wrong })
    }
}
