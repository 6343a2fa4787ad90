//! Logs and traces.

pub mod traces;

use std::error::Error;
use std::fmt;

use opentelemetry_sdk::trace::SdkTracer;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
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

/// What the targets of this project's own events begin with.
const OWN: &str = "latchkey";

/// Whether an event may be logged whatever the filter says. Of libraries only what is above `TRACE`: below that they tell
/// of frames, messages and headers, and nobody here decides what of them.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::DEBUG || metadata.target().starts_with(OWN)
}

/// What is logged.
fn logged<S>(filter: EnvFilter) -> impl Filter<S> {
    FilterExt::<S>::and(filter, filter_fn(may_be_logged))
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
    let registry =
        tracing_subscriber::registry().with(log_lines(config).with_filter(logged(filter)));
    match tracer {
        None => registry.try_init(),
        Some(tracer) => registry.with(traces::layer(tracer)).try_init(),
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
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_chain_names_each_cause_once() {
        let error = Outer(std::io::Error::other("inner"));
        assert_eq!(Chain(&error).to_string(), "outer: inner");
    }

    /// What a subscriber has written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_library_is_heard_at_its_lowest_level_whatever_the_filter_says() {
        for filter in ["trace", "info,h2=trace,latchkey_keys=trace"] {
            let written = Written::default();
            let writer = written.clone();
            let filter = EnvFilter::builder().parse(filter).unwrap();
            let lines = lines::layer().with_writer(move || writer.clone());
            let subscriber = tracing_subscriber::registry().with(lines.with_filter(logged(filter)));
            tracing::subscriber::with_default(subscriber, || {
                tracing::trace!(target: "h2::codec", "low words of a library");
                tracing::debug!(target: "h2::codec", "words of a library");
                tracing::trace!(target: "latchkey_keys::app", "low words of ours");
            });
            let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert!(!written.contains("low words of a library"), "{written}");
            assert!(
                written.contains("DEBUG") && written.contains("TRACE"),
                "{written}"
            );
        }
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
