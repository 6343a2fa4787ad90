//! Spans of calls, sent to a collector by OTLP. While no collector is configured nothing is recorded, and each function
//! here does nothing but look at one flag.
//!
//! A span carries the method, the request id and the status code: nothing of a message, and nothing of a token.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{Status, TracerProvider};
use opentelemetry_otlp::{
    ExporterBuildError, RetryPolicy, SpanExporter as OtlpExporter, WithExportConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData,
    SpanExporter,
};
use tokio::runtime::Runtime;
use tonic::Code;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::config::TracesConfig;
use crate::context::RequestId;
use crate::metrics::code_name;
use crate::telemetry::Chain;

/// What the targets of this project's own spans begin with; those of libraries stay out.
const OWN: &str = "latchkey";

/// How long a span waits for others to be sent with.
const SEND_EVERY: Duration = Duration::from_secs(1);

/// How many spans wait at most; further ones are dropped.
const QUEUE: usize = 8_192;

/// How long sending may take, and how long the end of the process waits for the last of it.
const SEND_WITHIN: Duration = Duration::from_secs(2);

/// How often a collector that is away is spoken of.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);

/// Whether anything is traced.
static ON: AtomicBool = AtomicBool::new(false);

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// No thread could be started to send them.
    #[error("the threads that send traces cannot be started")]
    Threads(#[source] std::io::Error),
    /// The collector cannot be called.
    #[error("traces cannot be sent to {endpoint:?}")]
    Exporter {
        /// Its address.
        endpoint: String,
        /// What the exporter says.
        #[source]
        source: ExporterBuildError,
    },
}

/// What sends spans while the process runs.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    /// Drives the connection to the collector, so that it takes nothing from the thread that serves.
    runtime: Runtime,
}

/// Begins to trace, as `config` says, under the name `service`; `None` if nothing is to be traced.
pub(crate) fn start(
    config: &TracesConfig,
    service: &'static str,
) -> Result<Option<Traces>, TracesError> {
    let Some(endpoint) = &config.otlp_endpoint else {
        return Ok(None);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("traces")
        .enable_all()
        .build()
        .map_err(TracesError::Threads)?;
    let exporter = {
        let _within = runtime.enter();
        OtlpExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(SEND_WITHIN)
            // A batch that is tried again holds up those behind it, until the queue drops as many of them.
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(|source| TracesError::Exporter {
                endpoint: endpoint.clone(),
                source,
            })?
    };
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_scheduled_delay(SEND_EVERY)
        .build();
    let processor = BatchSpanProcessor::builder(Complaining::new(exporter))
        .with_batch_config(batches)
        .build();
    let begun_here = Sampler::TraceIdRatioBased(config.sample_ratio);
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(Sampler::ParentBased(Box::new(begun_here)))
        .with_resource(Resource::builder_empty().with_service_name(service).build())
        .build();
    ON.store(true, Ordering::Relaxed);
    Ok(Some(Traces { provider, runtime }))
}

impl Traces {
    /// What makes the spans.
    pub(crate) fn tracer(&self) -> SdkTracer {
        self.provider.tracer(OWN)
    }

    /// Sends what is left, within a bound.
    pub(crate) fn end(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(SEND_WITHIN) {
            tracing::warn!(error = %Chain(&error), "the last traces were not sent");
        }
        self.runtime.shutdown_background();
    }
}

/// The layer that gives spans to `tracer`, and no event: what is logged in a call may name more than a trace should.
pub(super) fn layer<S>(tracer: SdkTracer) -> impl Layer<S>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(|metadata| {
            metadata.is_span() && metadata.target().starts_with(OWN)
        }))
}

fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// The span in which the call `request` is served: of its caller's trace, if it names one.
pub(crate) fn incoming<B>(request: &Request<B>, id: &RequestId) -> Span {
    let method = request.uri().path();
    let traced = is_on();
    let span = tracing::info_span!(
        "call",
        request.id = %id,
        rpc.method = method,
        otel.name = traced.then_some(method),
        otel.kind = traced.then_some("server"),
    );
    if traced {
        let parent = TraceContextPropagator::new().extract(&Given(request.headers()));
        // Fails only for a span that nobody records.
        let _ = span.set_parent(parent);
    }
    span
}

/// The span of the call `request` to another service, if it is made on behalf of a call.
pub(crate) fn outgoing<B>(request: &Request<B>) -> Span {
    if !is_on() || Span::current().is_none() {
        return Span::none();
    }
    let method = request.uri().path();
    tracing::info_span!(
        "call to another service",
        rpc.method = method,
        otel.name = method,
        otel.kind = "client",
    )
}

/// Puts the trace of `span` on the headers of a call, if it has one.
pub(crate) fn inject(span: &Span, headers: &mut HeaderMap) {
    if !span.is_none() && is_on() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut Taken(headers));
    }
}

/// Notes how the call of `span` ended.
pub(crate) fn ended(span: &Span, code: Code) {
    if span.is_none() || !is_on() {
        return;
    }
    span.set_attribute("rpc.code", code_name(code));
    // What is nobody's fault but a service's; a refusal is an answer like another.
    if let Code::Unknown
    | Code::DeadlineExceeded
    | Code::Unimplemented
    | Code::Internal
    | Code::Unavailable
    | Code::DataLoss = code
    {
        span.set_status(Status::error(code_name(code)));
    }
}

/// The span of the present call, for work that goes on in another task; none while nothing is traced.
pub fn current() -> Span {
    if is_on() {
        Span::current()
    } else {
        Span::none()
    }
}

/// Headers that came.
struct Given<'h>(&'h HeaderMap);

impl Extractor for Given<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// Headers that go.
struct Taken<'h>(&'h mut HeaderMap);

impl Injector for Taken<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(key.as_bytes()),
            HeaderValue::from_str(&value),
        ) {
            self.0.insert(name, value);
        }
    }
}

/// An exporter that says, now and then, that it does not get through.
#[derive(Debug)]
struct Complaining<E> {
    inner: E,
    complaints: Complaints,
}

impl<E> Complaining<E> {
    fn new(inner: E) -> Self {
        Self {
            inner,
            complaints: Complaints::default(),
        }
    }
}

impl<E: SpanExporter> SpanExporter for Complaining<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.inner.export(batch).await;
        if let Err(error) = &result
            && let Some(dropped) = self.complaints.failed(spans, Instant::now())
        {
            tracing::warn!(error = %Chain(error), dropped, "the collector of traces does not take them");
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// How many spans were lost since it was last said, and when that was.
#[derive(Debug, Default)]
struct Complaints(Mutex<(usize, Option<Instant>)>);

impl Complaints {
    /// So many more are lost. How many in all, when it is time to say it.
    fn failed(&self, spans: usize, now: Instant) -> Option<usize> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (lost, said) = &mut *state;
        *lost += spans;
        if said.is_some_and(|said| now.saturating_duration_since(said) < COMPLAIN_EVERY) {
            return None;
        }
        *said = Some(now);
        Some(std::mem::take(lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_is_away_is_spoken_of_once_a_minute_and_nothing_lost_is_left_out() {
        let complaints = Complaints::default();
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(complaints.failed(3, begin), Some(3));
        assert_eq!(complaints.failed(5, after(1)), None);
        assert_eq!(complaints.failed(7, after(59)), None);
        assert_eq!(complaints.failed(1, after(60)), Some(13));
        assert_eq!(complaints.failed(2, after(119)), None);
    }

    #[test]
    fn nothing_is_put_on_a_call_while_nothing_is_traced() {
        let request = Request::builder().uri("/a/B").body(()).unwrap();
        let span = outgoing(&request);
        assert!(span.is_none());
        assert!(current().is_none());
        let mut headers = HeaderMap::new();
        inject(&span, &mut headers);
        assert!(headers.is_empty());
    }
}
