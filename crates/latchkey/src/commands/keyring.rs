//! `latchkey keyring`: new keys for the codes, while calls are served.

mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::ValueEnum;
use latchkey::progress::Progress;
use latchkey::stack::data_dir::default_path;
use latchkey::stack::description::Description;
use latchkey_keys::app::keyring_status::{Rows, keyring_status};
use latchkey_keys::app::keyring_work::{Behind, KeyringWork};
use latchkey_keys::app::make_key_current::{MadeCurrent, make_key_current};
use latchkey_keys::app::rotate_codes::{PAGE, rotate_codes};
use latchkey_keys::app::take_key_out_of_use::{TakenOut, take_key_out_of_use};
use latchkey_keys::{Config, KeyVersion, KeyringFile, Purpose};
use latchkey_service_kit::database;
use latchkey_service_kit::ids::{Ids, RandomIds, os_random};
use nix::unistd::{User, getuid};
use tokio::time::sleep;

/// What the database shows beside the command's connections.
const APPLICATION: &str = "latchkey-keyring";

/// How often it is looked whether all replicas have read a new key.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often it is told how far a rotation has come.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Which keyring, and what to do with it.
#[derive(Debug, clap::Args)]
pub(crate) struct KeyringCommand {
    #[command(subcommand)]
    action: Action,
    /// The configuration of the keys service, whose keyring file and database are meant [default: that of the development
    /// stack].
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The data directory of a development stack [default: that of `latchkey dev`].
    #[arg(
        long,
        value_name = "DIRECTORY",
        global = true,
        conflicts_with = "config"
    )]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show which versions are in use, by how many rows, and which of them each running process has.
    Status {
        /// Print JSON instead of tables.
        #[arg(long)]
        json: bool,
    },
    /// Add a new key to the keyring file. Nothing is made with it yet: every replica has to read it first, which it does by
    /// itself within seconds once it stands in its file.
    NewVersion(Which),
    /// Make the newest keys current, as soon as every running replica has them; then seal and hash every stored code anew.
    ///
    /// Calls are served meanwhile. It can be stopped anywhere and started again.
    Rotate {
        #[command(flatten)]
        which: Which,
        /// How many seconds the replicas may take to read the newest keys.
        #[arg(long, value_name = "SECONDS", default_value_t = 30)]
        replicas_within: u64,
        /// How many codes are made anew in one transaction, which locks them for as long.
        #[arg(long, value_name = "ROWS", default_value_t = PAGE, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        rows: i64,
    },
    /// Take an old key out of use, if nothing can need it any more, and out of the keyring file.
    ///
    /// Backups of the database made before the rotation need it still: keep a copy of the file with them.
    RemoveVersion {
        /// What the key is for.
        #[arg(long)]
        purpose: PurposeArgument,
        /// Its version.
        #[arg(long)]
        version: i16,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Only keys for this; may be given several times [default: all].
    #[arg(long)]
    purpose: Vec<PurposeArgument>,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PurposeArgument {
    /// Sealing codes, so that they can be shown again.
    Seal,
    /// Looking codes up.
    LookUp,
    /// Recognising repeated requests.
    Fingerprint,
}

impl From<PurposeArgument> for Purpose {
    fn from(argument: PurposeArgument) -> Self {
        match argument {
            PurposeArgument::Seal => Self::Seal,
            PurposeArgument::LookUp => Self::LookUp,
            PurposeArgument::Fingerprint => Self::Fingerprint,
        }
    }
}

impl Which {
    fn purposes(&self) -> Vec<Purpose> {
        if self.purpose.is_empty() {
            return Purpose::ALL.to_vec();
        }
        self.purpose.iter().copied().map(Purpose::from).collect()
    }
}

/// Does what is asked. The exit status is 0 only if all of it was done.
pub(crate) async fn run(command: &KeyringCommand) -> anyhow::Result<ExitCode> {
    latchkey_service_kit::faults::arm();
    let config = config(command)?;
    match &command.action {
        Action::NewVersion(which) => new_version(&config.keyring_file, which),
        Action::Status { json } => {
            let work = work(&config)?;
            let status = keyring_status(&work.pool).await?;
            if *json {
                println!("{}", show::for_machines(&status, &work.keyring)?);
            } else {
                print!("{}", show::for_people(&status, &work.keyring));
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Rotate {
            which,
            replicas_within,
            rows,
        } => {
            let work = work(&config)?;
            let progress = Progress::on_stderr();
            let within = Duration::from_secs(*replicas_within);
            for key in make_current(&work, which, within, &progress).await? {
                println!("everything new is made with {key}");
            }
            rotate(&work, *rows, &progress).await
        }
        Action::RemoveVersion { purpose, version } => {
            let key = KeyVersion {
                purpose: (*purpose).into(),
                version: *version,
            };
            remove_version(&config, key).await
        }
    }
}

fn config(command: &KeyringCommand) -> anyhow::Result<Config> {
    let file = if let Some(file) = &command.config {
        file.clone()
    } else {
        let data_dir = command.data_dir.clone().unwrap_or_else(default_path);
        Description::read(&data_dir)?.keys.config_file
    };
    Ok(Config::load(Some(&file))?)
}

fn work(config: &Config) -> anyhow::Result<KeyringWork> {
    let ids = Arc::new(RandomIds::default());
    let user = User::from_uid(getuid()).ok().flatten();
    Ok(KeyringWork {
        pool: database::pool(&config.database, APPLICATION)?,
        keyring: Arc::new(config.keyring_file.read()?),
        request_id: ids.new_id(),
        ids,
        by: user.map_or_else(|| format!("uid {}", getuid()), |user| user.name),
    })
}

fn new_version(file: &KeyringFile, which: &Which) -> anyhow::Result<ExitCode> {
    let added = file.change(|keyring| {
        let mut purposes = which.purposes().into_iter();
        let first = purposes.next()?;
        let (mut more, key) = keyring.with_another(first, &mut os_random())?;
        let mut added = vec![key];
        for purpose in purposes {
            let (next, key) = more.with_another(purpose, &mut os_random())?;
            more = next;
            added.push(key);
        }
        Some((more, added))
    })?;
    let added = added.context("there is no higher version")?;
    for key in added {
        println!("added {key} to {}", file.path().display());
    }
    println!(
        "Nothing is made with it yet. Bring the file to every replica, then run `latchkey keyring rotate`."
    );
    Ok(ExitCode::SUCCESS)
}

async fn rotate(work: &KeyringWork, page: i64, progress: &Progress) -> anyhow::Result<ExitCode> {
    progress.step("Counting the codes");
    let status = keyring_status(&work.pool).await?;
    let of_seals = |rows: &&Rows| rows.key.purpose == Purpose::Seal;
    let total: i64 = status
        .rows
        .iter()
        .filter(of_seals)
        .map(|rows| rows.count)
        .sum();
    let mut last = None::<Instant>;
    let rotated = rotate_codes(work, page, |page| {
        if last.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            last = Some(Instant::now());
            progress.step(format!(
                "{} of {total} codes looked at, {} made anew",
                page.seen, page.renewed
            ));
        }
    })
    .await;
    progress.finish();
    let rotated = rotated?;
    println!(
        "{} codes looked at, {} made anew",
        rotated.progress.seen, rotated.progress.renewed
    );
    for key in &rotated.completed {
        println!("every code is made with {key}");
    }
    if rotated.left.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for rows in &rotated.left {
        eprintln!("{} rows are still made with {}", rows.count, rows.key);
    }
    Ok(ExitCode::FAILURE)
}

/// Makes the newest keys current, and waits for the replicas to have them first.
async fn make_current(
    work: &KeyringWork,
    which: &Which,
    within: Duration,
    progress: &Progress,
) -> anyhow::Result<Vec<KeyVersion>> {
    let began = Instant::now();
    let mut shown = String::new();
    loop {
        match make_key_current(work, &which.purposes()).await? {
            MadeCurrent::Done(made) => return Ok(made),
            MadeCurrent::Waiting(behind) => {
                let names: Vec<String> = behind.iter().map(Behind::to_string).collect();
                let names = names.join("; ");
                if began.elapsed() >= within {
                    progress.finish();
                    bail!("nothing was changed: {names}");
                }
                if names != shown {
                    progress.step(format!("Waiting: {names}"));
                    shown = names;
                }
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn remove_version(config: &Config, key: KeyVersion) -> anyhow::Result<ExitCode> {
    let work = work(config)?;
    if let TakenOut::Needed(needs) = take_key_out_of_use(&work, key).await? {
        for need in needs {
            eprintln!("{key} may be needed: {need}");
        }
        return Ok(ExitCode::FAILURE);
    }
    // In this order: a key that stands in the file and is not in use does no harm.
    let removed = config
        .keyring_file
        .change(|keyring| Some((keyring.without(key)?, ())))?;
    let path = config.keyring_file.path().display();
    match removed {
        Some(()) => println!("{key} is out of use, and removed from {path}"),
        None => println!("{key} is out of use, and does not stand in {path}"),
    }
    Ok(ExitCode::SUCCESS)
}
