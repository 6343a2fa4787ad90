//! Processor time and memory of processes, as Linux tells them in `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, anyhow};

/// In what `/proc` counts processor time: a hundredth of a second, whatever the kernel's own clock is (`USER_HZ`, proc(5)).
const TICK: Duration = Duration::from_millis(10);

/// The processor time of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cpu {
    /// Its own.
    pub own: Duration,
    /// And that of its children which have ended and were waited for.
    pub with_children: Duration,
}

/// The memory of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    /// What it has now, in MiB.
    pub resident_mib: f64,
    /// The most it had since its start, or since [`reset_peak`].
    pub peak_mib: f64,
}

/// The processor time of the process `pid` so far.
///
/// # Errors
/// When there is no such process, or no `/proc`.
pub(super) fn cpu(pid: u32) -> anyhow::Result<Cpu> {
    Ok(stat(pid)?.cpu)
}

/// The processor time so far of the process `pid` and its children: those that live, and those that have ended.
///
/// # Errors
/// When there is no such process, or no `/proc`.
pub(super) fn family(pid: u32) -> anyhow::Result<Duration> {
    let mut sum = cpu(pid)?.with_children;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(other) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Whoever ends meanwhile is counted with the parent the next time.
        if let Ok(stat) = stat(other)
            && stat.parent == pid
        {
            sum += stat.cpu.with_children;
        }
    }
    Ok(sum)
}

/// The parent of the process `pid`.
///
/// # Errors
/// When there is no such process, or no `/proc`.
pub(super) fn parent(pid: u32) -> anyhow::Result<u32> {
    Ok(stat(pid)?.parent)
}

/// How long the processors of the machine were busy so far, all together.
///
/// # Errors
/// When there is no `/proc`.
pub(super) fn busy() -> anyhow::Result<Duration> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    read_busy(&text).context("/proc/stat is not as expected")
}

/// The memory of the process `pid`.
///
/// # Errors
/// When there is no such process, or no `/proc`.
pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    read_memory(&text).with_context(|| format!("{path} is not as expected"))
}

/// Has the peak of a process begin anew, where the kernel lets us; where not, it stays that since the start.
pub fn reset_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

struct Stat {
    parent: u32,
    cpu: Cpu,
}

fn stat(pid: u32) -> anyhow::Result<Stat> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    read_stat(&text).ok_or_else(|| anyhow!("{path} is not as expected"))
}

/// Reads a line as in `proc_pid_stat(5)`. The name of the program is in parentheses and may have anything in it.
fn read_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Field 3 of the manual, the state, is the first after the name.
    let ticks = |field: usize| -> Option<u32> { fields.get(field - 3)?.parse().ok() };
    let own = TICK * (ticks(14)? + ticks(15)?);
    Some(Stat {
        parent: ticks(4)?,
        cpu: Cpu {
            own,
            with_children: own + TICK * (ticks(16)? + ticks(17)?),
        },
    })
}

/// Reads the first line of `/proc/stat`: all but idle (the fourth) and waiting for the disk (the fifth). Guests' time is
/// in that of users already.
fn read_busy(text: &str) -> Option<Duration> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let mut sum = Duration::ZERO;
    for (place, ticks) in line.split_whitespace().take(8).enumerate() {
        if place != 3 && place != 4 {
            sum += Duration::from_millis(ticks.parse::<u64>().ok()? * 10);
        }
    }
    Some(sum)
}

fn read_memory(text: &str) -> Option<Memory> {
    let mib = |name: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib / 1024.0)
    };
    Some(Memory {
        resident_mib: mib("VmRSS:")?,
        peak_mib: mib("VmHWM:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_past_any_name() {
        let line = "42 (a ) b) S 7 42 42 0 -1 4194304 100 200 0 0 150 50 30 20 20 0 1 0 12345 0 0";
        let stat = read_stat(line).expect("read");
        assert_eq!(stat.parent, 7);
        assert_eq!(stat.cpu.own, Duration::from_secs(2));
        assert_eq!(stat.cpu.with_children, Duration::from_millis(2_500));
        assert!(read_stat("42 nothing").is_none());
    }

    #[test]
    fn idle_time_is_not_busy() {
        let text = "cpu  100 10 50 9000 500 5 5 0 40 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(read_busy(text), Some(Duration::from_millis(1_700)));
        assert_eq!(read_busy("intr 1"), None);
    }

    #[test]
    fn memory_is_read_in_mib() {
        let text = "Name:\tlatchkey\nVmHWM:\t  131072 kB\nVmRSS:\t   65536 kB\n";
        let memory = read_memory(text).expect("read");
        assert!((memory.peak_mib - 128.0).abs() < f64::EPSILON);
        assert!((memory.resident_mib - 64.0).abs() < f64::EPSILON);
        assert!(read_memory("Name:\tkthreadd\n").is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_time_memory_and_a_parent() {
        let pid = std::process::id();
        assert!(memory(pid).expect("memory").resident_mib > 0.1);
        // Read first: time goes on.
        let own = cpu(pid).expect("time").own;
        assert!(family(pid).expect("time") >= own);
        assert_eq!(
            parent(pid).expect("a parent"),
            std::os::unix::process::parent_id()
        );
        assert!(busy().expect("time") > Duration::ZERO);
    }
}
