//! The command line of a service, the same for its own binary and for any other program that can run it.

use std::error::Error;
use std::future::Future;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::config::{ConfigError, LogConfig, MetricsConfig, TracesConfig, redacted};
use crate::telemetry::{Chain, traces};
use crate::{faults, lifecycle, metrics, telemetry};

/// A call makes some hundred small allocations that are gone with it, and the system's allocator spends a fifth of the
/// process's time on them (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How a service is run.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ServeArguments {
    /// The configuration file (TOML); environment variables override it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the configuration as it would be used, with secrets struck out, and end.
    #[arg(long)]
    pub print_config: bool,
    /// Check the configuration and the files that it names, and end.
    #[arg(long)]
    pub check: bool,
    /// Shut down when standard input ends, so that the service never outlives whoever started it.
    #[arg(long)]
    pub stop_on_stdin_close: bool,
}

/// The sections of a configuration about what a service shows of itself.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'c> {
    /// What its traces call it.
    pub service: &'static str,
    /// Its logs.
    pub log: &'c LogConfig,
    /// Its metrics.
    pub metrics: &'c MetricsConfig,
    /// Its traces.
    pub traces: &'c TracesConfig,
}

/// Runs a service as its arguments say, on a runtime of one thread: a second one would cost more in hand-overs between
/// threads than it gives. More cores are used by more processes.
///
/// `load` reads and checks the configuration, `observation` names its sections about logs, metrics and traces, `serve`
/// runs until it is told to shut down. The exit status is 0 after an orderly end, 2 for a wrong configuration and 1 for any other failure.
pub fn run<C, E, F>(
    arguments: &ServeArguments,
    load: impl FnOnce(Option<&Path>) -> Result<C, ConfigError>,
    observation: impl FnOnce(&C) -> Observation<'_>,
    serve: impl FnOnce(C, CancellationToken) -> F,
) -> ExitCode
where
    C: Serialize,
    E: Error + 'static,
    F: Future<Output = Result<(), E>>,
{
    let config = match load(arguments.config.as_deref()) {
        Ok(config) => config,
        Err(error) => return failed(&error, 2),
    };
    if arguments.print_config {
        return match redacted(&config) {
            Ok(text) => said(&text),
            Err(error) => failed(&error, 1),
        };
    }
    if arguments.check {
        return said("the configuration is good\n");
    }
    let observed = observation(&config);
    let sending = match traces::start(observed.traces, observed.service) {
        Ok(sending) => sending,
        Err(error) => return failed(&error, 1),
    };
    let tracer = sending.as_ref().map(traces::Traces::tracer);
    if let Err(error) = telemetry::init(observed.log, tracer) {
        return failed(&error, 2);
    }
    faults::arm();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error, 1),
    };
    let listening = {
        let _within = runtime.enter();
        metrics::serve(observed.metrics)
    };
    if let Err(error) = listening {
        return failed(&error, 1);
    }
    let ended = runtime.block_on(async {
        let shutdown = lifecycle::shutdown_on_signal()?;
        if arguments.stop_on_stdin_close {
            lifecycle::shutdown_on_stdin_end(shutdown.clone())?;
        }
        io::Result::Ok(serve(config, shutdown).await)
    });
    let code = match ended {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            tracing::error!(error = %Chain(&error), "the service ended");
            ExitCode::FAILURE
        }
        Err(error) => failed(&error, 1),
    };
    if let Some(sending) = sending {
        sending.end();
    }
    code
}

fn said(text: &str) -> ExitCode {
    // Whoever closed our output does not want to hear that either.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn failed(error: &(dyn Error + 'static), code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "{}", Chain(error));
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(_: Option<&Path>) -> Result<LogConfig, ConfigError> {
        Err(ConfigError::Wrong(vec![
            "listen.address: must be set".to_owned(),
        ]))
    }

    fn observation(log: &LogConfig) -> Observation<'_> {
        const METRICS: MetricsConfig = MetricsConfig { address: None };
        const TRACES: TracesConfig = TracesConfig {
            otlp_endpoint: None,
            sample_ratio: 1.0,
        };
        Observation {
            service: "nothing",
            log,
            metrics: &METRICS,
            traces: &TRACES,
        }
    }

    async fn never(_: LogConfig, _: CancellationToken) -> io::Result<()> {
        panic!("must not serve")
    }

    #[test]
    fn a_wrong_configuration_is_never_served() {
        let code = run(&ServeArguments::default(), wrong, observation, never);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
    }

    #[test]
    fn checking_and_printing_do_not_serve() {
        for arguments in [
            ServeArguments {
                check: true,
                ..ServeArguments::default()
            },
            ServeArguments {
                print_config: true,
                ..ServeArguments::default()
            },
        ] {
            let code = run(&arguments, |_| Ok(LogConfig::default()), observation, never);
            assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
        }
    }
}
