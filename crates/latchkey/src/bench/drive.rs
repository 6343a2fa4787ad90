//! Calls to the services, made by the load engine, with all that they took.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::config::ClientTlsConfig;

use super::baselines::count;
use super::ground::{Ground, execute};
use super::meter::Meter;
use super::rounds::Sample;
use super::site::Site;
use crate::export::Place;
use crate::load::engine::{self, Plan, Until};
use crate::load::judge;
use crate::load::mix::{Action, Mix};
use crate::load::outcome::Outcome;
use crate::load::prepare::{Wanted, prepare};
use crate::load::run::{Ended, Run};
use crate::load::supply::Supply;
use crate::load::target::{Target, Tokens};
use crate::progress::Progress;

/// How many streams share a connection, as clients of a platform's services do.
const STREAMS_OF_A_CONNECTION: usize = 16;
/// How many calls are made at most before anything is measured: plans are made, connections opened, caches filled.
const WARM_UP: u64 = 1_000;
/// How many wrong answers are named.
const NAMED: usize = 5;

/// Calls a site, out of a supply of keys and students.
#[derive(Debug)]
pub struct Driver {
    /// Where calls go.
    target: Arc<Target>,
    /// Where the rosters are.
    home: Arc<Target>,
    supply: Arc<Supply>,
    meter: Meter,
    /// What was answered, to be judged at the end.
    runs: Vec<Run>,
    wrong: Vec<String>,
}

/// Ends a run whose driver is dropped while it goes on.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Driver {
    /// Makes what is `wanted` through the services of `site`.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn prepare(
        ground: &Ground,
        site: &Site,
        wanted: &Wanted,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let target = target(site)?;
        let told = |made: crate::load::prepare::Progress| {
            if made.done == made.all {
                progress.step(format!("Preparing: {} {}", made.all, made.what));
            }
        };
        let supply = prepare(&target, wanted, &told).await?;
        // What the server does by itself within a minute, so that it does not fall into a measurement.
        let mut owner = site.owner(ground).await?;
        execute(&mut owner, "VACUUM ANALYZE").await?;
        let target = Arc::new(target);
        Ok(Self {
            home: Arc::clone(&target),
            target,
            supply: Arc::new(supply),
            meter: site.meter(ground).await?,
            runs: Vec::new(),
            wrong: Vec::new(),
        })
    }

    /// A driver beside this one, of the same supply and site.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn beside(&self, ground: &Ground, site: &Site) -> anyhow::Result<Self> {
        Ok(Self {
            target: Arc::clone(&self.target),
            home: Arc::clone(&self.home),
            supply: Arc::clone(&self.supply),
            meter: site.meter(ground).await?,
            runs: Vec::new(),
            wrong: Vec::new(),
        })
    }

    /// A driver of the same supply, but of another server that answers in the place of the enrollment service, in a
    /// process with the id `pid`.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn elsewhere(
        &self,
        ground: &Ground,
        site: &Site,
        url: String,
        pid: u32,
    ) -> anyhow::Result<Self> {
        let mut target = target(site)?;
        target.enrollment = vec![place(site, url)];
        let mut driver = self.beside(ground, site).await?;
        driver.target = Arc::new(target);
        driver.meter.enrollment = vec![pid];
        driver.meter.metrics = None;
        Ok(driver)
    }

    /// The first class of its supply.
    ///
    /// # Errors
    /// When there is none.
    pub fn first_class(&self) -> anyhow::Result<String> {
        let class = self.supply.classes.first().map(|class| class.id);
        Ok(class.context("no class")?.to_string())
    }

    /// Makes the first calls of a plan, which are not measured.
    ///
    /// # Errors
    /// When they cannot be made.
    pub async fn warm_up(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let count = match plan.until {
            Until::Count(count) => count.min(WARM_UP),
            Until::After(_) => WARM_UP,
        };
        let first = Plan {
            until: Until::Count(count),
            ..plan.clone()
        };
        self.call(&first).await?;
        Ok(())
    }

    /// Carries out `plan`: calls a second.
    ///
    /// # Errors
    /// When it cannot be carried out as planned.
    pub async fn rate(&mut self, plan: &Plan) -> anyhow::Result<Sample> {
        self.measure(plan, Run::granted_per_second).await
    }

    /// Carries out `plan`: the median latency in milliseconds.
    ///
    /// # Errors
    /// When it cannot be carried out as planned.
    pub async fn median(&mut self, plan: &Plan) -> anyhow::Result<Sample> {
        let median = |run: &Run| millis(run.latencies().at(0.5));
        self.measure(plan, median).await
    }

    async fn measure(
        &mut self,
        plan: &Plan,
        value: impl Fn(&Run) -> f64,
    ) -> anyhow::Result<Sample> {
        let measurement = self.meter.begin().await?;
        let (calls, value, note) = {
            let run = self.call(plan).await?;
            let latencies = run.latencies();
            let note = format!(
                "p50 {:.2} ms, p99 {:.2} ms",
                millis(latencies.at(0.5)),
                millis(latencies.at(0.99))
            );
            (latencies.count(), value(run), note)
        };
        let usage = self.meter.end(measurement, count(calls)).await?;
        Ok(Sample {
            value,
            usage: Some(usage),
            note,
        })
    }

    /// The run of a plan, of which every answer must be what was asked for.
    async fn call(&mut self, plan: &Plan) -> anyhow::Result<&Run> {
        let stop = StopOnDrop(Arc::default());
        let (target, supply, plan) = (
            Arc::clone(&self.target),
            Arc::clone(&self.supply),
            plan.clone(),
        );
        let mix = plan.mix.clone();
        let over = Arc::clone(&stop.0);
        let run = tokio::task::spawn_blocking(move || {
            engine::run(&target, &plan, &supply, &over, &mut |_| {})
        });
        let run = run.await.context("the load engine ended")??;
        if run.ended != Ended::AsPlanned {
            self.wrong
                .push(format!("a run ended early: {:?}", run.ended));
        }
        for (action, figures) in &run.actions {
            for (outcome, times) in figures.outcomes.sorted() {
                if !is_expected(&mix, *action, outcome) {
                    let what = format!("{times} calls of {action}: {outcome}");
                    self.wrong.push(what);
                }
            }
        }
        self.runs.push(run);
        self.runs.last().context("the run just made")
    }

    /// Whatever was wrong with what was answered to any of `drivers`: to be asked once, at the end.
    ///
    /// # Errors
    /// When rosters cannot be read.
    pub async fn judge(drivers: &mut [&mut Self]) -> anyhow::Result<Vec<String>> {
        let mut wrong = Vec::new();
        for (number, driver) in drivers.iter().enumerate() {
            wrong.extend(driver.wrong.iter().cloned());
            let supply = &driver.supply;
            let same = |other: &&&mut Self| Arc::ptr_eq(&other.supply, supply);
            if drivers[..number].iter().any(|other| same(&other)) {
                continue;
            }
            // What one has enrolled is on the rosters of all that have the same supply.
            let runs: Vec<&Run> = drivers
                .iter()
                .filter(same)
                .flat_map(|driver| &driver.runs)
                .collect();
            let judged = judge::judge(&driver.home, supply, &runs).await?;
            let named = judged.kept().iter().take(NAMED);
            wrong.extend(named.map(|wrong| format!("{:?}: {}", wrong.kind, wrong.what)));
        }
        for driver in drivers {
            driver.wrong.clear();
        }
        Ok(wrong)
    }
}

/// Whether that is what a call should come to: what was asked for, but for keys that are spent. A replay of one of these is
/// refused as it was.
fn is_expected(mix: &Mix, action: Action, outcome: Outcome) -> bool {
    let is_spent = outcome == Outcome::Refused(ErrorReason::KeyAlreadyRedeemed);
    match action {
        Action::Spent => is_spent,
        Action::Replay => outcome.is_granted() || (is_spent && mix.has(Action::Spent)),
        _ => outcome.is_granted(),
    }
}

/// A plan of `streams` that make `calls` of one kind.
pub fn closed_loop(action: Action, streams: usize, calls: u64) -> Plan {
    Plan {
        mix: Mix::only(action),
        streams,
        connections: (streams / STREAMS_OF_A_CONNECTION).max(1),
        until: Until::Count(calls),
        ..Plan::default()
    }
}

fn target(site: &Site) -> anyhow::Result<Target> {
    let keys = site.keys.first().context("no keys service")?;
    Ok(Target {
        enrollment: site
            .enrollment
            .iter()
            .map(|replica| place(site, replica.url()))
            .collect(),
        keys: Some(place(site, keys.url())),
        tokens: Tokens::Minted(site.issuer()?),
        metrics: Vec::new(),
    })
}

fn place(site: &Site, url: String) -> Place {
    Place {
        url,
        tls: Some(ClientTlsConfig::of_authorities(site.ca_file())),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_spent_key_is_refused_and_only_for_that() {
        let mix: Mix = "enrollment=1,replay=1,spent=1".parse().expect("a mix");
        let spent = Outcome::Refused(ErrorReason::KeyAlreadyRedeemed);
        let full = Outcome::Refused(ErrorReason::ClassFull);
        for (action, outcome, expected) in [
            (Action::Enrollment, Outcome::Enrolled, true),
            (Action::Enrollment, spent, false),
            (Action::Spent, spent, true),
            (Action::Spent, full, false),
            (Action::Spent, Outcome::Enrolled, false),
            (Action::Replay, Outcome::Replayed, true),
            (Action::Replay, spent, true),
            (Action::Replay, full, false),
        ] {
            let said = is_expected(&mix, action, outcome);
            assert_eq!(said, expected, "{action}: {outcome}");
        }
        let without: Mix = "enrollment=1,replay=1".parse().expect("a mix");
        assert!(!is_expected(&without, Action::Replay, spent));
    }
}
