//! The answers of calls that need no token, as they are sent.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use tokio_util::bytes::Bytes;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tonic::body::Body;

use crate::status::ApiError;

/// How much the transport is handed at once, in bytes. It keeps that for as long as the caller leaves no room for it in the
/// stream's window, which nothing bounds: so it is little, and a copy, because a part of a message would keep all of it.
const PIECE: usize = 2 * 1024;

/// A body that is sent in small pieces, and whose content is given up at a deadline although nobody asks for more of it.
pub(super) struct OpenBody {
    shared: Arc<Mutex<Shared>>,
    /// Kept to the very end: until then the stream is open.
    _on_connection: Option<OwnedSemaphorePermit>,
    _alarm: Option<AbortOnDropHandle<()>>,
}

#[derive(Default)]
struct Shared {
    content: Option<Content>,
    /// Told that the caller was too late.
    ended: bool,
    waker: Option<Waker>,
}

struct Content {
    inner: Body,
    /// Of a message that was begun.
    rest: Bytes,
    _in_process: Option<OwnedSemaphorePermit>,
}

impl OpenBody {
    /// `inner`, until `deadline` if there is one. Then its place in the process is free again, that on its connection once the
    /// stream ends.
    pub(super) fn wrap(
        inner: Body,
        on_connection: Option<OwnedSemaphorePermit>,
        in_process: Option<OwnedSemaphorePermit>,
        deadline: Option<Instant>,
    ) -> Body {
        let shared = Arc::new(Mutex::new(Shared {
            content: Some(Content {
                inner,
                rest: Bytes::new(),
                _in_process: in_process,
            }),
            ..Shared::default()
        }));
        // A task, because the transport asks for nothing while the caller's window has no room.
        let alarm = deadline.map(|deadline| {
            let shared = Arc::clone(&shared);
            AbortOnDropHandle::new(tokio::spawn(async move {
                sleep_until(deadline).await;
                give_up(&shared);
            }))
        });
        Body::new(Self {
            shared,
            _on_connection: on_connection,
            _alarm: alarm,
        })
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn give_up(shared: &Mutex<Shared>) {
    let (content, waker) = {
        let mut shared = lock(shared);
        (shared.content.take(), shared.waker.take())
    };
    drop(content);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Content {
    fn piece(&mut self) -> Frame<Bytes> {
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Frame::data(Bytes::copy_from_slice(&piece))
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece())));
        }
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(match frame.into_data() {
                Ok(data) if data.len() > PIECE => {
                    self.rest = data;
                    self.piece()
                }
                Ok(data) => Frame::data(data),
                Err(frame) => frame,
            }))),
            other => other,
        }
    }
}

impl HttpBody for OpenBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut shared = lock(&self.shared);
        let Some(content) = &mut shared.content else {
            if std::mem::replace(&mut shared.ended, true) {
                return Poll::Ready(None);
            }
            let late = Status::from(ApiError::deadline_exceeded());
            let mut trailers = HeaderMap::new();
            let told = late.add_header(&mut trailers);
            return Poll::Ready(Some(told.map(|()| Frame::trailers(trailers))));
        };
        let polled = content.poll_frame(cx);
        if polled.is_pending() {
            shared.waker = Some(cx.waker().clone());
        }
        polled
    }
}
