//! `latchkey serve`: one of the services in this process.

use std::process::ExitCode;

use latchkey::stack::Service;
use latchkey_service_kit::command::{self, ServeArguments};

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
    let arguments = &serve.arguments;
    match serve.service {
        Service::Keys => command::run(
            arguments,
            latchkey_keys::Config::load,
            latchkey_keys::Config::observation,
            latchkey_keys::serve,
        ),
        Service::Enrollment => command::run(
            arguments,
            latchkey_enrollment::Config::load,
            latchkey_enrollment::Config::observation,
            latchkey_enrollment::serve,
        ),
    }
}
