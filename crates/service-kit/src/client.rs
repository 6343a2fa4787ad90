//! A channel to another service: with this service's identity, a deadline and the request id on each call.

mod measured;
mod places;
mod retry;

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response};
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, TimeoutExpired};
use tower::{Service, ServiceExt};

pub use retry::Retries;

use self::measured::MeasuredCall;
use self::places::Places;
use crate::body::DeadlineBody;
use crate::config::ClientConfig;
use crate::context::{REQUEST_ID_HEADER, RequestId};
use crate::faults::crash_point;
use crate::identity::TokenSigner;
use crate::server::timeout_header;
use crate::status::ApiError;
use crate::telemetry::traces;
use crate::tls::{ClientTls, TlsError};

/// How often an open connection is asked whether it is alive, also while no call uses it: the first call after a quiet
/// night must not be the one to find out. Together with the time-out it is how long a connection that was forgotten on the
/// way keeps all calls from their answers.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(4);

/// How long it may take to answer that.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address makes no sense.
    #[error("the endpoint {endpoint:?} cannot be used")]
    Endpoint {
        /// The address.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: tonic::transport::Error,
    },
    /// It is not known whom to believe.
    #[error("whom to believe at the endpoint cannot be told")]
    Tls(#[from] TlsError),
}

/// Put into a request's extensions when its call was made before and failed: metrics count it.
#[derive(Debug, Clone, Copy)]
pub struct Repeated;

/// A channel to another service, for a generated client: `SomethingClient::new(channel)`. Clones share one connection to
/// each of its processes, which are called in turn; one that cannot be reached is left alone for a moment.
///
/// Each call carries a bearer token of this service's signer, the request id of the call that the present task serves,
/// the trace of the present span (`traceparent`), and a `grpc-timeout`: the caller's own (`tonic::Request::set_timeout`) where it is shorter than the configured one.
/// The time-out is also enforced here, over the whole answer, with the status `DEADLINE_EXCEEDED`. Connects when first
/// used and reconnects by itself; while it cannot connect, calls fail UNAVAILABLE.
#[derive(Debug, Clone)]
pub struct ServiceChannel {
    dependency: &'static str,
    places: Arc<Places>,
    signer: Arc<TokenSigner>,
    call_timeout: Duration,
}

impl ServiceChannel {
    /// A channel to the service at `config.endpoint`, which metrics call `dependency`.
    pub fn new(
        dependency: &'static str,
        config: &ClientConfig,
        signer: Arc<TokenSigner>,
    ) -> Result<Self, ClientError> {
        let tls = config.tls.as_ref().map(ClientTls::load).transpose()?;
        let channel = |url| {
            let endpoint = endpoint(config, url)?;
            Ok(channel(&endpoint, tls.as_ref()))
        };
        let channels: Vec<Channel> = config
            .endpoints()
            .map(channel)
            .collect::<Result<_, ClientError>>()?;
        Ok(Self {
            dependency,
            places: Arc::new(Places::new(channels)),
            signer,
            call_timeout: config.call_timeout(),
        })
    }

    /// Puts the headers on `request`; how long the call may take.
    fn prepare(&self, request: &mut Request<Body>) -> Result<Duration, Status> {
        let headers = request.headers_mut();
        let given = headers
            .get(timeout_header::NAME)
            .and_then(|value| timeout_header::read(value.to_str().ok()?));
        let timeout = given.map_or(self.call_timeout, |given| given.min(self.call_timeout));
        let invalid = |_| {
            Status::from(ApiError::bug(
                "a header of a call to another service cannot be written",
            ))
        };
        let text = timeout_header::format(timeout);
        headers.insert(
            timeout_header::NAME,
            HeaderValue::from_str(&text).map_err(invalid)?,
        );

        let token = self.signer.token().map_err(ApiError::internal)?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(invalid)?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);

        if let Some(id) = RequestId::current()
            && !headers.contains_key(REQUEST_ID_HEADER)
        {
            headers.insert(
                REQUEST_ID_HEADER,
                HeaderValue::from_str(id.as_str()).map_err(invalid)?,
            );
        }
        Ok(timeout)
    }
}

/// A channel to an endpoint, with `tls` where its address begins with `https`; connects when it is first used.
fn channel(endpoint: &Endpoint, tls: Option<&ClientTls>) -> Channel {
    match tls {
        Some(tls) if endpoint.uri().scheme() == Some(&Scheme::HTTPS) => tls.channel(endpoint),
        _ => endpoint.connect_lazy(),
    }
}

fn endpoint(config: &ClientConfig, url: &str) -> Result<Endpoint, ClientError> {
    let endpoint =
        Endpoint::from_shared(url.to_owned()).map_err(|source| ClientError::Endpoint {
            endpoint: url.to_owned(),
            source,
        })?;
    Ok(endpoint
        .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
        .tcp_nodelay(true)
        .tcp_keepalive(Some(KEEPALIVE_INTERVAL))
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}

impl Service<Request<Body>> for ServiceChannel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // Each place has a queue of its own, which is waited for within the call's time.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let timeout = match self.prepare(&mut request) {
            Ok(timeout) => timeout,
            Err(status) => return Box::pin(std::future::ready(Err(status))),
        };
        let deadline = Instant::now() + timeout;
        crash_point("call::before");
        let call = MeasuredCall::begin(self.dependency, &request, traces::outgoing(&request));
        traces::inject(call.span(), request.headers_mut());
        let places = Arc::clone(&self.places);
        let place = places.choose();
        let answer = places.channel(place).oneshot(request);
        Box::pin(async move {
            let answer = timeout_at(deadline, answer).await;
            crash_point("call::after");
            if !matches!(answer, Ok(Ok(_))) {
                places.leave_alone(place);
            }
            call.end_with(match answer {
                Ok(Ok(response)) => Ok(response.map(|body| DeadlineBody::wrap(body, deadline))),
                // The transport reads the same header and may be first; it would say CANCELLED.
                Ok(Err(error)) if is_timeout(&error) => Err(ApiError::deadline_exceeded().into()),
                Ok(Err(error)) => Err(Status::from_error(error.into())),
                Err(_) => Err(ApiError::deadline_exceeded().into()),
            })
        })
    }
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        next = error.source();
    }
    false
}
