//! The guard: a small process that holds a Postgres and stops it when its owner ends, however the owner ends.
//!
//! The owner keeps the writing end of the guard's standard input. When the owner is gone, be it by SIGKILL, the
//! operating system closes that end, and the guard shuts Postgres down. One guard at a time has a cluster: a new one
//! waits until the one before has finished.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::pid_file::{self, PidFile, is_running};
use crate::tail::tail;

/// How long a fast shutdown may take (it writes a checkpoint) before Postgres is told to abort instead.
const FAST_STOP: Duration = Duration::from_secs(30);
/// How long an immediate shutdown may take before the process is killed.
const IMMEDIATE_STOP: Duration = Duration::from_secs(5);
/// How long the start may take; recovery after a crash is part of it.
const START: Duration = Duration::from_mins(2);
/// How often a state that nobody announces is looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// A free port can be taken by someone else before Postgres binds it: so often another is tried.
const PORT_TRIES: u32 = 5;

/// What a guard is told.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct GuardOptions {
    /// The directory of the Postgres programs.
    #[arg(long)]
    pub programs: PathBuf,
    /// The data directory of the cluster.
    #[arg(long)]
    pub data: PathBuf,
    /// The file that Postgres' log goes to.
    #[arg(long)]
    pub log: PathBuf,
    /// The user that Postgres runs as.
    #[arg(long)]
    pub uid: u32,
    /// Its group.
    #[arg(long)]
    pub gid: u32,
    /// A server setting, `name=value`.
    #[arg(long = "setting")]
    pub settings: Vec<String>,
    /// A directory to remove after Postgres has stopped.
    #[arg(long)]
    pub remove: Vec<PathBuf>,
}

impl GuardOptions {
    /// The arguments by which a process is told these options.
    pub fn to_arguments(&self) -> Vec<std::ffi::OsString> {
        let mut arguments: Vec<std::ffi::OsString> = vec![
            "--programs".into(),
            self.programs.clone().into(),
            "--data".into(),
            self.data.clone().into(),
            "--log".into(),
            self.log.clone().into(),
            "--uid".into(),
            self.uid.to_string().into(),
            "--gid".into(),
            self.gid.to_string().into(),
        ];
        arguments.extend(
            self.settings
                .iter()
                .flat_map(|setting| ["--setting".into(), setting.into()]),
        );
        arguments.extend(
            self.remove
                .iter()
                .flat_map(|directory| ["--remove".into(), directory.clone().into()]),
        );
        arguments
    }
}

/// The one line that a guard writes to its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// Postgres accepts connections.
    Ready {
        /// On this port of 127.0.0.1.
        port: u16,
        /// Whether it had been running already.
        adopted: bool,
    },
    /// It could not be started.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// What ends the watch.
enum Event {
    OwnerGone,
    Exited(io::Result<ExitStatus>),
}

/// Does the guard's whole work; returns when Postgres has stopped.
pub fn run(options: &GuardOptions) -> ExitCode {
    let (events, inbox) = channel();
    let holding = Arc::new(AtomicBool::new(false));
    watch_owner(events.clone(), Arc::clone(&holding));
    let code = match hold(options, &events, &inbox, &holding) {
        Ok(code) => code,
        Err(reason) => {
            report(&Report::Failed { reason });
            ExitCode::FAILURE
        }
    };
    for directory in &options.remove {
        if let Err(error) = std::fs::remove_dir_all(directory)
            && error.kind() != io::ErrorKind::NotFound
        {
            let _ = writeln!(
                io::stderr(),
                "cannot remove {}: {error}",
                directory.display()
            );
        }
    }
    code
}

/// Standard input ends when the owner does. Until there is a Postgres to stop, that ends this process at once.
fn watch_owner(events: Sender<Event>, holding: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut buffer = [0_u8; 64];
        while !matches!(io::stdin().read(&mut buffer), Ok(0) | Err(_)) {}
        let _ = events.send(Event::OwnerGone);
        if !holding.load(Ordering::SeqCst) {
            std::process::exit(0);
        }
    });
}

fn hold(
    options: &GuardOptions,
    events: &Sender<Event>,
    inbox: &Receiver<Event>,
    holding: &AtomicBool,
) -> Result<ExitCode, String> {
    let lock_path = options.data.with_extension("guard");
    let lock =
        File::create(&lock_path).map_err(|error| format!("{}: {error}", lock_path.display()))?;
    lock.lock()
        .map_err(|error| format!("cannot lock {}: {error}", lock_path.display()))?;
    holding.store(true, Ordering::SeqCst);

    let adopted = adopt(&options.data);
    let (postmaster, port) = match adopted {
        Some(found) => found,
        None => start(options, events, inbox)?,
    };
    report(&Report::Ready {
        port,
        adopted: adopted.is_some(),
    });
    if adopted.is_some() {
        watch_adopted(postmaster, events.clone());
    }
    match inbox.recv() {
        Ok(Event::Exited(_)) => Ok(ExitCode::FAILURE),
        Ok(Event::OwnerGone) | Err(_) => {
            stop(postmaster, inbox);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A write to an owner that has gone is no reason to panic, as `println!` would.
fn report(report: &Report) {
    if let Ok(line) = serde_json::to_string(report) {
        let mut out = io::stdout();
        let _ = writeln!(out, "{line}");
        let _ = out.flush();
    }
}

/// A Postgres that runs on this data directory already, once it is ready; its process and port.
fn adopt(data: &Path) -> Option<(Pid, u16)> {
    let deadline = Instant::now() + START;
    while Instant::now() < deadline {
        let file = PidFile::read(data)?;
        if !file.is_alive() {
            // Postgres itself takes any live process of its own account with that number for a postmaster.
            let _ = std::fs::remove_file(pid_file::path(data));
            return None;
        }
        if let Some(port) = file.port.filter(|_| file.ready) {
            return Some((file.pid, port));
        }
        thread::sleep(GLANCE);
    }
    None
}

/// An adopted process is nobody's child here, so that its end has to be looked for.
fn watch_adopted(postmaster: Pid, events: Sender<Event>) {
    thread::spawn(move || {
        while is_running(postmaster) {
            thread::sleep(GLANCE * 10);
        }
        let _ = events.send(Event::Exited(Ok(ExitStatus::default())));
    });
}

fn start(
    options: &GuardOptions,
    events: &Sender<Event>,
    inbox: &Receiver<Event>,
) -> Result<(Pid, u16), String> {
    let mut reason = String::new();
    for _ in 0..PORT_TRIES {
        let port = free_port().map_err(|error| format!("no free port on 127.0.0.1: {error}"))?;
        let log_before = std::fs::metadata(&options.log).map_or(0, |metadata| metadata.len());
        let mut child = spawn(options, port)?;
        let postmaster =
            Pid::from_raw(i32::try_from(child.id()).map_err(|error| error.to_string())?);
        let waiter = events.clone();
        thread::spawn(move || {
            let _ = waiter.send(Event::Exited(child.wait()));
        });
        match await_ready(options, postmaster, inbox) {
            Ok(()) => return Ok((postmaster, port)),
            Err(why) => reason = why,
        }
        let log = tail(&options.log, log_before, 20);
        if !log.contains("could not bind") && !log.contains("Address already in use") {
            return Err(format!(
                "{reason}; its log ({}) ends:\n{log}",
                options.log.display()
            ));
        }
    }
    Err(format!(
        "{reason}: {PORT_TRIES} free ports were taken by others before Postgres could bind them"
    ))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

fn spawn(options: &GuardOptions, port: u16) -> Result<Child, String> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&options.log);
    let log = log.map_err(|error| format!("{}: {error}", options.log.display()))?;
    let copy = log.try_clone().map_err(|error| error.to_string())?;
    let program = options.programs.join("postgres");
    let mut command = Command::new(&program);
    command
        .arg("-D")
        .arg(&options.data)
        .args(["-p", &port.to_string()]);
    for setting in &options.settings {
        command.args(["-c", setting]);
    }
    command.stdin(Stdio::null()).stdout(log).stderr(copy);
    // A Ctrl-C at the terminal is for the owner, who stops things in their order.
    command.process_group(0);
    Account::from_ids(options.uid, options.gid).apply(&mut command);
    command
        .spawn()
        .map_err(|error| format!("cannot run {}: {error}", program.display()))
}

fn await_ready(
    options: &GuardOptions,
    postmaster: Pid,
    inbox: &Receiver<Event>,
) -> Result<(), String> {
    let deadline = Instant::now() + START;
    loop {
        match inbox.recv_timeout(GLANCE) {
            Ok(Event::Exited(status)) => {
                let status =
                    status.map_or_else(|error| error.to_string(), |status| status.to_string());
                return Err(format!("Postgres did not start ({status})"));
            }
            Ok(Event::OwnerGone) => {
                stop(postmaster, inbox);
                return Err("the owner ended while Postgres was starting".into());
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        if PidFile::read(&options.data).is_some_and(|file| file.pid == postmaster && file.ready) {
            return Ok(());
        }
        if Instant::now() > deadline {
            stop(postmaster, inbox);
            return Err(format!(
                "Postgres was not ready after {} s",
                START.as_secs()
            ));
        }
    }
}

/// Fast shutdown, then immediate, then SIGKILL; returns when the process is gone.
fn stop(postmaster: Pid, inbox: &Receiver<Event>) {
    for (signal, patience) in [
        (Signal::SIGINT, FAST_STOP),
        (Signal::SIGQUIT, IMMEDIATE_STOP),
        (Signal::SIGKILL, IMMEDIATE_STOP),
    ] {
        if kill(postmaster, signal).is_err() {
            return;
        }
        let deadline = Instant::now() + patience;
        loop {
            match inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::Exited(_)) => return,
                Ok(Event::OwnerGone) => {}
                Err(_) => break,
            }
        }
    }
}
