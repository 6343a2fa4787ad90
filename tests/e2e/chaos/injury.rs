//! What is done to the processes and their connections while wishes are under way.

use std::time::Duration;

use latchkey::stack::Service;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt;
use rand::rngs::StdRng;
use sqlx::postgres::PgConnection;
use tokio::time::sleep;

use crate::harness::Stack;
use crate::harness::proxy::{Link, Weather};
use crate::harness::site::{Links, Replica};

/// How many processes each service has.
pub(super) const REPLICAS: usize = 2;

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Injury {
    /// A process aborts at a place between two effects that outlive it.
    Crash,
    /// A process is killed at any time.
    Kill,
    /// A process stands still for a while, and goes on.
    Freeze,
    /// Postgres ends connections.
    Disconnect,
    /// A process's clock is wrong for a while.
    Clock,
    /// A link behaves badly for a while.
    Weather,
    /// Postgres ends at once and is started again.
    Postgres,
    /// There is no room on Postgres' disk for a while.
    DiskFull,
}

/// Any time up to so many milliseconds.
fn up_to(random: &mut StdRng, ms: u64) -> Duration {
    Duration::from_millis(random.random_range(0..=ms))
}

fn any_process<'s>(stack: &'s mut Stack, random: &mut StdRng) -> &'s mut Replica {
    let service = if random.random_bool(0.7) {
        Service::Enrollment
    } else {
        Service::Keys
    };
    stack.replica(service, random.random_range(0..REPLICAS))
}

impl Injury {
    /// Does it once, at some time; the harm is undone when this returns, but for processes that are down.
    pub(super) async fn inflict(self, stack: &mut Stack, random: &mut StdRng) {
        sleep(up_to(random, 200)).await;
        match self {
            Self::Crash => {
                let place = random.random_range(0..25);
                let process = any_process(stack, random);
                if !process.is_down() {
                    let faults = format!("crash::any={place}*off->return");
                    process.set_faults(&faults).await;
                }
                sleep(up_to(random, 300)).await;
            }
            Self::Kill => any_process(stack, random).kill().await,
            Self::Freeze => {
                let pause = up_to(random, 1_800);
                freeze(any_process(stack, random), pause).await;
            }
            Self::Disconnect => {
                let share = random.random_range(0.2..1.0);
                let mut database = stack.database().await;
                disconnect(&mut database, share).await;
            }
            Self::Clock => {
                let clock = ["clock::process", "clock::database"][random.random_range(0..2)];
                let steps = [-86_400 * 3, -3_600, -20, 20, 3_600, 86_400 * 3];
                let step = steps[random.random_range(0..steps.len())];
                let pause = up_to(random, 600);
                let process = any_process(stack, random);
                process.set_faults(&format!("{clock}=return({step})")).await;
                sleep(pause).await;
                process.set_faults("").await;
            }
            Self::Weather => weather(stack, random).await,
            Self::Postgres => {
                let after = up_to(random, 400);
                stack.site().cluster.crash(after).await;
            }
            Self::DiskFull => {
                let pause = up_to(random, 1_500);
                stack.site().cluster.fill_the_disk(pause).await;
            }
        }
    }
}

/// Stops a process without its knowing, as a paused machine would be, and lets it go on.
async fn freeze(process: &mut Replica, pause: Duration) {
    let Some(pid) = process.pid() else { return };
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id"));
    if kill(pid, Signal::SIGSTOP).is_ok() {
        sleep(pause).await;
        kill(pid, Signal::SIGCONT).expect("it goes on");
    }
}

/// Has one of the links behave badly for a while.
async fn weather(stack: &Stack, random: &mut StdRng) {
    let links: Vec<&Link> = stack
        .site()
        .replicas()
        .filter_map(|replica| replica.links.as_ref())
        .flat_map(Links::all)
        .collect();
    let link = links[random.random_range(0..links.len())];
    let kinds = [
        Weather::Late(up_to(random, 100)),
        Weather::Cut,
        Weather::Hole,
        Weather::HoleBack,
        Weather::CommitsUnanswered,
    ];
    link.set(kinds[random.random_range(0..kinds.len())]);
    sleep(up_to(random, 900)).await;
    link.set(Weather::Fair);
}

/// Ends a share of the services' connections.
async fn disconnect(database: &mut PgConnection, share: f64) {
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name LIKE 'latchkey-%' AND random() < $1",
    )
    .bind(share)
    .execute(database)
    .await
    .expect("connections are ended");
}

/// Starts again what is down; how many that were.
pub(super) async fn revive(stack: &mut Stack) -> usize {
    let mut revived = 0;
    for service in [Service::Keys, Service::Enrollment] {
        for number in 0..REPLICAS {
            revived += usize::from(stack.replica(service, number).revive().await);
        }
    }
    revived
}

/// Takes all faults back.
pub(super) async fn heal(stack: &mut Stack) {
    for service in [Service::Keys, Service::Enrollment] {
        for number in 0..REPLICAS {
            let process = stack.replica(service, number);
            process.set_faults("").await;
            process.revive().await;
        }
    }
}
