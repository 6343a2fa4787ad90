//! `latchkey load`: load on the redemption endpoint.

mod options;
mod output;
mod show;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, anyhow};
use latchkey::load::engine::{self, Plan};
use latchkey::load::given;
use latchkey::load::judge::{Verdict, verdict};
use latchkey::load::observe::observe;
use latchkey::load::prepare::prepare;
use latchkey::load::report::{Circumstances, Report, ServiceReport, table};
use latchkey::load::run::Run;
use latchkey::load::supply::Supply;
use latchkey::load::target::Target;
use latchkey_service_kit::lifecycle::shutdown_on_signal;

pub(crate) use self::options::Load;

use self::options::Source;
use self::output::Output;
use self::show::Show;

/// The exit status when it is not known whether an answer was wrong.
const NOT_JUDGED: u8 = 2;

/// Does it. The exit status is 1 if an answer was wrong, and 2 if that is not known because the rosters could not be read.
/// The first Ctrl-C ends the run, and what it was is told all the same.
pub(crate) async fn run(load: &Load) -> anyhow::Result<ExitCode> {
    let plan = load.plan()?;
    let target = Arc::new(load.target()?);
    let output = Output::open(load.json.clone(), load.html.clone())?;
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
    let verdict = verdict(&target, &supply, &[&run]).await;
    let circumstances = Circumstances {
        target: target.name(),
        supply: words,
        plan: &plan,
        services,
    };
    let report = Report::new(circumstances, &run, &verdict);
    print!("{}", table(&report));
    output.write(&report)?;
    Ok(match verdict {
        Verdict { wrong, .. } if wrong.count() > 0 => ExitCode::FAILURE,
        Verdict {
            unread: Some(_), ..
        } => ExitCode::from(NOT_JUDGED),
        Verdict { unread: None, .. } => ExitCode::SUCCESS,
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
