//! Which processors a process runs on.

use std::fs;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use sqlx::Row as _;

use super::stack::Stack;

/// Gives the services and their database one half of the processors, and this process, their client, the other: clients run
/// on other machines, where they take nothing from the service that they flood.
pub(crate) async fn keep_apart(stack: &Stack) {
    let all = sched_getaffinity(Pid::this()).expect("processors");
    let mut cores = (0..CpuSet::count()).filter(|core| all.is_set(*core) == Ok(true));
    let count = cores.clone().count();
    assert!(count > 1, "one processor cannot be shared out");
    let services: Vec<usize> = cores.by_ref().take(count / 2).collect();
    let clients: Vec<usize> = cores.collect();
    let mut processes = backends(stack).await;
    processes.extend(
        stack
            .site()
            .replicas()
            .filter_map(super::site::Replica::pid),
    );
    for process in processes {
        pin(process, &services);
    }
    pin(std::process::id(), &clients);
}

/// The processes of Postgres, and the one that starts them.
async fn backends(stack: &Stack) -> Vec<u32> {
    let rows = sqlx::query("SELECT pid FROM pg_stat_activity")
        .fetch_all(&mut stack.database().await)
        .await
        .expect("its processes");
    let mut pids: Vec<u32> = rows
        .iter()
        .map(|row| u32::try_from(row.get::<i32, _>(0)).expect("a process"))
        .collect();
    let stat = fs::read_to_string(format!("/proc/{}/stat", pids[0])).expect("it runs");
    let parent = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.split(' ').nth(1));
    pids.push(parent.expect("a parent").parse().expect("a process"));
    pids
}

/// Threads that come later are where the one is that starts them. One that has ended meanwhile needs no place.
fn pin(process: u32, cores: &[usize]) {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core).expect("a processor");
    }
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
        return;
    };
    for thread in threads.flatten() {
        let id = thread.file_name().to_string_lossy().parse();
        let _ended = sched_setaffinity(Pid::from_raw(id.expect("a thread")), &set);
    }
}
