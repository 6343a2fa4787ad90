//! gRPC calls straight over HTTP/2: one connection is one task, a call is none. A channel for general use costs several hops
//! between tasks for each call, on a processor that the services need.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use h2::client::{Builder, SendRequest};
use http::header::{AUTHORIZATION, CONTENT_TYPE, TE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use latchkey_service_kit::config::is_confidential;
use latchkey_service_kit::tls::ClientTls;
use prost::bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::export::Place;

/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// What an answer, and all answers on their way together, may have in size before the sender has to wait: more than is ever
/// on the way, so that windows are seldom talked about.
const ANSWER_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

/// The length of what precedes a message: whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;

/// What calls of one method begin with; made once.
#[derive(Debug, Clone)]
pub(super) struct Head(Request<()>);

impl Head {
    /// The head of calls of `path` at the service at `url`, with `token` and the time a call may take.
    pub(super) fn new(
        url: &Uri,
        path: &'static str,
        token: &str,
        within: Duration,
    ) -> anyhow::Result<Self> {
        let mut parts = url.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static(path));
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = Uri::from_parts(parts)?;
        let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
        let bearer = bearer.context("the token cannot stand in a header")?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(USER_AGENT, HeaderValue::from_static("latchkey-load"));
        let within = HeaderValue::from_str(&format!("{}m", within.as_millis().min(99_999_999)))?;
        headers.insert("grpc-timeout", within);
        Ok(Self(request))
    }
}

/// Why a call brought no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The service said so.
    Said(Box<Status>),
    /// The connection broke, or there was none.
    Disconnected,
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Said(Box::new(status))
    }
}

/// A connection to one process, made anew when it breaks. Several workers of one thread share it.
pub(super) struct Line {
    url: Uri,
    host: String,
    port: u16,
    tls: Option<ClientTls>,
    /// The connection of the moment, and its number.
    current: RefCell<Option<(u64, SendRequest<Bytes>)>>,
    dialled: Cell<u64>,
    /// Held by the one who makes a connection, so that the others wait for it.
    dialling: Mutex<()>,
}

/// A worker's own hold of a line's connection.
#[derive(Default)]
pub(super) struct Hold(Option<(u64, SendRequest<Bytes>)>);

impl Line {
    /// A line to `place`; connects now. Within a tokio runtime.
    pub(super) async fn open(place: &Place) -> anyhow::Result<Self> {
        let url = place.url.parse::<Uri>();
        let url = url.with_context(|| format!("`{}` is no address", place.url))?;
        let secure = url.scheme() == Some(&Scheme::HTTPS);
        let tls = match &place.tls {
            Some(tls) if secure => Some(ClientTls::load(tls)?),
            None if secure => bail!("whom to believe at {}? Give --ca-file", place.url),
            _ if is_confidential(&place.url) => None,
            _ => bail!(
                "{} is not on this machine: codes do not travel there in the open",
                place.url
            ),
        };
        let authority = url.authority().map(Authority::host).unwrap_or_default();
        let line = Self {
            host: authority.trim_matches(['[', ']']).to_owned(),
            port: url.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            url,
            tls,
            current: RefCell::new(None),
            dialled: Cell::new(0),
            dialling: Mutex::new(()),
        };
        let hold = line.hold().await;
        hold.with_context(|| format!("nobody answers at {} who can be believed", place.url))?;
        Ok(line)
    }

    /// Where it leads.
    pub(super) fn url(&self) -> &Uri {
        &self.url
    }

    /// The connection of the moment; makes one if there is none.
    async fn hold(&self) -> io::Result<(u64, SendRequest<Bytes>)> {
        if let Some(current) = self.current.borrow().clone() {
            return Ok(current);
        }
        let _one = self.dialling.lock().await;
        if let Some(current) = self.current.borrow().clone() {
            return Ok(current);
        }
        let sender = timeout(CONNECT_WITHIN, self.dial()).await??;
        self.dialled.set(self.dialled.get() + 1);
        let made = (self.dialled.get(), sender);
        *self.current.borrow_mut() = Some(made.clone());
        Ok(made)
    }

    async fn dial(&self) -> io::Result<SendRequest<Bytes>> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in lookup_host((self.host.as_str(), self.port)).await? {
            match self.dial_at(address).await {
                Ok(sender) => return Ok(sender),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn dial_at(&self, address: SocketAddr) -> io::Result<SendRequest<Bytes>> {
        if let Some(tls) = &self.tls {
            return speak(tls.open_as(address, &self.host).await?).await;
        }
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        speak(stream).await
    }

    /// Forgets a connection that broke, unless another one has taken its place.
    fn forget(&self, number: u64) {
        self.current
            .borrow_mut()
            .take_if(|(current, _)| *current == number);
    }

    /// One call. `message` has its prefix.
    pub(super) async fn call(
        &self,
        hold: &mut Hold,
        head: &Head,
        message: Bytes,
    ) -> Result<Bytes, Failure> {
        // A connection that was closed meanwhile is found out before anything is sent: then another one is tried, once.
        let mut fresh = false;
        loop {
            if hold.0.is_none() {
                fresh = true;
                let made = self.hold().await;
                hold.0 = Some(made.map_err(|_| Failure::Disconnected)?);
            }
            let Some((number, sender)) = &mut hold.0 else {
                return Err(Failure::Disconnected);
            };
            let number = *number;
            if let Ok(response) = begin(sender, head, message.clone()).await {
                let answer = end(response).await;
                return answer.map_err(|error| self.broken(hold, number, &error));
            }
            self.forget(number);
            hold.0 = None;
            if fresh {
                return Err(Failure::Disconnected);
            }
        }
    }

    /// What an error in the middle of a call means for it, and for the connection.
    fn broken(&self, hold: &mut Hold, number: u64, error: &Broken) -> Failure {
        match error {
            Broken::Said(status) => Failure::Said(status.clone()),
            Broken::Wire(error) => {
                if error.is_io() || error.is_go_away() {
                    self.forget(number);
                    hold.0 = None;
                }
                Failure::Disconnected
            }
        }
    }
}

/// Begins to speak HTTP/2.
async fn speak<T>(stream: T) -> io::Result<SendRequest<Bytes>>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(ANSWER_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let made = builder.handshake(stream).await.map_err(io::Error::other);
    let (sender, connection) = made?;
    // Whoever calls hears of its end.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

/// Sends a request; nothing was sent if it fails.
async fn begin(
    sender: &mut SendRequest<Bytes>,
    head: &Head,
    message: Bytes,
) -> Result<h2::client::ResponseFuture, h2::Error> {
    poll_fn(|context| sender.poll_ready(context)).await?;
    let (response, mut body) = sender.send_request(head.0.clone(), false)?;
    body.send_data(message, true)?;
    Ok(response)
}

/// What comes instead of an answer.
enum Broken {
    Said(Box<Status>),
    Wire(h2::Error),
}

impl From<h2::Error> for Broken {
    fn from(error: h2::Error) -> Self {
        Self::Wire(error)
    }
}

/// Receives the answer.
async fn end(response: h2::client::ResponseFuture) -> Result<Bytes, Broken> {
    let response = response.await?;
    if !response.status().is_success() {
        let text = format!("HTTP status {}", response.status());
        return Err(Broken::Said(Box::new(Status::unknown(text))));
    }
    let (parts, mut body) = response.into_parts();
    let mut whole = Bytes::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        whole = joined(&whole, &piece);
    }
    let trailers = body.trailers().await?;
    said(&parts.headers, trailers.as_ref())?;
    message(whole).map_err(|text| Broken::Said(Box::new(Status::internal(text))))
}

/// Most answers come in one piece, which is taken as it is.
fn joined(whole: &Bytes, piece: &Bytes) -> Bytes {
    if whole.is_empty() {
        return piece.clone();
    }
    let mut both = BytesMut::with_capacity(whole.len() + piece.len());
    both.extend_from_slice(whole);
    both.extend_from_slice(piece);
    both.freeze()
}

/// The status that an answer ends with, where it is a failure.
fn said(headers: &HeaderMap, trailers: Option<&HeaderMap>) -> Result<(), Broken> {
    let status = trailers
        .and_then(Status::from_header_map)
        .or_else(|| Status::from_header_map(headers));
    match status {
        Some(status) if status.code() == Code::Ok => Ok(()),
        Some(status) => Err(Broken::Said(Box::new(status))),
        None => Err(Broken::Said(Box::new(Status::unknown("no status")))),
    }
}

/// The message in a body of exactly one.
fn message(mut body: Bytes) -> Result<Bytes, &'static str> {
    if body.len() < PREFIX {
        return Err("an answer without a message");
    }
    let compressed = body.get_u8() != 0;
    let length = body.get_u32();
    if compressed {
        return Err("a compressed answer, which was not asked for");
    }
    if u32::try_from(body.len()) != Ok(length) {
        return Err("an answer of another length than it says");
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_one_message_of_the_length_it_says() {
        let body = |bytes: &'static [u8]| message(Bytes::from_static(bytes));
        assert_eq!(body(b"\0\0\0\0\x02ab"), Ok(Bytes::from_static(b"ab")));
        assert_eq!(body(b"\0\0\0\0\0"), Ok(Bytes::new()));
        for bad in [
            &b""[..],
            b"\0\0\0\0",
            b"\x01\0\0\0\x02ab",
            b"\0\0\0\0\x03ab",
            b"\0\0\0\0\x01ab",
        ] {
            assert!(body(bad).is_err(), "{bad:?}");
        }
        let joined = joined(&Bytes::from_static(b"a"), &Bytes::from_static(b"b"));
        assert_eq!(joined, Bytes::from_static(b"ab"));
    }

    #[test]
    fn a_status_is_read_from_trailers_or_from_headers_alone() {
        let with = |code: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", HeaderValue::from_static(code));
            headers
        };
        let none = HeaderMap::new();
        let code = |result: Result<(), Broken>| match result {
            Ok(()) => Code::Ok,
            Err(Broken::Said(status)) => status.code(),
            Err(Broken::Wire(error)) => panic!("{error}"),
        };
        assert_eq!(code(said(&none, Some(&with("0")))), Code::Ok);
        assert_eq!(
            code(said(&none, Some(&with("9")))),
            Code::FailedPrecondition
        );
        assert_eq!(code(said(&with("8"), None)), Code::ResourceExhausted);
        assert_eq!(code(said(&none, None)), Code::Unknown);
    }
}
