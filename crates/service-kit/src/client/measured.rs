//! How calls to other services go, for metrics and traces.

use http::{Request, Response};
use metrics::{counter, histogram};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::Span;

use super::Repeated;
use crate::body::{End, EndedBody};
use crate::metrics::code_name;
use crate::server::status_code;
use crate::telemetry::traces;

/// A call that has not ended yet. Dropped before its end, it was given up by its caller.
pub(super) struct MeasuredCall {
    dependency: &'static str,
    method: String,
    begin: Instant,
    ended: bool,
    span: Span,
}

impl MeasuredCall {
    /// A call begins, which `span` is about. Its path is one of a generated client's.
    pub(super) fn begin(dependency: &'static str, request: &Request<Body>, span: Span) -> Self {
        let path = request.uri().path();
        let method = path.rsplit('/').next().unwrap_or_default();
        if request.extensions().get::<Repeated>().is_some() {
            counter!(
                "latchkey_dependency_retries_total",
                "dependency" => dependency,
                "method" => method.to_owned(),
            )
            .increment(1);
        }
        Self {
            dependency,
            method: method.to_owned(),
            begin: Instant::now(),
            ended: false,
            span,
        }
    }

    /// The span of the call.
    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Ends with `answer`: now, when that is an error from the start; else when its last part has come.
    pub(super) fn end_with(
        mut self,
        answer: Result<Response<Body>, Status>,
    ) -> Result<Response<Body>, Status> {
        match answer {
            Ok(response) => Ok(match status_code(response.headers()) {
                Some(code) => {
                    self.end(code, None);
                    response
                }
                None => response.map(|inner| EndedBody::wrap(inner, self)),
            }),
            Err(status) => {
                self.end(status.code(), None);
                Err(status)
            }
        }
    }
}

impl End for MeasuredCall {
    fn end(&mut self, code: Code, _: Option<&Status>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        traces::ended(&self.span, code);
        let dependency = self.dependency;
        counter!(
            "latchkey_dependency_calls_total",
            "dependency" => dependency,
            "method" => self.method.clone(),
            "code" => code_name(code),
        )
        .increment(1);
        histogram!(
            "latchkey_dependency_call_duration_seconds",
            "dependency" => dependency,
            "method" => self.method.clone(),
        )
        .record(self.begin.elapsed());
    }
}

impl Drop for MeasuredCall {
    fn drop(&mut self) {
        self.end(Code::Cancelled, None);
    }
}
