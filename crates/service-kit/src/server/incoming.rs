//! Accepted connections, with their bounds.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use metrics::{Gauge, gauge};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

use crate::config::LimitsConfig;

/// How long a connection stands idle before the operating system asks whether the other end is there.
const TCP_KEEPALIVE: Duration = Duration::from_mins(1);

/// How long accepting pauses after an error such as "too many open files", which would come back at once.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// The first bytes of every HTTP/2 connection (RFC 9113, section 3.4) are this many.
const PREFACE_LEN: usize = 24;

/// The connections that come to `listener`, bounded in number; each is closed when `close` is cancelled, and when it
/// does not show that it speaks HTTP/2 in time.
pub(super) fn connections(
    listener: TcpListener,
    limits: &LimitsConfig,
    close: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let slots = Arc::new(Semaphore::new(
        limits.max_connections.min(Semaphore::MAX_PERMITS),
    ));
    let handshake = Duration::from_millis(limits.handshake_timeout_ms);
    let open = gauge!("latchkey_connections_open");
    TcpIncoming::from(listener)
        .with_nodelay(Some(true))
        .with_keepalive(Some(TCP_KEEPALIVE))
        .filter_map(move |accepted| {
            let slot = Arc::clone(&slots).try_acquire_owned();
            let close = close.clone();
            let open = open.clone();
            async move {
                match (accepted, slot) {
                    (Ok(io), Ok(slot)) => {
                        let counted = Counted::new(&open);
                        Some(Ok(Connection::new(io, slot, handshake, close, counted)))
                    }
                    (Ok(_), Err(_)) => {
                        tracing::warn!("a connection was closed: as many as allowed are open");
                        None
                    }
                    (Err(error), _) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        sleep(PAUSE_AFTER_ERROR).await;
                        None
                    }
                }
            }
        })
}

/// An accepted connection.
pub(super) struct Connection {
    io: TcpStream,
    handshake: Option<Handshake>,
    close: Pin<Box<WaitForCancellationFutureOwned>>,
    _slot: OwnedSemaphorePermit,
    _counted: Counted,
}

/// A connection that is counted among the open ones until this is dropped.
struct Counted(Gauge);

impl Counted {
    fn new(open: &Gauge) -> Self {
        open.increment(1.0);
        Self(open.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[derive(Debug)]
struct Handshake {
    missing: usize,
    alarm: Pin<Box<Sleep>>,
}

impl Connection {
    fn new(
        io: TcpStream,
        slot: OwnedSemaphorePermit,
        handshake: Duration,
        close: CancellationToken,
        counted: Counted,
    ) -> Self {
        Self {
            io,
            handshake: Some(Handshake {
                missing: PREFACE_LEN,
                alarm: Box::pin(sleep(handshake)),
            }),
            close: Box::pin(close.cancelled_owned()),
            _slot: slot,
            _counted: counted,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.io.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buffer);
        // Only a connection that has nothing to say is looked at more closely: the busy ones pay nothing.
        if polled.is_pending() {
            if this.close.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::ConnectionAborted,
                    "the server is closing",
                )));
            }
            if let Some(handshake) = &mut this.handshake
                && handshake.alarm.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "no HTTP/2 in time",
                )));
            }
        } else if let Some(handshake) = &mut this.handshake {
            handshake.missing = handshake
                .missing
                .saturating_sub(buffer.filled().len() - before);
            if handshake.missing == 0 {
                this.handshake = None;
            }
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
