//! Message bodies that end with their call's deadline, and that tell how their call ended.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::bytes::Bytes;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::server::status_code;
use crate::status::ApiError;

/// A body that fails with `DEADLINE_EXCEEDED` when it has to be waited for past its deadline: so that a peer who stops
/// sending holds nothing for longer than the call may last.
pub(crate) struct DeadlineBody {
    inner: Body,
    deadline: Instant,
    /// Set when the body first has to be waited for, which is rare: most messages are there at once.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl DeadlineBody {
    pub(crate) fn wrap(inner: Body, deadline: Instant) -> Body {
        Body::new(Self {
            inner,
            deadline,
            alarm: None,
        })
    }
}

impl HttpBody for DeadlineBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let deadline = this.deadline;
        let alarm = this
            .alarm
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        alarm
            .as_mut()
            .poll(cx)
            .map(|()| Some(Err(ApiError::deadline_exceeded().into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Hears how a call ended, at least once; the first time is true.
pub(crate) trait End: Send + Unpin + 'static {
    /// The call ended with `code`, and with `status` if that is known to say more.
    fn end(&mut self, code: Code, status: Option<&Status>);
}

/// The body of a response that tells `E` of the status in its trailers.
pub(crate) struct EndedBody<E> {
    inner: Body,
    end: E,
}

impl<E: End> EndedBody<E> {
    pub(crate) fn wrap(inner: Body, end: E) -> Body {
        Body::new(Self { inner, end })
    }
}

impl<E: End> HttpBody for EndedBody<E> {
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
                    this.end.end(code, status.as_ref());
                }
            }
            Poll::Ready(Some(Err(status))) => this.end.end(status.code(), Some(status)),
            Poll::Ready(None) => this.end.end(Code::Ok, None),
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
