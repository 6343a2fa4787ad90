//! What a run was, for people and for machines: one account of it, which the table, the JSON and the page show.

mod figures;
mod html;
mod plot;
mod remarks;
mod rows;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use html::html;
pub use table::table;

use super::engine::{Pace, Plan, Until};
use super::judge::Verdict;
use super::mix::{Action, Mix};
use super::observe::Sample;
use super::outcome::{Outcome, Outcomes};
use super::run::{Ended, Latencies, Run, Second, Wrong, per_second};

/// The quantiles of a curve: dense where the tail is.
const CURVE: [f64; 17] = [
    0.0, 0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.9995, 0.9999,
    0.99999, 1.0,
];

/// The account of a run. Latencies are in milliseconds, rates by the second; of what was not measured there is nothing.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where calls went.
    pub target: String,
    /// The version of this program.
    pub version: &'static str,
    /// When it began.
    pub began: DateTime<Utc>,
    /// How it was made.
    pub plan: PlanReport,
    /// What it was made of, in words.
    pub supply: String,
    /// Why it ended.
    pub ended: Ended,
    /// From the beginning to the last answer, in seconds.
    pub lasted_seconds: f64,
    /// From the ramp to the planned end, or to the last answer if that came before: rates are of this time.
    pub measured_seconds: f64,
    /// All calls that were made, those during the ramp too.
    pub calls: u64,
    /// All calls that should have been made: more than were, where an open loop had nobody left to make them.
    pub due: u64,
    /// Those of them that were not made before the end. Their latency is the time from when they were due to the end.
    pub never_sent: u64,
    /// Those that did not get what they asked for.
    pub not_granted: u64,
    /// Calls that were answered, whatever the answer.
    pub calls_per_second: Option<f64>,
    /// Calls that got what they asked for.
    pub granted_per_second: Option<f64>,
    /// Latencies of all calls after the ramp, but of those without a connection.
    pub latency_ms: Option<Quantiles>,
    /// Latencies of those that were granted.
    pub granted_latency_ms: Option<Quantiles>,
    /// What became of all calls.
    pub outcomes: BTreeMap<String, u64>,
    /// Each action that was called.
    pub actions: Vec<ActionReport>,
    /// Actions of the mix that were never called, because there was nothing to call them with.
    pub never_called: Vec<Action>,
    /// Each whole second.
    pub seconds: Vec<SecondReport>,
    /// What the services said of themselves, as far as that can be reached.
    pub services: Vec<ServiceReport>,
    /// Answers that cannot be.
    pub wrong: WrongReport,
}

/// How a run was made.
#[derive(Debug, Clone, Serialize)]
pub struct PlanReport {
    /// The mix.
    pub mix: String,
    /// Calls on their way at once.
    pub streams: usize,
    /// Connections.
    pub connections: usize,
    /// Threads of the client.
    pub threads: usize,
    /// `closed` or `open`.
    pub r#loop: &'static str,
    /// The rate of an open loop.
    pub rate: Option<f64>,
    /// The ramp.
    pub ramp_seconds: f64,
    /// When it should end, if by time.
    pub duration_seconds: Option<f64>,
    /// When it should end, if by number.
    pub count: Option<u64>,
    /// The seed.
    pub seed: u64,
}

/// A distribution of latencies, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Quantiles {
    /// How many there are.
    pub count: u64,
    /// The mean.
    pub mean: f64,
    /// Half of them were not slower.
    pub p50: f64,
    /// Nine in ten were not slower.
    pub p90: f64,
    /// 95 in a hundred were not slower.
    pub p95: f64,
    /// 99 in a hundred were not slower.
    pub p99: f64,
    /// 999 in a thousand were not slower.
    pub p99_9: f64,
    /// 9999 in ten thousand were not slower.
    pub p99_99: f64,
    /// The slowest.
    pub max: f64,
    /// The whole curve: quantile (0 to 1) and latency.
    pub curve: Vec<(f64, f64)>,
}

/// One action.
#[derive(Debug, Clone, Serialize)]
pub struct ActionReport {
    /// Which.
    pub action: Action,
    /// How often it was called, the ramp included.
    pub calls: u64,
    /// How often it should have been called.
    pub due: u64,
    /// How often it was due and never sent.
    pub never_sent: u64,
    /// How often it was granted, the ramp included.
    pub granted: u64,
    /// How often it was answered in a second of the time that was measured.
    pub calls_per_second: Option<f64>,
    /// How often it was granted in a second of that time.
    pub granted_per_second: Option<f64>,
    /// Latencies of all its calls after the ramp, those that were never sent too, but not those without a connection.
    pub latency_ms: Option<Quantiles>,
    /// Latencies of those that were granted.
    pub granted_latency_ms: Option<Quantiles>,
    /// What became of them.
    pub outcomes: BTreeMap<String, u64>,
}

/// One second.
#[derive(Debug, Clone, Serialize)]
pub struct SecondReport {
    /// Which, from 0.
    pub second: usize,
    /// Calls answered in it.
    pub calls: u64,
    /// Those that were granted.
    pub granted: u64,
    /// Their median latency.
    pub p50_ms: Option<f64>,
    /// What one in a hundred exceeded.
    pub p99_ms: Option<f64>,
    /// Those that were not granted, by reason; and calls that were due in this second and never sent.
    pub refusals: BTreeMap<String, u64>,
}

/// What one service said of itself.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceReport {
    /// Its name.
    pub name: String,
    /// Between two looks each: about every second.
    pub samples: Vec<Sample>,
    /// Why there are none, if it could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

/// Answers that cannot be.
#[derive(Debug, Clone, Serialize)]
pub struct WrongReport {
    /// Whether answers were held against the rosters. If not, those that are counted were seen in the answers alone.
    pub judged: bool,
    /// Why they were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How many.
    pub count: u64,
    /// The first ones.
    pub first: Vec<Wrong>,
}

/// What a report is made of besides the run.
#[derive(Debug)]
pub struct Circumstances<'c> {
    /// Where calls went.
    pub target: String,
    /// What the run was made of, in words.
    pub supply: String,
    /// The plan.
    pub plan: &'c Plan,
    /// What the services said of themselves.
    pub services: Vec<ServiceReport>,
}

impl Report {
    /// The account of `run`, of whose answers `verdict` tells which cannot be.
    pub fn new(circumstances: Circumstances<'_>, run: &Run, verdict: &Verdict) -> Self {
        let all = run.all();
        let outcomes = &all.outcomes;
        let actions = run.actions.iter().map(|(action, figures)| ActionReport {
            action: *action,
            calls: figures.outcomes.made(),
            due: figures.outcomes.total(),
            never_sent: figures.outcomes.of(Outcome::NeverSent),
            granted: figures.outcomes.granted(),
            calls_per_second: rate(figures.answered, run),
            granted_per_second: rate(figures.granted_in_time, run),
            latency_ms: Quantiles::of(&figures.latencies),
            granted_latency_ms: Quantiles::of(&figures.granted),
            outcomes: counted(&figures.outcomes),
        });
        Self {
            target: circumstances.target,
            version: env!("CARGO_PKG_VERSION"),
            began: run.began,
            plan: PlanReport::of(circumstances.plan),
            supply: circumstances.supply,
            ended: run.ended,
            lasted_seconds: run.lasted.as_secs_f64(),
            measured_seconds: run.measured().as_secs_f64(),
            calls: outcomes.made(),
            due: outcomes.total(),
            never_sent: outcomes.of(Outcome::NeverSent),
            not_granted: outcomes.made() - outcomes.granted(),
            calls_per_second: rate(all.answered, run),
            granted_per_second: rate(all.granted_in_time, run),
            latency_ms: Quantiles::of(&all.latencies),
            granted_latency_ms: Quantiles::of(&all.granted),
            outcomes: counted(outcomes),
            actions: actions.collect(),
            never_called: never_called(&circumstances.plan.mix, run),
            seconds: seconds(run),
            services: circumstances.services,
            wrong: WrongReport {
                judged: verdict.unread.is_none(),
                why: verdict.unread.clone(),
                count: verdict.wrong.count(),
                first: verdict.wrong.kept().to_vec(),
            },
        }
    }

    /// As JSON, for machines.
    ///
    /// # Errors
    /// None that is known of.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

impl PlanReport {
    fn of(plan: &Plan) -> Self {
        let (r#loop, rate) = match plan.pace {
            Pace::Closed => ("closed", None),
            Pace::Open { per_second } => ("open", Some(per_second)),
        };
        let (duration_seconds, count) = match plan.until {
            Until::After(end) => (Some(end.as_secs_f64()), None),
            Until::Count(count) => (None, Some(count)),
        };
        Self {
            mix: plan.mix.to_string(),
            streams: plan.streams,
            connections: plan.connections,
            threads: plan.threads,
            r#loop,
            rate,
            ramp_seconds: plan.ramp.as_secs_f64(),
            duration_seconds,
            count,
            seed: plan.seed,
        }
    }
}

impl Quantiles {
    /// Nothing, if nothing was measured.
    fn of(latencies: &Latencies) -> Option<Self> {
        if latencies.count() == 0 {
            return None;
        }
        let at = |quantile| millis(latencies.at(quantile));
        Some(Self {
            count: latencies.count(),
            mean: millis(latencies.mean()),
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: millis(latencies.max()),
            curve: CURVE.map(|quantile| (quantile, at(quantile))).to_vec(),
        })
    }
}

/// `count` calls a second of the time that was measured; nothing, if there was none.
fn rate(count: u64, run: &Run) -> Option<f64> {
    let measured = run.measured();
    (!measured.is_zero()).then(|| per_second(count, measured))
}

/// A figure with so many digits behind the point; a dash, if it was not measured.
fn figure(value: Option<f64>, digits: usize) -> String {
    shown(value, |value| format!("{value:.digits$}"))
}

/// A figure as `write` writes it; a dash, if it was not measured.
fn shown(value: Option<f64>, write: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), write)
}

fn never_called(mix: &Mix, run: &Run) -> Vec<Action> {
    let made = |action: &Action| run.action(*action).map_or(0, |run| run.outcomes.made());
    let of_mix = Action::ALL.into_iter().filter(|action| mix.has(*action));
    of_mix.filter(|action| made(action) == 0).collect()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn counted(outcomes: &Outcomes) -> BTreeMap<String, u64> {
    let all = outcomes.sorted().into_iter();
    all.map(|(outcome, count)| (outcome.to_string(), count))
        .collect()
}

fn latency(second: &Second, quantile: f64) -> Option<f64> {
    (second.latencies.count() > 0).then(|| millis(second.latencies.at(quantile)))
}

/// The seconds of a run, without the last one if that was not whole.
fn seconds(run: &Run) -> Vec<SecondReport> {
    let whole = usize::try_from(run.lasted.as_secs()).unwrap_or(usize::MAX);
    let count = run.seconds.len().min(whole.max(1));
    let seconds = run.seconds.iter().take(count).enumerate();
    seconds
        .map(|(number, second)| SecondReport {
            second: number,
            calls: second.outcomes.answered(),
            granted: second.outcomes.granted(),
            p50_ms: latency(second, 0.5),
            p99_ms: latency(second, 0.99),
            refusals: second
                .outcomes
                .refusals()
                .into_iter()
                .map(|(outcome, count)| (outcome.to_string(), count))
                .collect(),
        })
        .collect()
}
