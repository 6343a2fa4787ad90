//! What a run was, for people and for machines: one account of it, which the table, the JSON and the page show.

mod figures;
mod html;
mod plot;
mod rows;
mod table;

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
use super::run::{Ended, Latencies, Run, Wrong, per_second};

/// The quantiles of a curve: dense where the tail is.
const CURVE: [f64; 17] = [
    0.0, 0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.9995, 0.9999,
    0.99999, 1.0,
];

/// The account of a run. Latencies are in milliseconds, rates by the second.
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
    pub calls_per_second: f64,
    /// Calls that got what they asked for.
    pub granted_per_second: f64,
    /// Latencies of all calls after the ramp, but of those without a connection.
    pub latency_ms: Quantiles,
    /// Latencies of those that were granted.
    pub granted_latency_ms: Quantiles,
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
    pub calls_per_second: f64,
    /// How often it was granted in a second of that time.
    pub granted_per_second: f64,
    /// Latencies of all its calls after the ramp, those that were never sent too, but not those without a connection.
    pub latency_ms: Quantiles,
    /// Latencies of those that were granted.
    pub granted_latency_ms: Quantiles,
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
    pub p50_ms: f64,
    /// What one in a hundred exceeded.
    pub p99_ms: f64,
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
            calls_per_second: per_second(figures.answered, run.measured()),
            granted_per_second: per_second(figures.granted_in_time, run.measured()),
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
            calls_per_second: run.calls_per_second(),
            granted_per_second: run.granted_per_second(),
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

    /// That calls were due and never sent, in a sentence; nothing, if all were.
    fn backlog(&self) -> Option<String> {
        (self.never_sent > 0).then(|| {
            format!(
                "{} of the {} calls that were due were never sent: all {} streams were waiting for answers.",
                self.never_sent, self.due, self.plan.streams
            )
        })
    }

    /// Which actions of the mix were never called, in a sentence; nothing, if all were.
    fn idle(&self) -> Option<String> {
        let names: Vec<String> = self
            .never_called
            .iter()
            .map(|action| format!("`{action}`"))
            .collect();
        (!names.is_empty()).then(|| format!("In the mix, and never called: {}.", names.join(", ")))
    }

    /// That nobody knows whether an answer was wrong, in a sentence; nothing, if it was looked at.
    fn not_judged(&self) -> Option<String> {
        let why = self.wrong.why.as_ref()?;
        Some(format!(
            "The rosters could not be read, so whether an answer was wrong is not known: {why}"
        ))
    }

    /// Which services could not be looked at, and why: a sentence each.
    fn unread(&self) -> impl Iterator<Item = &str> {
        let services = self.services.iter();
        services.filter_map(|service| service.unread.as_deref())
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
    fn of(latencies: &Latencies) -> Self {
        let at = |quantile| millis(latencies.at(quantile));
        Self {
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
        }
    }
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
            p50_ms: millis(second.latencies.at(0.5)),
            p99_ms: millis(second.latencies.at(0.99)),
            refusals: second
                .outcomes
                .refusals()
                .into_iter()
                .map(|(outcome, count)| (outcome.to_string(), count))
                .collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    use latchkey_proto::errors::v1::ErrorReason;

    use super::*;
    use crate::load::run::{ActionRun, Second, Window, WrongKind, Wrongs};

    /// Two seconds and a half of event keys, one of them for a class that is full.
    fn run() -> Run {
        let mut figures = ActionRun::default();
        let mut seconds = vec![Second::default(); 3];
        let full = Outcome::Refused(ErrorReason::ClassFull);
        for (second, outcome) in [(0, Outcome::Enrolled), (1, full), (2, Outcome::Enrolled)] {
            let latency = Duration::from_millis(4 + second as u64);
            figures.latencies.record(latency);
            figures.outcomes.add(outcome);
            seconds[second].latencies.record(latency);
            seconds[second].outcomes.add(outcome);
        }
        figures.granted.record_many(Duration::from_millis(4), 2);
        (figures.answered, figures.granted_in_time) = (3, 2);
        Run {
            began: DateTime::from_timestamp(1_700_000_000, 0).expect("a time"),
            window: Window::default(),
            lasted: Duration::from_millis(2_500),
            ended: Ended::UsedUp(Action::Event),
            actions: vec![(Action::Event, figures)],
            seconds,
            key_uses: Vec::new(),
            seats: Vec::new(),
            full: BTreeSet::new(),
            wrong: Wrongs::default(),
        }
    }

    fn circumstances() -> Circumstances<'static> {
        static PLAN: LazyLock<Plan> = LazyLock::new(|| Plan {
            mix: "event=9,replay=1".parse().expect("a mix"),
            ..Plan::default()
        });
        Circumstances {
            target: "https://<here>".to_owned(),
            supply: "two classes".to_owned(),
            plan: &PLAN,
            services: vec![ServiceReport {
                name: "keys".to_owned(),
                samples: vec![Sample {
                    at_seconds: 1.0,
                    cpu: Some(0.5),
                    batch_items: BTreeMap::from([("decide".to_owned(), 12.0)]),
                }],
                unread: None,
            }],
        }
    }

    fn report(verdict: &Verdict) -> Report {
        Report::new(circumstances(), &run(), verdict)
    }

    #[test]
    fn table_json_and_page_tell_the_same() {
        let report = report(&Verdict::default());
        assert_eq!(report.seconds.len(), 2, "whole seconds only");
        assert_eq!(report.seconds[1].refusals["CLASS_FULL"], 1);
        let json: serde_json::Value =
            serde_json::from_str(&report.json().expect("JSON")).expect("JSON");
        assert_eq!(
            (&json["calls"], &json["not_granted"]),
            (&3.into(), &1.into())
        );
        assert_eq!(json["ended"]["used_up"], "event");
        assert_eq!(json["actions"][0]["outcomes"]["enrolled"], 2);
        let (table, page) = (table(&report), html(&report));
        assert_eq!(json["granted_latency_ms"]["count"], 2);
        for row in ["event, granted", "event"] {
            assert!(
                table.contains(row) && page.contains(row),
                "{row} in {table}"
            );
        }
        assert_eq!(json["never_called"], serde_json::json!(["replay"]));
        for part in [
            "CLASS_FULL",
            "No answer was wrong.",
            "was used up",
            "In the mix, and never called: `replay`.",
        ] {
            assert!(table.contains(part), "{part} in {table}");
            assert!(page.contains(part), "{part} in the page");
        }
        assert!(page.contains("https://&lt;here&gt;"), "text is escaped");
        assert_eq!(page.matches("<svg").count(), 6);
        assert_eq!(page.matches("<details>").count(), 6, "a table beside each");
        assert!(!page.contains("NaN"));
    }

    #[test]
    fn calls_that_were_due_and_never_sent_are_told() {
        let mut run = run();
        let figures = &mut run.actions[0].1;
        figures.outcomes.add_many(Outcome::NeverSent, 7);
        figures.latencies.record_many(Duration::from_secs(2), 7);
        run.seconds[1].outcomes.add_many(Outcome::NeverSent, 7);
        let report = Report::new(circumstances(), &run, &Verdict::default());
        assert_eq!((report.calls, report.due, report.never_sent), (3, 10, 7));
        assert_eq!(report.actions[0].never_sent, 7);
        assert_eq!(report.seconds[1].calls, 1);
        assert_eq!(report.seconds[1].refusals["never sent"], 7);
        assert!(report.latency_ms.p50 >= 2e3, "they waited two seconds");
        let sentence = "7 of the 10 calls that were due were never sent";
        assert!(table(&report).contains(sentence), "{}", table(&report));
        assert!(html(&report).contains(sentence));
    }

    #[test]
    fn a_service_that_could_not_be_looked_at_is_named() {
        let mut circumstances = circumstances();
        let service = &mut circumstances.services[0];
        service.samples.clear();
        service.unread = Some("metrics of <keys> could not be read".to_owned());
        let report = Report::new(circumstances, &run(), &Verdict::default());
        assert!(table(&report).contains("metrics of <keys> could not be read\n"));
        assert!(html(&report).contains("metrics of &lt;keys&gt; could not be read"));
        let json = report.json().expect("JSON");
        assert!(json.contains("\"unread\""), "{json}");
    }

    #[test]
    fn what_is_wrong_is_said_first() {
        let mut wrong = Wrongs::default();
        wrong.add(WrongKind::KeyUsedTwice, "the key <7> enrolled two");
        let mut verdict = Verdict {
            wrong,
            unread: None,
        };
        let report = report(&verdict);
        assert!(table(&report).contains("WRONG: 1\n  the key <7> enrolled two"));
        let page = html(&report);
        assert!(page.contains("One answer was wrong."), "{page}");
        assert!(page.contains("the key &lt;7&gt; enrolled two"));
        assert!(!page.contains("No answer was wrong"));
        // What was seen in the answers is told even if the rosters could not be read.
        verdict.unread = Some("no connection".to_owned());
        let table = table(&super::Report::new(circumstances(), &run(), &verdict));
        assert!(table.contains("WRONG: 1\n"), "{table}");
        assert!(table.contains("is not known: no connection"), "{table}");
    }

    #[test]
    fn what_nobody_judged_is_not_called_right() {
        let report = report(&Verdict {
            wrong: Wrongs::default(),
            unread: Some("<nobody> answers".to_owned()),
        });
        let (table, page) = (table(&report), html(&report));
        let sentence =
            "The rosters could not be read, so whether an answer was wrong is not known:";
        assert!(
            table.contains(&format!("{sentence} <nobody> answers\n")),
            "{table}"
        );
        assert!(
            page.contains(&format!("{sentence} &lt;nobody&gt; answers")),
            "{page}"
        );
        for told in [table, page] {
            assert!(!told.contains("No answer was wrong"), "{told}");
        }
        let json: serde_json::Value =
            serde_json::from_str(&report.json().expect("JSON")).expect("JSON");
        assert_eq!(json["wrong"]["judged"], false);
        assert_eq!(json["wrong"]["why"], "<nobody> answers");
    }
}
