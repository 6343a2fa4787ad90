//! `latchkey verify`: whether what both services store holds together.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use latchkey::stack::data_dir::default_path;
use latchkey::stack::description::Description;
use latchkey::verify::{Databases, Drain, repair, verify};
use latchkey_enrollment::Config;
use latchkey_service_kit::config::SecretFile;
use latchkey_service_kit::database::ServerTrust;

use super::server_trust::ServerOptions;

/// What to verify.
#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// Print one line of JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// The data directory of a development stack that runs [default: that of `latchkey dev`].
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["keys_database_url_file", "enrollment_database_url_file"])]
    data_dir: Option<PathBuf>,
    /// A file with the URL of the keys service's database.
    #[arg(long, value_name = "FILE", requires = "enrollment_database_url_file")]
    keys_database_url_file: Option<PathBuf>,
    /// A file with the URL of the enrollment service's database.
    #[arg(long, value_name = "FILE", requires = "keys_database_url_file")]
    enrollment_database_url_file: Option<PathBuf>,
    /// How many seconds what keys is owed may take to arrive there; the enrollment service delivers it.
    #[arg(long, value_name = "SECONDS", default_value_t = Drain::default().within.as_secs())]
    drain_within: u64,
    /// Deliver what keys is owed, compare both services and mend what can be derived; then verify.
    #[arg(long)]
    repair: bool,
    /// After a restore of either database: repair, and list what is lost as far as the other one shows it.
    #[arg(long)]
    after_restore: bool,
    /// The configuration of the enrollment service, with which it is repaired [default: that of the development stack].
    #[arg(long, value_name = "FILE")]
    enrollment_config: Option<PathBuf>,
    #[command(flatten)]
    server: ServerOptions,
}

/// Prints what is broken. The exit status is 1 if anything is, or if it cannot be told.
pub(crate) async fn run(options: &Verify) -> anyhow::Result<ExitCode> {
    let databases = databases(options).await?;
    let drain = Drain {
        within: Duration::from_secs(options.drain_within),
    };
    if options.repair || options.after_restore {
        return repaired(options, &databases, &drain).await;
    }
    let report = verify(&databases, &drain).await?;
    if options.json {
        println!("{}", report.for_machines()?);
    } else {
        print!("{}", report.for_people());
    }
    Ok(if report.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn repaired(
    options: &Verify,
    databases: &Databases,
    drain: &Drain,
) -> anyhow::Result<ExitCode> {
    let file = match (&options.enrollment_config, &options.keys_database_url_file) {
        (Some(file), _) => file.clone(),
        (None, Some(_)) => bail!("a repair needs --enrollment-config"),
        (None, None) => description(options)?.enrollment.config_file,
    };
    let config = Config::load(Some(&file))?;
    let repaired = repair(databases, &config, options.after_restore, drain).await?;
    if options.json {
        println!("{}", repaired.for_machines()?);
    } else {
        print!("{}", repaired.for_people());
    }
    Ok(if repaired.left.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn description(options: &Verify) -> anyhow::Result<Description> {
    let data_dir = options.data_dir.clone().unwrap_or_else(default_path);
    Description::read(&data_dir)
}

async fn databases(options: &Verify) -> anyhow::Result<Databases> {
    let files = (
        &options.keys_database_url_file,
        &options.enrollment_database_url_file,
    );
    if let (Some(keys), Some(enrollment)) = files {
        return connect(keys, enrollment, &options.server.trust()).await;
    }
    let description = description(options)?;
    connect(
        &description.keys.database_url_file,
        &description.enrollment.database_url_file,
        // The stack made it.
        &ServerTrust::in_anybody(),
    )
    .await
}

async fn connect(keys: &Path, enrollment: &Path, trust: &ServerTrust) -> anyhow::Result<Databases> {
    let read = |file: &Path| {
        SecretFile::new(file)
            .read()
            .context("no database to verify")
    };
    Databases::connect_trusting(&read(keys)?, &read(enrollment)?, trust).await
}
