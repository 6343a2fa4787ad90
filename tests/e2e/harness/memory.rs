//! How much memory a process has had.

use super::site::Replica;

/// The most that the process has had resident so far, in KiB.
pub(crate) fn peak_kib(replica: &Replica) -> u64 {
    let pid = replica.pid().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it is told");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("its peak");
    let number = line.split_whitespace().next().expect("a number");
    number.parse().expect("KiB")
}
