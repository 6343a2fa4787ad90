//! The subcommands, one file each.

mod bench;
mod demo;
mod describe;
mod dev;
mod health;
mod keyring;
mod keys;
mod load;
mod migrate;
mod secrets;
mod serve;
mod server_trust;
mod session;
mod token;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use latchkey::bench::echo::{self, EchoArguments};
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
    /// Play the main job in one sitting, on a stack of its own of which nothing is kept.
    ///
    /// Forty students race for the thirty seats of a class; then the class moves, one of them cancels and another takes
    /// the freed key. Two share the key of a self-paced course. The exit status is 0 only if everything went as the rules
    /// say.
    Demo,
    /// Measure how fast the services are, against the same work done by hand, on a stack of its own of which nothing is kept.
    ///
    /// Each figure is a ratio of two sides that take turns; the exit status is 0 only if all answers were right and all
    /// bounds were met.
    Bench(bench::Bench),
    /// Tell whether what both services store holds together.
    ///
    /// Waits until what keys is owed has arrived there, then names the table and the id of everything that is broken.
    /// The exit status is 1 if anything is.
    Verify(verify::Verify),
    /// Put load on the redemption endpoint, measure it, and tell whether an answer was wrong.
    ///
    /// Makes classes, keys and students for it, or takes them from files. The exit status is 1 if a class has more students
    /// than seats, a key was used twice, or a replay differs from the first answer; and 2 if the rosters could not be read, so
    /// that nobody knows.
    Load(Box<load::Load>),
    /// Work on training keys: export them.
    Keys(keys::Keys),
    /// Print another token for a development stack.
    Token(token::Token),
    /// Print what a client must know of a development stack, as JSON.
    Describe(describe::Describe),
    /// Run one service.
    Serve(serve::Serve),
    /// Make or update the database of a deployment: roles, schemas, tables, rights.
    ///
    /// Doing it again changes nothing, and so does doing it twice at once. The release before runs on what this one makes.
    Migrate(migrate::Migrate),
    /// Make the secrets of a new deployment, each in a file of its own.
    Secrets(secrets::Secrets),
    /// Change the keys that protect the codes, while calls are served.
    Keyring(keyring::KeyringCommand),
    /// Ask a service whether it serves.
    Health(health::Health),
    /// Answers `CheckKey` with what is always the same.
    #[command(hide = true)]
    BenchEcho(EchoArguments),
    /// Holds a Postgres and stops it when standard input closes.
    #[command(hide = true)]
    GuardPostgres(GuardOptions),
}

/// Parses the command line and does what it says. A failure is told on standard error, and the exit status is 1.
pub(crate) fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Dev(dev) => on_runtime(dev::run(&dev)),
        Command::Demo => on_runtime(demo::run()),
        Command::Bench(bench) => on_runtime(bench::run(&bench)),
        Command::Verify(options) => on_runtime(verify::run(&options)),
        Command::Load(load) => on_runtime(load::run(&load)),
        Command::Keys(keys) => on_runtime(keys::run(&keys)),
        Command::Token(token) => token::run(&token),
        Command::Describe(describe) => describe::run(&describe),
        Command::Migrate(migrate) => on_runtime(migrate::run(&migrate)),
        Command::Secrets(secrets) => secrets::run(&secrets),
        Command::Keyring(keyring) => on_runtime(keyring::run(&keyring)),
        Command::Health(health) => on_runtime(health::run(&health)),
        Command::Serve(serve) => return serve::run(&serve),
        Command::BenchEcho(arguments) => return echo::run(&arguments),
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
