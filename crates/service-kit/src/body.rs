//! Message bodies that end with their call's deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::bytes::Bytes;
use tonic::Status;
use tonic::body::Body;

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
