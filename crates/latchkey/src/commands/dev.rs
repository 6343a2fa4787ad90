//! `latchkey dev`: the development stack, until Ctrl-C.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use latchkey::progress::Progress;
use latchkey::stack::data_dir::{DataDir, default_path};
use latchkey::stack::description::Description;
use latchkey::stack::process::ANY_PORT;
use latchkey::stack::{DatabaseChoice, Stack, StackOptions};
use latchkey_service_kit::lifecycle;

use super::session;

/// Where each service listens unless told otherwise.
const KEYS_ADDRESS: &str = "127.0.0.1:7401";
/// Likewise.
const ENROLLMENT_ADDRESS: &str = "127.0.0.1:7402";

/// What kind of stack.
#[derive(Debug, clap::Args)]
pub(crate) struct Dev {
    /// Keep nothing: everything lives in a temporary directory that is removed at the end.
    #[arg(long, conflicts_with = "data_dir")]
    ephemeral: bool,
    /// Where the stack lives; it survives a restart there [default: ~/.local/share/latchkey/dev, for root
    /// /var/lib/latchkey/dev].
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// Where the keys service listens; port 0 takes a free one [default: 127.0.0.1:7401, with --ephemeral a free port].
    #[arg(long, value_name = "ADDRESS")]
    keys_addr: Option<SocketAddr>,
    /// Where the enrollment service listens; port 0 takes a free one [default: 127.0.0.1:7402, with --ephemeral a free
    /// port].
    #[arg(long, value_name = "ADDRESS")]
    enrollment_addr: Option<SocketAddr>,
}

/// Runs the stack until it is told to stop.
pub(crate) async fn run(dev: &Dev) -> anyhow::Result<ExitCode> {
    let shutdown = lifecycle::shutdown_on_signal()?;
    let progress = Progress::on_stderr();
    let options = options(dev, progress.clone())?;
    let started = async {
        let mut stack = Stack::start(options).await?;
        stack.make_sample().await?;
        let described = stack.describe()?;
        anyhow::Ok((stack, described))
    };
    let (mut stack, (file, description)) = tokio::select! {
        started = started => started?,
        () = shutdown.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    progress.finish();
    for made in &stack.database().made {
        progress.note(format!("made: {made}"));
    }
    print(&file, &description);
    let failure = tokio::select! {
        () = shutdown.cancelled() => None,
        failure = stack.failed() => Some(failure),
    };
    progress.step("Stopping");
    let stopped = stack.stop().await;
    progress.finish();
    match failure {
        Some(failure) => Err(failure),
        None => stopped.map(|()| ExitCode::SUCCESS),
    }
}

fn options(dev: &Dev, progress: Progress) -> anyhow::Result<StackOptions> {
    let data_dir = if dev.ephemeral {
        DataDir::ephemeral()?
    } else {
        DataDir::take(&dev.data_dir.clone().unwrap_or_else(default_path))?
    };
    let address = |given: Option<SocketAddr>, usual: &str| match given {
        Some(address) => Ok(address),
        None if dev.ephemeral => Ok(ANY_PORT),
        None => usual.parse().context("the usual address"),
    };
    Ok(StackOptions {
        executable: std::env::current_exe().context("cannot tell which program this is")?,
        data_dir,
        keys_address: address(dev.keys_addr, KEYS_ADDRESS)?,
        enrollment_address: address(dev.enrollment_addr, ENROLLMENT_ADDRESS)?,
        database: DatabaseChoice::from_environment(),
        mail_server: None,
        progress,
    })
}

fn print(file: &std::path::Path, description: &Description) {
    println!(
        "keys        {}   log {}",
        description.keys.address,
        description.keys.log_file.display()
    );
    println!(
        "enrollment  {}   log {}",
        description.enrollment.address,
        description.enrollment.log_file.display()
    );
    println!("described in {}", file.display());
    println!("\nTokens, each in a file (`latchkey token --role ROLE` makes more):");
    for (role, path) in &description.tokens {
        println!("  {role:<19} {}", path.display());
    }
    println!("\n{}", session::text(description));
    println!("Ready. Ctrl-C stops everything.");
}
