//! A private cluster: its own data directory, TCP on loopback at a free port, no Unix socket, fsync on.

use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin};

use super::account::Account;
use super::find::{Binaries, digits};
use super::guard::{GuardOptions, Report};
use super::pid_file::PidFile;
use crate::progress::Progress;

/// The cluster's superuser. Only provisioning connects as it; no service does.
pub const SUPERUSER: &str = "latchkey_admin";

/// How long the guard may take to report: longer than it waits itself for Postgres.
const REPORT_WITHIN: Duration = Duration::from_mins(3);
/// How long the guard may take to stop Postgres: longer than its own bounds together.
const STOP_WITHIN: Duration = Duration::from_secs(45);

/// Where clusters of root are kept when the account that runs Postgres cannot reach the data directory.
const REACHABLE_HOME: &str = "/var/lib/latchkey";

/// What a cluster is made with.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// The `latchkey` program, which is the guard too.
    pub executable: PathBuf,
    /// The directory that holds the cluster and its log; see [`home_for`].
    pub home: PathBuf,
    /// The superuser's password. It is set when the cluster is made and must stay the same.
    pub password: SecretString,
    /// Server settings beyond those of every private cluster, as `name=value`.
    pub settings: Vec<String>,
    /// Whether nothing of it is kept: the home, and these directories too, are removed after the stop.
    pub ephemeral: Option<Vec<PathBuf>>,
}

/// A running private cluster. Dropping it stops Postgres in the background; [`Cluster::stop`] waits for that.
#[derive(Debug)]
pub struct Cluster {
    guard: Child,
    /// Closed, it tells the guard to stop.
    leash: Option<ChildStdin>,
    port: u16,
    adopted: bool,
    password: SecretString,
    data: PathBuf,
    log: PathBuf,
}

/// Where the cluster of a data directory is kept: in it, if `account` can reach that, else in `/var/lib/latchkey`.
pub fn home_for(data_dir: &Path, account: &Account) -> PathBuf {
    if account.can_reach(data_dir) {
        return data_dir.join("postgres");
    }
    let digest = Sha256::digest(data_dir.as_os_str().as_encoded_bytes());
    Path::new(REACHABLE_HOME).join(hex::encode(&digest[..8]))
}

/// The major version that made the cluster in `home`; none if there is no cluster yet.
pub fn major_version(home: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(home.join("data/PG_VERSION")).ok()?;
    Some(digits(text.trim()))
}

impl Cluster {
    /// Makes the cluster if it does not exist, and starts it or adopts it if it runs already.
    ///
    /// # Errors
    /// When a directory cannot be made, `initdb` fails, or Postgres does not start; the text shows the end of its log.
    pub async fn start(
        binaries: &Binaries,
        account: &Account,
        options: ClusterOptions,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        make_home(&options.home, account)
            .with_context(|| format!("cannot make {}", options.home.display()))?;
        if major_version(&options.home).is_none() {
            progress.step(format!(
                "Making a database cluster (PostgreSQL {})",
                binaries.version
            ));
            initialise(binaries, account, &options).await?;
        }
        progress.step(format!("Starting PostgreSQL {}", binaries.version));
        let log = options.home.join("postgres.log");
        let (mut guard, leash) = spawn_guard(binaries, account, &options, &log)?;
        let stdout = guard.stdout.take().context("the guard has no output")?;
        let mut line = String::new();
        let read =
            tokio::time::timeout(REPORT_WITHIN, BufReader::new(stdout).read_line(&mut line)).await;
        read.context("Postgres' guard did not report in time")?
            .context("cannot read from Postgres' guard")?;
        match serde_json::from_str(&line) {
            Ok(Report::Ready { port, adopted }) => Ok(Self {
                guard,
                leash: Some(leash),
                port,
                adopted,
                password: options.password,
                data: options.home.join("data"),
                log,
            }),
            Ok(Report::Failed { reason }) => bail!("{reason}"),
            Err(_) => bail!(
                "Postgres' guard ended without a word: {:?}",
                guard.wait().await?
            ),
        }
    }

    /// How to connect as the superuser, to the database `postgres`.
    pub fn admin(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host(&Ipv4Addr::LOCALHOST.to_string())
            .port(self.port)
            .username(SUPERUSER)
            .password(self.password.expose_secret())
            .database("postgres")
            .ssl_mode(PgSslMode::Disable)
    }

    /// The port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it had been running before [`Cluster::start`].
    pub fn is_adopted(&self) -> bool {
        self.adopted
    }

    /// Postgres' own log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Has Postgres end at once without a farewell, as a crash would (an immediate shutdown: it recovers from its log at
    /// the next start).
    ///
    /// # Errors
    /// When it does not run, or may not be told so.
    pub fn crash(&self) -> anyhow::Result<()> {
        let file = PidFile::read(&self.data).context("Postgres does not run")?;
        Ok(kill(file.pid, Signal::SIGQUIT)?)
    }

    /// Returns when Postgres has ended without being told to.
    pub async fn ended(&mut self) {
        let _ = self.guard.wait().await;
    }

    /// Stops Postgres and waits until it has ended.
    ///
    /// # Errors
    /// When it has not ended within the guard's bounds.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.leash.take());
        tokio::time::timeout(STOP_WITHIN, self.guard.wait())
            .await
            .context("Postgres did not stop in time")??;
        Ok(())
    }
}

fn make_home(home: &Path, account: &Account) -> io::Result<()> {
    if let Some(parent) = home.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(home) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    account.own(home)
}

/// Runs `initdb` into a directory beside, so that what an interrupted run left is never taken for a cluster.
async fn initialise(
    binaries: &Binaries,
    account: &Account,
    options: &ClusterOptions,
) -> anyhow::Result<()> {
    let unfinished = options.home.join("data.new");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished)
            .with_context(|| format!("cannot remove {}", unfinished.display()))?;
    }
    let password_file = options.home.join("password.new");
    let _ = std::fs::remove_file(&password_file);
    write_private(&password_file, options.password.expose_secret())?;
    account.own(&password_file)?;
    let mut command = std::process::Command::new(binaries.program("initdb"));
    command.arg("-D").arg(&unfinished).args([
        "-U",
        SUPERUSER,
        "--auth=scram-sha-256",
        "--locale=C",
        "--encoding=UTF8",
    ]);
    command
        .arg("--pwfile")
        .arg(&password_file)
        .arg("--no-instructions");
    if options.ephemeral.is_some() {
        // What nobody keeps need not survive a power cut during its making.
        command.arg("--no-sync");
    }
    command.stdin(Stdio::null());
    account.apply(&mut command);
    let output = tokio::process::Command::from(command).output().await;
    let _ = std::fs::remove_file(&password_file);
    let output =
        output.with_context(|| format!("cannot run {}", binaries.program("initdb").display()))?;
    if !output.status.success() {
        bail!(
            "initdb failed ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let data = options.home.join("data");
    std::fs::rename(&unfinished, &data).with_context(|| format!("cannot make {}", data.display()))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn spawn_guard(
    binaries: &Binaries,
    account: &Account,
    options: &ClusterOptions,
    log: &Path,
) -> anyhow::Result<(Child, ChildStdin)> {
    let (uid, gid) = account.ids();
    let mut settings: Vec<String> = [
        "listen_addresses=127.0.0.1",
        // Debian's default directory needs an account of its own.
        "unix_socket_directories=",
        "fsync=on",
        "timezone=UTC",
        "log_timezone=UTC",
        "max_connections=200",
    ]
    .map(str::to_owned)
    .into();
    settings.extend(options.settings.iter().cloned());
    let mut remove = Vec::new();
    if let Some(more) = &options.ephemeral {
        remove.push(options.home.clone());
        remove.extend(more.iter().cloned());
    }
    let data = options.home.join("data");
    let told = GuardOptions {
        programs: binaries.directory.clone(),
        data,
        log: log.to_owned(),
        uid,
        gid,
        settings,
        remove,
    };
    let mut command = tokio::process::Command::new(&options.executable);
    command.arg("guard-postgres").args(told.to_arguments());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0);
    let mut guard = command
        .spawn()
        .with_context(|| format!("cannot run {}", options.executable.display()))?;
    let leash = guard.stdin.take().context("the guard has no input")?;
    Ok((guard, leash))
}
