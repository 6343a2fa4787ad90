//! `latchkey load`: load on the redemption endpoint.

mod options;
mod show;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, anyhow};
use latchkey::load::engine::{self, Plan};
use latchkey::load::given;
use latchkey::load::judge::judge;
use latchkey::load::observe::observe;
use latchkey::load::prepare::prepare;
use latchkey::load::report::{Circumstances, Report, ServiceReport, html, table};
use latchkey::load::run::Run;
use latchkey::load::supply::Supply;
use latchkey::load::target::Target;
use latchkey_service_kit::lifecycle::shutdown_on_signal;

pub(crate) use self::options::Load;

use self::options::Source;
use self::show::Show;

/// Does it. The exit status is 1 if an answer was wrong; the first Ctrl-C ends the run, and what it was is told all the same.
pub(crate) async fn run(load: &Load) -> anyhow::Result<ExitCode> {
    let plan = load.plan()?;
    let target = Arc::new(load.target()?);
    let shutdown = shutdown_on_signal().context("cannot listen for Ctrl-C")?;
    let mut show = Show::on_stderr();
    let prepared = tokio::select! {
        prepared = supply(load, &target, &plan, &show) => prepared,
        () = shutdown.cancelled() => Err(anyhow!("interrupted before the first call")),
    };
    show.finish();
    let (supply, words) = prepared?;
    let supply = Arc::new(supply);

    let stop = Arc::new(AtomicBool::new(false));
    let calls = Calls {
        target: Arc::clone(&target),
        plan: plan.clone(),
        supply: Arc::clone(&supply),
        stop: Arc::clone(&stop),
    };
    let mut called = tokio::task::spawn_blocking(move || calls.make(&mut show));
    let called = tokio::select! {
        called = &mut called => called,
        () = shutdown.cancelled() => {
            stop.store(true, Ordering::Relaxed);
            called.await
        }
    };
    let (run, services) = called.context("the calls were not made")??;
    eprintln!("Reading the rosters …");
    let wrong = judge(&target, &supply, &[&run]).await?;
    let circumstances = Circumstances {
        target: target.name(),
        supply: words,
        plan: &plan,
        services,
    };
    let report = Report::new(circumstances, &run, &wrong);
    print!("{}", table(&report));
    write(load, &report)?;
    Ok(if wrong.count() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What calls are made of, and the same in words.
async fn supply(
    load: &Load,
    target: &Target,
    plan: &Plan,
    show: &Show,
) -> anyhow::Result<(Supply, String)> {
    match load.source(plan)? {
        Source::Files { keys, students } => {
            let supply = given::read(&keys, &students, &plan.mix, plan.seed)?;
            let words = format!(
                "keys of {}, students of {}: {} classes",
                keys.display(),
                students.display(),
                supply.classes.len()
            );
            Ok((supply, words))
        }
        Source::New(wanted) => {
            let supply = prepare(target, &wanted, &|progress| show.preparing(progress)).await?;
            let words = format!(
                "made for this; organizations: {}, classes: {}, enrollment keys of students: {}, seats for event keys: {}, registrations: {}; skew: {}",
                supply.organizations.len(),
                wanted.classes,
                wanted.enrollment_keys,
                wanted.event_seats,
                wanted.registrations,
                wanted.skew
            );
            Ok((supply, words))
        }
    }
}

/// The calls, and who looks at the services meanwhile.
struct Calls {
    target: Arc<Target>,
    plan: Plan,
    supply: Arc<Supply>,
    stop: Arc<AtomicBool>,
}

impl Calls {
    fn make(&self, show: &mut Show) -> anyhow::Result<(Run, Vec<ServiceReport>)> {
        let over = AtomicBool::new(false);
        let began = Instant::now();
        let (run, services) = std::thread::scope(|scope| {
            let watch = scope.spawn(|| observe(&self.target.metrics, began, &over));
            show.begin(&self.plan);
            let run = engine::run(
                &self.target,
                &self.plan,
                &self.supply,
                &self.stop,
                &mut |beat| show.beat(beat),
            );
            over.store(true, Ordering::Relaxed);
            (run, watch.join().unwrap_or_default())
        });
        show.finish();
        Ok((run?, services))
    }
}

fn write(load: &Load, report: &Report) -> anyhow::Result<()> {
    if let Some(path) = &load.json {
        std::fs::write(path, report.json()?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("The figures are in {}", path.display());
    }
    if let Some(path) = &load.html {
        std::fs::write(path, html(report))
            .with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("The report is in {}", path.display());
    }
    Ok(())
}
