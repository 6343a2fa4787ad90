//! Schedules of faults: processes crash, are killed, stand still, lose their connections and go by wrong clocks while
//! students redeem, register and leave, as good clients do: again with the same id until there is an answer.
//!
//! Each schedule follows from its seed, which is printed when it fails. Two variables of the environment govern them:
//! `LATCHKEY_CHAOS_SCHEDULES`, how many of each kind are run (the long form: several hundred), and `LATCHKEY_CHAOS_SEED`,
//! which makes one schedule of each kind run, that of this seed.

mod injury;
mod schedule;
mod watch;
mod wish;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::Command;

use futures::FutureExt;
use tokio::time::Instant;

use self::injury::{Injury, REPLICAS};
use self::schedule::Arena;
use crate::harness::cluster::TestCluster;
use crate::harness::{Options, Stack};

/// A process that stands still holds its locks, and others wait for them: both short here, for many schedules.
const SHORT: &str = "
[database]
max_connections = 6
lock_timeout_ms = 800
idle_in_transaction_timeout_ms = 1000
";

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The seeds of one kind of schedules, `usual` many unless the environment says otherwise.
fn seeds(usual: u64) -> Vec<u64> {
    match number("LATCHKEY_CHAOS_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("LATCHKEY_CHAOS_SCHEDULES").unwrap_or(usual)).collect(),
    }
}

fn two_of_each() -> Options {
    Options {
        replicas: REPLICAS,
        keys: SHORT,
        enrollment: SHORT,
        ..Options::default()
    }
}

/// Runs schedules of a kind, each with these injuries.
async fn schedules(kind: &str, usual: u64, injuries: &[Injury]) {
    schedules_on(two_of_each(), kind, usual, injuries).await;
}

async fn schedules_on(options: Options, kind: &str, usual: u64, injuries: &[Injury]) {
    let stack = Stack::with(options).await;
    let mut arena = Arena::new(stack).await;
    let (began, seeds, mut revived) = (Instant::now(), seeds(usual), 0);
    for seed in &seeds {
        let run = AssertUnwindSafe(arena.run(*seed, injuries)).catch_unwind();
        revived += run.await.unwrap_or_else(|panic| {
            eprintln!("the schedule of {kind} with LATCHKEY_CHAOS_SEED={seed} failed");
            std::panic::resume_unwind(panic)
        });
    }
    let (count, took) = (seeds.len(), began.elapsed());
    println!("{count} schedules of {kind} in {took:.0?}: {revived} processes started again");
    arena.stack.finish_after_crashes().await;
}

#[tokio::test]
async fn processes_crash_between_effects() {
    schedules("crashes", 20, &[Injury::Crash, Injury::Crash]).await;
}

#[tokio::test]
async fn processes_are_killed() {
    schedules("kills", 15, &[Injury::Kill, Injury::Kill, Injury::Kill]).await;
}

#[tokio::test]
async fn processes_stand_still() {
    schedules("freezes", 10, &[Injury::Freeze, Injury::Freeze]).await;
}

#[tokio::test]
async fn connections_to_postgres_end() {
    let injuries = [Injury::Disconnect; 4];
    schedules("disconnections", 15, &injuries).await;
}

#[tokio::test]
async fn clocks_are_wrong() {
    schedules("wrong clocks", 15, &[Injury::Clock, Injury::Clock]).await;
}

#[tokio::test]
async fn links_are_late_cut_half_open_and_lose_the_replies_to_commits() {
    let options = Options {
        links: true,
        ..two_of_each()
    };
    schedules_on(options, "bad links", 40, &[Injury::Weather; 4]).await;
}

#[tokio::test]
async fn postgres_is_stopped_at_once_and_recovers() {
    let options = Options {
        cluster: Some(TestCluster::to_be_crashed(None).await),
        ..two_of_each()
    };
    schedules_on(options, "Postgres crashes", 8, &[Injury::Postgres]).await;
}

/// A file system of its own for Postgres, with little room. Ends with the process's interest in it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this account cannot mount one.
    fn mount() -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("latchkey-disk-").tempdir();
        let directory = directory.expect("a directory").keep();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256m,mode=711", "tmpfs"])
            .arg(&directory)
            .status();
        let disk = Self(directory);
        mounted.is_ok_and(|status| status.success()).then_some(disk)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Postgres still has files there, and ends with this process.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn postgres_has_no_room_left() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: this account cannot mount a small file system");
        return;
    };
    let options = Options {
        cluster: Some(TestCluster::to_be_crashed(Some(disk.0.clone())).await),
        ..two_of_each()
    };
    schedules_on(options, "full disks", 6, &[Injury::DiskFull]).await;
}

#[tokio::test]
async fn everything_at_once() {
    let options = Options {
        links: true,
        ..two_of_each()
    };
    let injuries = [
        Injury::Weather,
        Injury::Disconnect,
        Injury::Crash,
        Injury::Kill,
        Injury::Clock,
        Injury::Freeze,
    ];
    schedules_on(options, "everything", 10, &injuries).await;
}
