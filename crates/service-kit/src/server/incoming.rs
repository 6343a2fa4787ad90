//! Accepted connections, with their bounds.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use metrics::{Gauge, counter, gauge};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpIncoming};

use super::open::Origin;
use crate::config::LimitsConfig;
use crate::tls::ServerTls;

/// How long a connection stands idle before the operating system asks whether the other end is there.
const TCP_KEEPALIVE: Duration = Duration::from_mins(1);

/// How long accepting pauses after an error such as "too many open files", which would come back at once.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// The first bytes of every HTTP/2 connection (RFC 9113, section 3.4) are this many.
const PREFACE_LEN: usize = 24;

/// The connections that come to `listener`, bounded in number, with TLS if there is any; each is closed when `close` is
/// cancelled, and when it does not show that it speaks HTTP/2 in time. Handshakes wait for nobody but their own client.
pub(super) fn connections(
    listener: TcpListener,
    tls: Option<ServerTls>,
    limits: &LimitsConfig,
    close: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let at_most = limits.max_connections.min(Semaphore::MAX_PERMITS);
    let slots = Arc::new(Semaphore::new(at_most));
    let handshake = Duration::from_millis(limits.handshake_timeout_ms);
    let open_calls = limits.max_open_calls_per_connection;
    let open = gauge!("latchkey_connections_open");
    TcpIncoming::from(listener)
        .with_nodelay(Some(true))
        .with_keepalive(Some(TCP_KEEPALIVE))
        .map(move |accepted| {
            let slot = Arc::clone(&slots).try_acquire_owned();
            let (close, tls, open) = (close.clone(), tls.clone(), open.clone());
            async move {
                match (accepted, slot) {
                    (Ok(io), Ok(slot)) => {
                        let counted = Counted::new(&open);
                        let origin = Origin::new(io.peer_addr().ok(), open_calls);
                        let io = shake_hands(io, tls, handshake, &close).await?;
                        Some(Ok(Connection {
                            io,
                            origin,
                            handshake: Some(Handshake::within(handshake)),
                            close: Box::pin(close.cancelled_owned()),
                            _slot: slot,
                            _counted: counted,
                        }))
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
        .buffer_unordered(at_most)
        .filter_map(std::future::ready)
}

/// The connection as it is spoken on; `None` for a client that does not get so far. That is its own affair: it is counted,
/// and told to whoever looks for it.
async fn shake_hands(
    io: TcpStream,
    tls: Option<ServerTls>,
    within: Duration,
    close: &CancellationToken,
) -> Option<Io> {
    let Some(tls) = tls else {
        return Some(Either::Left(io));
    };
    let peer = io.peer_addr().ok();
    let failure = tokio::select! {
        shaken = timeout(within, tls.accept(io)) => match shaken {
            Ok(Ok(io)) => return Some(Either::Right(Box::new(io))),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no TLS in time".to_owned(),
        },
        () = close.cancelled() => return None,
    };
    counter!("latchkey_tls_handshake_failures_total").increment(1);
    tracing::debug!(?peer, error = %failure, "a TLS handshake failed");
    None
}

type Io = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// An accepted connection.
pub(super) struct Connection {
    io: Io,
    origin: Origin,
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

impl Handshake {
    fn within(time: Duration) -> Self {
        Self {
            missing: PREFACE_LEN,
            alarm: Box::pin(sleep(time)),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Origin;

    fn connect_info(&self) -> Origin {
        self.origin.clone()
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
