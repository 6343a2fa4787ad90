//! `latchkey bench`: how fast the services are, side by side with the same work done by hand, on one machine in one run.
//!
//! - [`catalogue`] says which benchmarks there are, and what each is held to;
//! - [`baselines`] is the work done by hand: scripts of pgbench, and COPY;
//! - [`contests`] plays each benchmark: both sides take turns ([`rounds`]), and what they take is measured ([`meter`]);
//! - [`ground`] and [`site`] are what all of it runs on: one cluster, and the services with all that production has;
//! - [`report`] tells what came of it.

pub mod baselines;
pub mod catalogue;
pub mod contests;
pub mod drive;
pub mod echo;
pub mod ground;
pub mod keys;
pub mod machine;
pub mod meter;
pub mod percentile;
pub mod pgbench;
pub mod report;
pub mod rounds;
pub mod scale;
pub mod site;

use std::path::PathBuf;

use catalogue::Benchmark;
use contests::{Arena, Played};
use ground::Ground;
use machine::Machine;
use report::Report;
use rounds::Measured;
use scale::Scale;

use crate::progress::Progress;

/// What to measure.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// The `latchkey` program, which runs the services.
    pub executable: PathBuf,
    /// Which benchmarks, in which order.
    pub benchmarks: Vec<Benchmark>,
    /// How long and how large.
    pub scale: Scale,
    /// Whether short runs are held to the bounds that only a gross regression misses.
    pub quick: bool,
}

/// Runs benchmarks on a cluster of their own, of which nothing is kept. One that cannot be played has no ratio and passes
/// nothing; the others are played all the same.
///
/// # Errors
/// When there is no Postgres with pgbench to be had.
pub async fn run(options: &BenchOptions, progress: &Progress) -> anyhow::Result<Report> {
    let ground = Ground::prepare(options.executable.clone(), progress).await?;
    let machine = Machine::this(&ground.binaries.version);
    let mut arena = Arena::new(&ground, options.scale, progress);
    let mut results = Vec::new();
    for &benchmark in &options.benchmarks {
        let played = arena.play(benchmark).await.unwrap_or_else(|error| {
            progress.note(format!("{}: {error:#}", benchmark.name()));
            Played {
                rounds: Vec::new(),
                wrong: vec![format!("{error:#}")],
            }
        });
        let goal = if options.quick {
            benchmark.quick_goal()
        } else {
            benchmark.goal()
        };
        results.push((
            benchmark,
            Measured::of(benchmark, goal, played.rounds, played.wrong),
        ));
    }
    drop(arena);
    progress.step("Stopping");
    ground.stop().await?;
    Ok(Report {
        machine,
        scale: options.scale,
        quick: options.quick,
        results,
    })
}

/// Measures how throughput goes with the number of those who redeem at once, in the place of benchmarks: charts and tables
/// for a page, once each.
///
/// # Errors
/// When there is no Postgres with pgbench to be had, or something cannot be measured.
pub async fn curves(options: &BenchOptions, progress: &Progress) -> anyhow::Result<String> {
    let ground = Ground::prepare(options.executable.clone(), progress).await?;
    let machine = Machine::this(&ground.binaries.version);
    let scale = Scale {
        rounds: 1,
        ..options.scale
    };
    let mut arena = Arena::new(&ground, scale, progress);
    let curves = arena.curves().await;
    drop(arena);
    ground.stop().await?;
    let pages: Vec<String> = curves?.iter().map(contests::Curve::for_page).collect();
    Ok(format!("{}\n\n{}", machine.for_people(), pages.join("\n")))
}
