//! Reads `postmaster.pid`, by which a running Postgres says that it is there and whether it is ready.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// What `postmaster.pid` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PidFile {
    /// The postmaster's process.
    pub(super) pid: Pid,
    /// Its TCP port, once it is written.
    pub(super) port: Option<u16>,
    /// Whether it accepts connections.
    pub(super) ready: bool,
}

/// Where the file is in a data directory.
pub(super) fn path(data: &Path) -> PathBuf {
    data.join("postmaster.pid")
}

impl PidFile {
    /// The file's content; none if there is no file, or none yet.
    pub(super) fn read(data: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(path(data)).ok()?)
    }

    /// Lines, by Postgres' `miscadmin.h`: process id, data directory, start time, port, socket directory, listen
    /// address, shared memory key, status.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines
            .next()?
            .trim()
            .parse::<i32>()
            .ok()
            .filter(|pid| *pid > 1)?;
        let port = lines.nth(2).and_then(|line| line.trim().parse().ok());
        let ready = lines.nth(3).is_some_and(|line| line.trim() == "ready");
        Some(Self {
            pid: Pid::from_raw(pid),
            port,
            ready,
        })
    }

    /// Whether that process lives and is a Postgres: after a reboot the number may be another's.
    pub(super) fn is_alive(&self) -> bool {
        is_running(self.pid) && self.is_postgres()
    }

    fn is_postgres(&self) -> bool {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.pid))
            .ok()
            .or_else(|| {
                let output = Command::new("ps")
                    .args(["-o", "comm=", "-p", &self.pid.to_string()])
                    .output()
                    .ok()?;
                String::from_utf8(output.stdout).ok()
            });
        name.is_none_or(|name| name.contains("postgres"))
    }
}

/// Whether a process with this id exists.
pub(super) fn is_running(pid: Pid) -> bool {
    matches!(kill(pid, None), Ok(()) | Err(Errno::EPERM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postmaster_is_ready_when_its_eighth_line_says_so() {
        let starting = "4242\n/data\n1700000000\n54321\n\n127.0.0.1\n  12345  1\nstarting\n";
        let file = PidFile::parse(starting).expect("content");
        assert_eq!(
            (file.pid.as_raw(), file.port, file.ready),
            (4242, Some(54321), false)
        );
        let ready = starting.replace("starting", "ready   ");
        assert!(PidFile::parse(&ready).expect("content").ready);
    }

    #[test]
    fn a_file_that_is_still_being_written_is_no_postmaster() {
        assert_eq!(PidFile::parse(""), None);
        assert_eq!(
            PidFile::parse("0\n"),
            None,
            "signals to process 0 would go to our own group"
        );
        assert_eq!(
            PidFile::parse("-1\n"),
            None,
            "signals to process -1 would go to everyone"
        );
        assert_eq!(PidFile::parse("77\n/data").expect("content").port, None);
    }

    #[test]
    fn another_process_with_the_same_number_is_not_the_postmaster() {
        let ours = PidFile {
            pid: Pid::this(),
            port: Some(1),
            ready: true,
        };
        assert!(is_running(ours.pid));
        assert!(!ours.is_alive(), "this test is not a Postgres");
    }
}
