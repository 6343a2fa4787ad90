//! One line in the log for each call. Never a body, a token or a code.

use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;
use tokio_util::bytes::Bytes;
use tonic::body::Body;
use tonic::{Code, Status};

use super::admission::peer;
use super::foreign::status_code;
use crate::context::RequestId;
use crate::status::{self, Failure};
use crate::telemetry::Chain;

/// The target of the lines, for filters.
const TARGET: &str = "latchkey::calls";

/// A call that has not ended yet. Dropped before its end, it says that the caller went away.
#[derive(Debug)]
pub(super) struct CallLog {
    method: String,
    request_id: RequestId,
    peer: Option<SocketAddr>,
    subject: Option<String>,
    arrival: Instant,
    /// Health and reflection are asked all the time; their lines are for debugging.
    quiet: bool,
    ended: bool,
}

/// Writes a line at a level that must be known at compile time.
macro_rules! line {
    ($level:ident, $call:ident, $code:ident, $reason:ident, $cause:ident) => {{
        let CallLog { request_id, method, subject, peer, .. } = &*$call;
        let duration_ms = u64::try_from($call.arrival.elapsed().as_millis()).unwrap_or(u64::MAX);
        let peer = peer.map(tracing::field::display);
        let subject = subject.as_deref();
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
    ) -> Self {
        Self {
            method: request.uri().path().to_owned(),
            request_id,
            peer: peer(request),
            subject: None,
            arrival,
            quiet,
            ended: false,
        }
    }

    /// Notes who calls.
    pub(super) fn caller_is(&mut self, subject: &str) {
        self.subject = Some(subject.to_owned());
    }

    /// Ends the call with `response`: now, when that is an error from the start; else when its last part is sent.
    pub(super) fn end_with(mut self, response: Response<Body>) -> Response<Body> {
        match status_code(response.headers()) {
            Some(code) => {
                self.end(code, response.extensions().get::<Status>());
                response
            }
            None => response.map(|inner| Body::new(LoggedBody { inner, log: self })),
        }
    }

    fn end(&mut self, code: Code, status: Option<&Status>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let failure = status
            .and_then(Error::source)
            .and_then(|source| source.downcast_ref::<Failure>());
        let reason = failure
            .map(Failure::reason)
            .or_else(|| status.and_then(status::reason_of))
            .map(status::name);
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

/// A response body that ends its call's line with the status in its trailers.
struct LoggedBody {
    inner: Body,
    log: CallLog,
}

impl HttpBody for LoggedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    let code = status_code(trailers).unwrap_or(Code::Unknown);
                    let status = if code == Code::Ok {
                        None
                    } else {
                        Status::from_header_map(trailers)
                    };
                    this.log.end(code, status.as_ref());
                }
            }
            Poll::Ready(Some(Err(status))) => this.log.end(status.code(), Some(status)),
            Poll::Ready(None) => this.log.end(Code::Ok, None),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
