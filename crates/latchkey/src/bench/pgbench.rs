//! Running pgbench, which comes with the server, and reading what it found.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use secrecy::{ExposeSecret, SecretString};
use tokio::process::Command;

use super::percentile::percentile;

/// A server to run against.
#[derive(Debug, Clone)]
pub struct Pgbench {
    /// The program.
    pub program: PathBuf,
    /// The port of 127.0.0.1.
    pub port: u16,
    /// Whom to log in as.
    pub user: String,
    /// That user's password.
    pub password: SecretString,
    /// The database.
    pub database: String,
}

/// One run.
#[derive(Debug, Clone)]
pub struct PgbenchRun<'r> {
    /// The script.
    pub script: &'r Path,
    /// How many connections work at the same time.
    pub clients: u32,
    /// For how long.
    pub duration: Duration,
    /// Variables of the script.
    pub variables: &'r [(&'r str, String)],
    /// A directory for the log of all latencies, if they are wanted.
    pub log: Option<&'r Path>,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct PgbenchOutcome {
    /// Transactions that were committed.
    pub transactions: u64,
    /// Of them in a second, without the time to connect.
    pub per_second: f64,
    /// The mean latency.
    pub mean: Duration,
    /// The median latency, if a log was wanted.
    pub median: Option<Duration>,
}

impl Pgbench {
    /// Runs it: prepared statements, one thread, no vacuum.
    ///
    /// # Errors
    /// When it cannot be run, fails, or a transaction of it fails.
    pub async fn run(&self, run: &PgbenchRun<'_>) -> anyhow::Result<PgbenchOutcome> {
        let mut command = Command::new(&self.program);
        command
            .args(["-n", "-M", "prepared", "-j", "1", "-h", "127.0.0.1"])
            .args(["-p", &self.port.to_string(), "-U", &self.user])
            .args(["-c", &run.clients.to_string()])
            .args(["-T", &run.duration.as_secs().max(1).to_string()])
            .arg("-f")
            .arg(run.script)
            .env("PGPASSWORD", self.password.expose_secret());
        for (name, value) in run.variables {
            command.arg("-D").arg(format!("{name}={value}"));
        }
        if let Some(directory) = run.log {
            command.arg("-l");
            let prefix = directory.join(LOG_PREFIX);
            command.arg(format!("--log-prefix={}", prefix.display()));
        }
        command
            .arg(&self.database)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command
            .output()
            .await
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("pgbench failed ({}):\n{}", output.status, complaint.trim());
        }
        let mut outcome = read_outcome(&said)?;
        if let Some(directory) = run.log {
            outcome.median = Some(read_logs(directory)?);
        }
        Ok(outcome)
    }
}

/// What the names of the logs begin with.
const LOG_PREFIX: &str = "latencies";

/// Reads what pgbench (14 or newer) prints at its end.
///
/// # Errors
/// When that is not what it printed, or a transaction failed.
pub fn read_outcome(said: &str) -> anyhow::Result<PgbenchOutcome> {
    let number_after = |beginning: &str| -> anyhow::Result<f64> {
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix(beginning))
            .with_context(|| format!("pgbench did not say `{beginning}` but:\n{said}"))?;
        let number = line.split_whitespace().next().unwrap_or_default();
        number
            .parse()
            .with_context(|| format!("`{number}` after `{beginning}`"))
    };
    // Only newer ones say so; before, a failed transaction ended its client, which the exit status tells.
    let failed = number_after("number of failed transactions:").unwrap_or(0.0);
    ensure!(failed == 0.0, "{failed} transactions of pgbench failed");
    Ok(PgbenchOutcome {
        transactions: said
            .lines()
            .find_map(|line| line.strip_prefix("number of transactions actually processed: "))
            // With a fixed number of transactions: `800/800`.
            .and_then(|rest| rest.split('/').next()?.trim().parse().ok())
            .with_context(|| format!("pgbench did not count its transactions:\n{said}"))?,
        per_second: number_after("tps = ")?,
        mean: Duration::from_secs_f64(number_after("latency average = ")? / 1_000.0),
        median: None,
    })
}

/// The median of the latencies in the logs of a run, which are removed.
fn read_logs(directory: &Path) -> anyhow::Result<Duration> {
    let mut micros = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(LOG_PREFIX) {
            read_log(&std::fs::read_to_string(&path)?, &mut micros)?;
            std::fs::remove_file(&path)?;
        }
    }
    micros.sort_unstable_by(f64::total_cmp);
    let median = percentile(&micros, 0.5).context("pgbench logged no transaction")?;
    Ok(Duration::from_secs_f64(median / 1e6))
}

/// Adds the latencies in `log`, in microseconds: the third number of each line.
fn read_log(log: &str, micros: &mut Vec<f64>) -> anyhow::Result<()> {
    for line in log.lines() {
        let latency = line.split_whitespace().nth(2);
        let latency = latency.and_then(|text| text.parse().ok());
        micros.push(latency.with_context(|| format!("`{line}` is no line of a pgbench log"))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "pgbench (15.14 (Debian 15.14-0+deb12u1))
transaction type: single_use.sql
scaling factor: 1
query mode: prepared
number of clients: 64
number of threads: 1
maximum number of tries: 1
duration: 5 s
number of transactions actually processed: 17123
number of failed transactions: 0 (0.000%)
latency average = 18.640 ms
initial connection time = 102.713 ms
tps = 3433.491840 (without initial connection time)
";

    #[test]
    fn what_it_prints_is_read() {
        let outcome = read_outcome(SAID).expect("read");
        assert_eq!(outcome.transactions, 17_123);
        assert!((outcome.per_second - 3_433.491_84).abs() < 1e-6);
        assert_eq!(outcome.mean, Duration::from_micros(18_640));
        assert_eq!(outcome.median, None);
    }

    #[test]
    fn what_version_14_prints_is_read_too() {
        let old = SAID.replace("number of failed transactions: 0 (0.000%)\n", "");
        assert_eq!(read_outcome(&old).expect("read").transactions, 17_123);
        let counted = SAID.replace("processed: 17123", "processed: 800/800");
        assert_eq!(read_outcome(&counted).expect("read").transactions, 800);
    }

    #[test]
    fn a_run_that_failed_counts_for_nothing() {
        let failed = SAID.replace("transactions: 0 (0.000%)", "transactions: 3 (0.018%)");
        assert!(
            read_outcome(&failed)
                .expect_err("failed")
                .to_string()
                .contains('3')
        );
        assert!(read_outcome("pgbench: error: connection refused").is_err());
        assert!(read_outcome(&SAID.replace("tps = ", "tps: ")).is_err());
    }

    #[test]
    fn latencies_are_read_from_all_logs_and_these_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).expect("written");
        };
        write(
            "latencies.4711",
            "0 1 900 0 1700000000 1\n0 2 1100 0 1700000000 2\n",
        );
        write("latencies.4711.1", "1 1 5000 0 1700000000 3\n");
        write("other", "not a log");
        let median = read_logs(directory.path()).expect("read");
        assert_eq!(median, Duration::from_micros(1_100));
        let left = std::fs::read_dir(directory.path()).expect("a directory");
        assert_eq!(left.count(), 1);
        assert!(read_logs(directory.path()).is_err());
        assert!(read_log("0 1\n", &mut Vec::new()).is_err());
    }
}
