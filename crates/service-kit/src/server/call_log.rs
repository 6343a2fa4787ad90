//! Where each call ends: one line in the log, its metrics, its span, and the trail of refused calls. Never a body, a token
//! or a code.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::Span;

use super::admission::peer;
use super::call_metrics::CountedCall;
use super::foreign::status_code;
use super::refused::Watched;
use crate::access::Scope;
use crate::body::{End, EndedBody};
use crate::context::RequestId;
use crate::identity::Caller;
use crate::refusals::Refusals;
use crate::status::{self, Failure};
use crate::telemetry::{Chain, traces};

/// The target of the lines, for filters.
const TARGET: &str = "latchkey::calls";

/// How much of a path is repeated, in characters. Those of our methods have at most 90.
const MAX_PATH_CHARS: usize = 128;

/// A call that has not ended yet. Dropped before its end, it says that the caller went away.
pub(super) struct CallLog {
    method: String,
    request_id: RequestId,
    peer: Option<SocketAddr>,
    caller: Option<Arc<Caller>>,
    /// Should it be refused; a call without a caller has no place in the trail.
    watched: Option<Watched>,
    arrival: Instant,
    /// Its line is for debugging: health and reflection are asked all the time, and refusals of a flood are told together.
    quiet: bool,
    ended: bool,
    counted: CountedCall,
    span: Span,
}

/// Writes a line at a level that must be known at compile time.
macro_rules! line {
    ($level:ident, $call:ident, $code:ident, $reason:ident, $cause:ident) => {{
        let CallLog { request_id, method, caller, peer, .. } = &*$call;
        let duration_ms = u64::try_from($call.arrival.elapsed().as_millis()).unwrap_or(u64::MAX);
        let peer = peer.map(tracing::field::display);
        let subject = caller.as_ref().map(|caller| caller.subject.as_str());
        tracing::$level!(
            target: TARGET,
            {
                request.id = %request_id,
                rpc.method = %method,
                rpc.code = ?$code,
                error.reason = $reason,
                error.cause = $cause,
                caller.subject = subject,
                peer = peer,
                duration_ms = duration_ms,
            },
            "call"
        );
    }};
}

impl CallLog {
    pub(super) fn begin<B>(
        request: &Request<B>,
        request_id: RequestId,
        arrival: Instant,
        quiet: bool,
        counted: CountedCall,
    ) -> Self {
        Self {
            method: shown(request.uri().path()),
            request_id,
            peer: peer(request),
            caller: None,
            watched: None,
            arrival,
            quiet,
            ended: false,
            counted,
            span: Span::none(),
        }
    }

    /// Notes who calls, and where it is left if the call is refused.
    pub(super) fn caller_is(&mut self, caller: &Arc<Caller>, refusals: Option<&Refusals>) {
        self.caller = Some(Arc::clone(caller));
        self.watched = refusals.map(|refusals| Watched::new(refusals, caller));
    }

    /// Notes how far the caller reaches.
    pub(super) fn reaches(&mut self, scope: &Scope) {
        if let Some(watched) = &mut self.watched {
            watched.reaches(scope);
        }
    }

    /// Notes the span in which the call is served, which ends no earlier than the call.
    pub(super) fn spans(&mut self, span: &Span) {
        self.span = span.clone();
    }

    /// Ends the call with `response`: now, when that is an error from the start; else when its last part is sent.
    pub(super) fn end_with(mut self, response: Response<Body>) -> Response<Body> {
        match status_code(response.headers()) {
            Some(code) => {
                self.end(code, response.extensions().get::<Status>());
                response
            }
            None => response.map(|inner| EndedBody::wrap(inner, self)),
        }
    }
}

/// `path`, cut where it is longer than any of ours: whoever makes one up, even without a token, shall not fill the disk.
pub(super) fn shown(path: &str) -> String {
    let cut = path.char_indices().nth(MAX_PATH_CHARS);
    cut.map_or_else(|| path.to_owned(), |(end, _)| format!("{}…", &path[..end]))
}

impl End for CallLog {
    fn end(&mut self, code: Code, status: Option<&Status>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let failure = status
            .and_then(Error::source)
            .and_then(|source| source.downcast_ref::<Failure>());
        let reason = failure
            .map(Failure::reason)
            .or_else(|| status.and_then(status::reason_of));
        if let (Some(watched), Some(reason), Some(status)) = (self.watched.take(), reason, status) {
            watched.ended(reason, status, &self.method, self.peer, &self.request_id);
        }
        let reason = reason.map(status::name);
        self.counted.ended(self.arrival, code, reason);
        traces::ended(&self.span, code);
        let cause = failure
            .and_then(Error::source)
            .map(|cause| Chain(cause).to_string());
        let cause = cause.as_deref();
        match code {
            _ if self.quiet => line!(debug, self, code, reason, cause),
            Code::Internal | Code::Unknown | Code::DataLoss => {
                line!(error, self, code, reason, cause);
            }
            Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => {
                line!(warn, self, code, reason, cause);
            }
            _ => line!(info, self, code, reason, cause),
        }
    }
}

impl Drop for CallLog {
    fn drop(&mut self) {
        self.end(Code::Cancelled, None);
    }
}
