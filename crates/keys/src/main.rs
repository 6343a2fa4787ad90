//! `latchkey-keys`: the keys service as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use latchkey_keys::{Config, serve};
use latchkey_service_kit::command::{ServeArguments, run};

/// The keys service: training keys and their codes.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    serve: ServeArguments,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run(&arguments.serve, Config::load, Config::observation, serve)
}
