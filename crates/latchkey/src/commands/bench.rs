//! `latchkey bench`: how fast the services are, against the same work done by hand.

use std::process::ExitCode;

use anyhow::{Context, bail};
use latchkey::bench::catalogue::Benchmark;
use latchkey::bench::scale::{QUICK_ROUNDS, ROUNDS, Scale};
use latchkey::bench::{self, BenchOptions};
use latchkey::progress::Progress;
use latchkey_service_kit::lifecycle;

/// What to measure.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Print a table for docs/performance.md instead.
    #[arg(long, conflicts_with = "json")]
    page: bool,
    /// Measure how throughput goes with the number of those who redeem at once instead, and print charts for
    /// docs/performance.md.
    #[arg(long, conflicts_with_all = ["json", "page", "benchmarks", "rounds"])]
    curves: bool,
    /// How often both sides of each benchmark take turns [default: 5, with --quick 3].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    rounds: Option<u8>,
    /// Short runs of those benchmarks that say something when they are short, held to half of what they must reach.
    #[arg(long)]
    quick: bool,
    /// Which benchmarks [default: all].
    #[arg(value_name = "NAME")]
    benchmarks: Vec<Benchmark>,
}

/// Measures. The exit status is 0 only if every answer was right and every bound was met.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<ExitCode> {
    let shutdown = lifecycle::shutdown_on_signal()?;
    let progress = Progress::on_stderr();
    let options = options(bench)?;
    if bench.curves {
        let page = tokio::select! {
            page = bench::curves(&options, &progress) => page?,
            () = shutdown.cancelled() => bail!("interrupted"),
        };
        progress.finish();
        println!("{page}");
        return Ok(ExitCode::SUCCESS);
    }
    let report = tokio::select! {
        report = bench::run(&options, &progress) => report,
        () = shutdown.cancelled() => bail!("interrupted"),
    };
    progress.finish();
    let report = report?;
    if bench.json {
        println!("{}", report.for_machines()?);
    } else if bench.page {
        print!("{}", report.for_page());
    } else {
        print!("{}", report.for_people());
    }
    Ok(if report.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn options(bench: &Bench) -> anyhow::Result<BenchOptions> {
    let usual = if bench.quick { QUICK_ROUNDS } else { ROUNDS };
    let rounds = bench.rounds.map_or(usual, usize::from);
    let mut benchmarks = bench.benchmarks.clone();
    if benchmarks.is_empty() {
        benchmarks = if bench.quick {
            Benchmark::QUICK.to_vec()
        } else {
            Benchmark::ALL.to_vec()
        };
    }
    Ok(BenchOptions {
        executable: std::env::current_exe().context("cannot tell which program this is")?,
        benchmarks,
        scale: if bench.quick {
            Scale::quick(rounds)
        } else {
            Scale::full(rounds)
        },
        quick: bench.quick,
    })
}
