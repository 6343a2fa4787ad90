//! Makes calls: closed loop or open loop, over any number of connections, and counts what came of them.
//!
//! It takes little of the processor, because the services may need the same one. A thread has a runtime of its own; its
//! workers are not tasks but one future, and share connections and counts without locks; a call is no task either. Requests
//! begin with heads that are made once.

mod answer;
mod choice;
mod crew;
mod request;
mod schedule;
mod tally;
mod wire;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Barrier, Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use chrono::{DateTime, Utc};
use latchkey_service_kit::clock::{Clock, SystemClock};
use latchkey_service_kit::identity::Role;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use self::schedule::{Pace, Until};

use self::choice::Choice;
use self::crew::{Crew, Lane, State};
use self::request::Writer;
use self::schedule::Schedule;
use self::tally::Tally;
use self::wire::Line;
use super::mix::{Action, Mix};
use super::outcome::Outcomes;
use super::run::{Ended, Run, Second, Window, per_second};
use super::supply::Supply;
use super::target::Target;

/// How a run is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What is called.
    pub mix: Mix,
    /// How many calls are on their way at once: exactly in a closed loop, at most in an open one.
    pub streams: usize,
    /// Over how many connections, spread evenly over the processes of the service.
    pub connections: usize,
    /// By how many threads. One makes some ten thousand calls a second.
    pub threads: usize,
    /// Closed or open loop.
    pub pace: Pace,
    /// How long it takes until all streams call, or the whole rate is reached. What is answered meanwhile is counted, but
    /// its latency is not.
    pub ramp: Duration,
    /// When it ends.
    pub until: Until,
    /// How long a call may take before its caller gives it up.
    pub call_within: Duration,
    /// The same seed draws the same calls.
    pub seed: u64,
}

impl Default for Plan {
    /// Ten seconds of single-use keys, 64 streams over four connections.
    fn default() -> Self {
        Self {
            mix: Mix::only(Action::Enrollment),
            streams: 64,
            connections: 4,
            threads: 1,
            pace: Pace::Closed,
            ramp: Duration::ZERO,
            until: Until::After(Duration::from_secs(10)),
            call_within: Duration::from_secs(10),
            seed: 0,
        }
    }
}

impl Plan {
    /// What of a run is measured.
    pub(super) fn window(&self) -> Window {
        Window {
            from: self.ramp,
            until: match self.until {
                Until::After(end) => Some(end),
                Until::Count(_) => None,
            },
        }
    }

    /// Whether it can be carried out.
    ///
    /// # Errors
    /// The text says what does not fit.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(self.threads >= 1, "at least one thread is needed");
        ensure!(
            self.connections >= self.threads,
            "each thread needs a connection: {} are too few for {} threads",
            self.connections,
            self.threads
        );
        ensure!(
            self.streams >= self.connections,
            "each connection needs a stream: {} are too few for {} connections",
            self.streams,
            self.connections
        );
        if let Pace::Open { per_second } = self.pace {
            let usable = per_second.is_finite() && (0.001..=10_000_000.0).contains(&per_second);
            ensure!(usable, "a rate is between 0.001 and 10000000 a second");
        }
        match self.until {
            Until::Count(count) => ensure!(count > 0, "at least one call is needed"),
            Until::After(end) => ensure!(
                end > self.ramp,
                "it must last longer than the ramp, during which nothing is measured"
            ),
        }
        Ok(())
    }
}

/// What one second of a run was, for whoever watches.
#[derive(Debug, Clone)]
pub struct Beat {
    /// How many seconds have passed.
    pub passed: u64,
    /// Calls that were answered in the last one.
    pub per_second: f64,
    /// Their median latency; 0 if none has any.
    pub p50: Duration,
    /// The latency that one in a hundred of them exceeded.
    pub p99: Duration,
    /// What became of all calls up to now.
    pub outcomes: Outcomes,
}

/// What one thread says of one second.
struct Pulse {
    passed: usize,
    second: Second,
}

/// Makes the calls of `plan` at `target`, out of `supply`, until they are enough or `stop` says so. `observer` is told each
/// second. Blocks; the calls are made by threads of its own.
///
/// # Errors
/// When the plan makes no sense, or nobody answers at the target. Calls that fail later are counted.
pub fn run(
    target: &Target,
    plan: &Plan,
    supply: &Supply,
    stop: &AtomicBool,
    observer: &mut dyn FnMut(&Beat),
) -> anyhow::Result<Run> {
    plan.check()?;
    let token = target.tokens.of(Role::PlatformService, None)?;
    let schedule = Schedule::new(plan.pace, plan.until, plan.ramp, plan.streams, stop);
    let used_up = Mutex::new(None);
    let shared = Shared {
        target,
        plan,
        supply,
        token: &token,
        schedule: &schedule,
        used_up: &used_up,
        barrier: Barrier::new(plan.threads),
        began: OnceLock::new(),
    };
    let tallies = std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let threads: Vec<_> = (0..plan.threads)
            .map(|number| {
                let (shared, sender) = (&shared, sender.clone());
                scope.spawn(move || shared.thread(number, &sender))
            })
            .collect();
        drop(sender);
        watch(&receiver, plan.threads, observer);
        let ended = threads.into_iter().map(|thread| {
            let tally = thread.join();
            tally.unwrap_or_else(|_| Err(anyhow!("a thread that makes calls panicked")))
        });
        ended.collect::<anyhow::Result<Vec<Tally>>>()
    })?;
    let mut all = Tally::new(plan.window());
    for tally in tallies {
        all.merge(tally);
    }
    count_never_sent(plan, &schedule, &mut all);
    let first_used_up = used_up.lock().ok().and_then(|used_up| *used_up);
    let ended = match first_used_up {
        Some(action) => Ended::UsedUp(action),
        None if schedule.is_stopped() => Ended::Stopped,
        None => Ended::AsPlanned,
    };
    let began = shared.began.get().map_or(SystemClock.now(), |(_, at)| *at);
    Ok(result(plan, all, began, ended))
}

/// Counts what was due and never sent: a service that answers late must not look fast because fewer calls were made. Of
/// which action such a call would have been is drawn by the mix, as it would have been.
fn count_never_sent(plan: &Plan, schedule: &Schedule<'_>, all: &mut Tally) {
    let made = all.actions.iter().map(|run| run.outcomes.made()).sum();
    let mut random = StdRng::seed_from_u64(plan.seed);
    for unsent in schedule.never_sent(made) {
        let action = plan.mix.drawn_by(random.random_range(0..plan.mix.total()));
        all.count_never_sent(action, unsent.count, unsent.at, unsent.waited);
    }
}

fn result(plan: &Plan, all: Tally, began: DateTime<Utc>, ended: Ended) -> Run {
    let called = Action::ALL.into_iter().zip(all.actions);
    Run {
        began,
        window: plan.window(),
        lasted: all.last,
        ended,
        actions: called.filter(|(_, run)| run.outcomes.total() > 0).collect(),
        seconds: all.seconds,
        key_uses: all.key_uses,
        seats: all.seats,
        full: all.full,
        wrong: all.wrong,
    }
}

/// Puts together what the threads say of each second, and tells `observer`.
fn watch(receiver: &mpsc::Receiver<Pulse>, threads: usize, observer: &mut dyn FnMut(&Beat)) {
    let mut waiting: BTreeMap<usize, (usize, Second)> = BTreeMap::new();
    let mut outcomes = Outcomes::default();
    for pulse in receiver {
        let (heard, second) = waiting.entry(pulse.passed).or_default();
        *heard += 1;
        second.latencies.merge(&pulse.second.latencies);
        second.outcomes.merge(&pulse.second.outcomes);
        if *heard < threads {
            continue;
        }
        outcomes.merge(&second.outcomes);
        observer(&Beat {
            passed: pulse.passed as u64 + 1,
            per_second: per_second(second.outcomes.answered(), Duration::from_secs(1)),
            p50: second.latencies.at(0.5),
            p99: second.latencies.at(0.99),
            outcomes: outcomes.clone(),
        });
        waiting.remove(&pulse.passed);
    }
}

/// What all threads of a run see.
struct Shared<'r> {
    target: &'r Target,
    plan: &'r Plan,
    supply: &'r Supply,
    token: &'r str,
    schedule: &'r Schedule<'r>,
    used_up: &'r Mutex<Option<Action>>,
    /// All connections are made before the first call.
    barrier: Barrier,
    began: OnceLock<(Instant, DateTime<Utc>)>,
}

impl Shared<'_> {
    fn thread(&self, number: usize, pulses: &mpsc::Sender<Pulse>) -> anyhow::Result<Tally> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let opened = match &runtime {
            Ok(runtime) => runtime.block_on(self.open(number)),
            Err(error) => Err(anyhow!("no runtime: {error}")),
        };
        if opened.is_err() {
            self.schedule.end();
        }
        self.barrier.wait();
        let lanes = opened?;
        let now = || (Instant::now(), SystemClock.now());
        let (began, _) = *self.began.get_or_init(now);
        let crew = Crew {
            plan: self.plan,
            supply: self.supply,
            schedule: self.schedule,
            used_up: self.used_up,
            lanes,
            began,
            state: RefCell::new(State {
                choice: Choice::new(
                    self.supply,
                    &self.plan.mix,
                    self.plan.seed.wrapping_add(number as u64),
                ),
                writer: Writer::default(),
                tally: Tally::new(self.plan.window()),
            }),
        };
        let each_second = |tally: &Tally, passed: usize| {
            let second = tally.seconds.get(passed).cloned().unwrap_or_default();
            // Nobody hears of it when nobody watches any more.
            let _ = pulses.send(Pulse { passed, second });
        };
        runtime?.block_on(crew.work(self.of_thread(number, self.plan.streams), each_second));
        Ok(crew.state.into_inner().tally)
    }

    /// The connections of a thread.
    async fn open(&self, number: usize) -> anyhow::Result<Vec<Lane>> {
        let mut lanes = Vec::new();
        for connection in self.of_thread(number, self.plan.connections) {
            let places = &self.target.enrollment;
            ensure!(!places.is_empty(), "where is the enrollment service?");
            let line = Line::open(&places[connection % places.len()]).await?;
            lanes.push(Lane::new(line, self.token, self.plan.call_within)?);
        }
        Ok(lanes)
    }

    /// Those of `all` things that are a thread's.
    fn of_thread(&self, number: usize, all: usize) -> impl Iterator<Item = usize> + use<> {
        (number..all).step_by(self.plan.threads)
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Outcome;
    use super::*;

    #[test]
    fn a_plan_that_does_not_fit_is_refused() {
        Plan::default().check().expect("the usual one");
        let second = Duration::from_secs(1);
        let usual = Plan::default;
        for (bad, word) in [
            (
                Plan {
                    threads: 0,
                    ..usual()
                },
                "thread",
            ),
            (
                Plan {
                    connections: 65,
                    ..usual()
                },
                "stream",
            ),
            (
                Plan {
                    threads: 5,
                    ..usual()
                },
                "connection",
            ),
            (
                Plan {
                    pace: Pace::Open {
                        per_second: f64::NAN,
                    },
                    ..usual()
                },
                "rate",
            ),
            (
                Plan {
                    until: Until::Count(0),
                    ..usual()
                },
                "call",
            ),
            (
                Plan {
                    ramp: second,
                    until: Until::After(second),
                    ..usual()
                },
                "ramp",
            ),
        ] {
            let error = bad.check().expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_call_that_was_never_sent_is_of_an_action_of_the_mix() {
        let plan = Plan {
            mix: "event=1,check=1".parse().expect("a mix"),
            pace: Pace::Open { per_second: 100.0 },
            until: Until::After(Duration::from_secs(2)),
            ..Plan::default()
        };
        let stop = AtomicBool::new(false);
        let schedule = Schedule::new(plan.pace, plan.until, plan.ramp, plan.streams, &stop);
        let mut all = Tally::new(plan.window());
        let second = Duration::from_secs(1);
        for _ in 0..50 {
            all.count(Action::Event, Outcome::Enrolled, second, second);
        }
        count_never_sent(&plan, &schedule, &mut all);
        let run = result(&plan, all, SystemClock.now(), Ended::AsPlanned);
        assert_eq!(run.count(Outcome::NeverSent), 150);
        assert_eq!(run.outcomes().total(), 200);
        for action in [Action::Event, Action::Check] {
            let of = run.action(action).expect("figures");
            assert!(of.outcomes.of(Outcome::NeverSent) > 30, "{action}");
        }
        // Those of the first moment waited a second and a half, and the calls that were made a second.
        assert!(run.latencies().max() >= Duration::from_millis(1_490));
        assert!(run.latencies().at(0.2) < second);
    }

    #[test]
    fn seconds_of_all_threads_come_together() {
        let (sender, receiver) = mpsc::channel();
        let pulse = |passed, count: u64| {
            let mut second = Second::default();
            for _ in 0..count {
                second.latencies.record(Duration::from_millis(10));
                second.outcomes.add(Outcome::Opens);
            }
            Pulse { passed, second }
        };
        for sent in [pulse(0, 3), pulse(1, 1), pulse(0, 4)] {
            sender.send(sent).expect("somebody listens");
        }
        drop(sender);
        let mut beats = Vec::new();
        watch(&receiver, 2, &mut |beat: &Beat| beats.push(beat.clone()));
        assert_eq!(beats.len(), 1, "of the second, one thread said nothing");
        assert_eq!(beats[0].outcomes.total(), 7);
        assert!((beats[0].per_second - 7.0).abs() < 1e-9);
    }
}
