//! `latchkey-enrollment`: the enrollment service as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use latchkey_enrollment::{Config, serve};
use latchkey_service_kit::command::{ServeArguments, run};

/// The enrollment service: organizations, classes and their seats, students, redemption, roster and access.
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
