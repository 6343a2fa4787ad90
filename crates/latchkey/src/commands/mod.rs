//! The subcommands, one file each.

mod dev;
mod serve;
mod session;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use latchkey::postgres::guard::{self, GuardOptions};

/// Training keys open classes: the services, and everything around them.
#[derive(Debug, Parser)]
#[command(name = "latchkey", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run Postgres and both services on this machine, until Ctrl-C.
    ///
    /// Uses the database that `DATABASE_URL` names, else a private PostgreSQL from this machine's binaries, else a
    /// downloaded one.
    Dev(dev::Dev),
    /// Print another token for a development stack.
    Token(token::Token),
    /// Run one service.
    Serve(serve::Serve),
    /// Holds a Postgres and stops it when standard input closes.
    #[command(hide = true)]
    GuardPostgres(GuardOptions),
}

/// Parses the command line and does what it says. A failure is told on standard error, and the exit status is 1.
pub(crate) fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Dev(dev) => on_runtime(dev::run(&dev)),
        Command::Token(token) => token::run(&token),
        Command::Serve(serve) => return serve::run(&serve),
        Command::GuardPostgres(options) => return guard::run(&options),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// One thread is enough for a command that mostly waits.
fn on_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
