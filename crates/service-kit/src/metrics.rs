//! Numbers for operators, in the text format of Prometheus.
//!
//! They are recorded with the macros of the crate `metrics` where things happen, and cost next to nothing while nobody
//! listens. What each means stands in `docs/metrics.md`. Labels come from lists that the program knows (methods, codes,
//! reasons, stages): nothing that a caller can choose becomes one, so that no caller can make the list of series grow,
//! and no code, token or address appears in it.

use std::net::SocketAddr;
use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use sqlx::PgPool;
use tonic::Code;

use crate::config::MetricsConfig;

/// Upper bounds of durations, in seconds: from a batch that found everything in memory to the longest time-out.
const DURATIONS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Upper bounds of numbers of items: up to the largest batch.
const ITEMS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// How often recorded values are put into their buckets when nobody scrapes: what waits until then takes memory.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// How often what has a level rather than events (a pool, a queue) is looked at. Well below any interval of scraping.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// How often the processor time of the process is looked at. Whoever scrapes each second sees a second of it.
const CPU_INTERVAL: Duration = Duration::from_millis(250);

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The address cannot be listened on, for example because another process has the port.
    #[error(
        "metrics cannot be served on {address}: is the port in use? Stop what uses it or choose another metrics.address"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the exporter says.
        #[source]
        source: BuildError,
    },
    /// The process records metrics already.
    #[error("metrics are already set up in this process")]
    Installed,
}

/// What kind of metric a [`Description`] is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number of events, which only grows.
    Counter,
    /// A level.
    Gauge,
    /// A distribution.
    Histogram,
}

/// What scraping says of a metric: kind, name, unit, meaning.
pub type Description = (Kind, &'static str, Unit, &'static str);

/// The metrics of every service.
const DESCRIPTIONS: &[Description] = &[
    (
        Kind::Counter,
        "latchkey_calls_total",
        Unit::Count,
        "Calls that ended",
    ),
    (
        Kind::Histogram,
        "latchkey_call_duration_seconds",
        Unit::Seconds,
        "Calls, from arrival to end",
    ),
    (
        Kind::Gauge,
        "latchkey_calls_in_progress",
        Unit::Count,
        "Calls that have not ended",
    ),
    (
        Kind::Gauge,
        "latchkey_connections_open",
        Unit::Count,
        "Open connections of callers",
    ),
    (
        Kind::Gauge,
        "latchkey_pool_connections",
        Unit::Count,
        "Connections to the database",
    ),
    (
        Kind::Gauge,
        "latchkey_pool_max_connections",
        Unit::Count,
        "The most connections to the database",
    ),
    (
        Kind::Gauge,
        "latchkey_process_cpu_seconds",
        Unit::Seconds,
        "Processor time of the process since its start",
    ),
    (
        Kind::Gauge,
        "latchkey_ready",
        Unit::Count,
        "1 while health says SERVING",
    ),
    (
        Kind::Counter,
        "latchkey_audit_refusals_total",
        Unit::Count,
        "Refused calls that belong into the audit trail",
    ),
    (
        Kind::Counter,
        "latchkey_audit_refusals_dropped_total",
        Unit::Count,
        "Refused calls that the audit trail did not get",
    ),
    (
        Kind::Counter,
        "latchkey_dependency_calls_total",
        Unit::Count,
        "Calls to another service that ended",
    ),
    (
        Kind::Histogram,
        "latchkey_dependency_call_duration_seconds",
        Unit::Seconds,
        "Calls to another service",
    ),
    (
        Kind::Counter,
        "latchkey_dependency_retries_total",
        Unit::Count,
        "Calls to another service made once more",
    ),
];

/// Begins to record this process's metrics and to serve them at `config.address`, until the runtime ends; does nothing
/// without an address. Once a process, within a tokio runtime, before anything is recorded.
///
/// Recorded values are put into their buckets whether or not anybody scrapes.
pub fn serve(config: &MetricsConfig) -> Result<(), MetricsError> {
    let Some(address) = config.address else {
        return Ok(());
    };
    let failed = |source| MetricsError::Listen { address, source };
    let (recorder, exporter) = builder()
        .map_err(failed)?
        .with_http_listener(address)
        .build()
        .map_err(failed)?;
    metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Installed)?;
    describe(DESCRIPTIONS);
    describe(crate::attempts::METRICS);
    tokio::spawn(async move {
        if exporter.await.is_err() {
            tracing::error!("metrics are served no more");
        }
    });
    tokio::spawn(watch_process());
    tracing::info!(%address, "metrics are served");
    Ok(())
}

/// Shows how much processor time this process took, again and again.
async fn watch_process() {
    // A gauge, although it only grows: counters are whole numbers.
    let shown = metrics::gauge!("latchkey_process_cpu_seconds");
    while let Some(seconds) = cpu_seconds() {
        shown.set(seconds);
        tokio::time::sleep(CPU_INTERVAL).await;
    }
}

/// The processor time of this process, by itself and for it by the operating system; none where that does not tell.
fn cpu_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let seconds = |time: TimeVal| {
        let micros = u32::try_from(time.tv_usec()).unwrap_or(0);
        let whole = u32::try_from(time.tv_sec()).unwrap_or(u32::MAX);
        f64::from(whole) + f64::from(micros) / 1e6
    };
    Some(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// Says what `metrics` are, where they are scraped.
pub fn describe(metrics: &[Description]) {
    for &(kind, name, unit, meaning) in metrics {
        match kind {
            Kind::Counter => describe_counter!(name, unit, meaning),
            Kind::Gauge => describe_gauge!(name, unit, meaning),
            Kind::Histogram => describe_histogram!(name, unit, meaning),
        }
    }
}

/// Shows how many connections `pool` has, again and again until it is closed.
pub async fn watch_pool(pool: PgPool) {
    let idle = metrics::gauge!("latchkey_pool_connections", "state" => "idle");
    let used = metrics::gauge!("latchkey_pool_connections", "state" => "used");
    metrics::gauge!("latchkey_pool_max_connections")
        .set(f64::from(pool.options().get_max_connections()));
    while !pool.is_closed() {
        let size = pool.size();
        // The two are not read at one instant.
        let at_rest = u32::try_from(pool.num_idle()).map_or(size, |number| number.min(size));
        idle.set(f64::from(at_rest));
        used.set(f64::from(size - at_rest));
        tokio::time::sleep(SAMPLE_INTERVAL).await;
    }
}

/// A number of things as the value of a metric.
#[expect(
    clippy::cast_precision_loss,
    reason = "no queue or batch comes near the 2^53 that are exact"
)]
pub fn count(things: usize) -> f64 {
    things as f64
}

/// The name of a code in labels, as the protocol writes it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let suffix = |suffix: &str| Matcher::Suffix(suffix.to_owned());
    PrometheusBuilder::new()
        .upkeep_timeout(UPKEEP_INTERVAL)
        .set_buckets_for_metric(suffix("_seconds"), &DURATIONS)?
        .set_buckets_for_metric(suffix("_items"), &ITEMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_have_buckets_of_their_unit() {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("a_duration_seconds").record(0.0004);
            metrics::histogram!("a_batch_items").record(3.0);
        });
        let text = recorder.handle().render();
        for line in [
            "a_duration_seconds_bucket{le=\"0.0005\"} 1",
            "a_batch_items_bucket{le=\"2\"} 0",
            "a_batch_items_bucket{le=\"4\"} 1",
            "a_batch_items_bucket{le=\"512\"} 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn processor_time_grows_with_work() {
        let before = cpu_seconds().unwrap();
        while cpu_seconds().unwrap() <= before {
            std::hint::black_box((0..10_000).sum::<u64>());
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let config = MetricsConfig {
            address: Some(address),
        };
        let error = serve(&config).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
        assert!(error.contains("in use"), "{error}");
    }
}
