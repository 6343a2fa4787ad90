//! `latchkey serve`: one of the services in this process.

use std::process::ExitCode;

use latchkey::stack::Service;
use latchkey_service_kit::command::ServeArguments;

/// What to serve, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The service.
    service: Service,
    #[command(flatten)]
    arguments: ServeArguments,
}

/// Serves until told to stop.
pub(crate) fn run(serve: &Serve) -> ExitCode {
    let _ = &serve.arguments;
    eprintln!(
        "the {} service is not linked into this program",
        serve.service.name()
    );
    ExitCode::FAILURE
}
