//! Logs and traces.

pub mod traces;

use std::error::Error;
use std::fmt;

use opentelemetry_sdk::trace::SdkTracer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt as lines};

use crate::config::{LogConfig, LogFormat};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter makes no sense.
    #[error("the log filter {filter:?} cannot be read")]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process logs already.
    #[error("logging is already set up in this process")]
    Installed(#[source] tracing_subscriber::util::TryInitError),
}

/// Sends this process's logs to standard error, as `config` says, and its spans to `tracer`, if there is one, whatever
/// is logged of them. Once a process.
pub(crate) fn init(config: &LogConfig, tracer: Option<SdkTracer>) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder()
        .parse(&config.filter)
        .map_err(|source| TelemetryError::Filter {
            filter: config.filter.clone(),
            source,
        })?;
    let registry = tracing_subscriber::registry();
    match tracer {
        // The filter stands before everything: what is not logged costs nothing.
        None => registry.with(log_lines(config)).with(filter).try_init(),
        Some(tracer) => registry
            .with(log_lines(config).with_filter(filter))
            .with(traces::layer(tracer))
            .try_init(),
    }
    .map_err(TelemetryError::Installed)
}

fn log_lines(config: &LogConfig) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = lines::layer().with_writer(std::io::stderr);
    match config.format {
        LogFormat::Text => {
            let colors = std::io::IsTerminal::is_terminal(&std::io::stderr());
            lines.with_ansi(colors).boxed()
        }
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .boxed(),
    }
}

/// An error with everything that caused it, in one line: `first: second: third`.
///
/// For logs only. An error's own text never repeats its source, so that nothing is said twice here.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'e>(pub &'e (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_chain_names_each_cause_once() {
        let error = Outer(std::io::Error::other("inner"));
        assert_eq!(Chain(&error).to_string(), "outer: inner");
    }

    #[test]
    fn a_bad_filter_is_named() {
        let config = LogConfig {
            filter: "a=b=c".into(),
            ..LogConfig::default()
        };
        assert!(
            init(&config, None)
                .unwrap_err()
                .to_string()
                .contains("a=b=c")
        );
    }
}
