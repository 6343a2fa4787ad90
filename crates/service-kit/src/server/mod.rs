//! Assembling and running a gRPC server.

mod admission;
mod call_log;
mod call_metrics;
mod deadline;
mod dispatch;
mod foreign;
mod gate;
mod health;
mod incoming;
mod open;
mod open_body;
mod outlet;
mod places;
mod refused;
mod service;
mod shedding;
pub(crate) mod timeout_header;

pub(crate) use foreign::status_code;

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use self::dispatch::Dispatch;
use self::gate::Gate;
use self::health::Health;
pub use self::outlet::{NotTaken, Outlet, Streamed, streamed};
pub use self::places::{Place, Places};
pub use self::service::GrpcService;
use crate::access::AccessTable;
use crate::config::{LimitsConfig, ShutdownConfig};
use crate::identity::TokenVerifier;
use crate::ids::Ids;
use crate::refusals::Refusals;
use crate::tls::ServerTls;

/// How long closing the connections that did not drain may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bounds of flow control, in bytes: a message of the largest size fits a stream's window, so that no unary call waits
/// for a window update.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

/// Applies the limits of a [`LimitsConfig`] to a generated server (`SomethingServer::new(...)`), and gzip both ways for
/// callers that offer it.
#[macro_export]
macro_rules! limited {
    ($server:expr, $limits:expr) => {
        $server
            .accept_compressed(::tonic::codec::CompressionEncoding::Gzip)
            .send_compressed(::tonic::codec::CompressionEncoding::Gzip)
            .max_decoding_message_size($limits.max_request_bytes)
            .max_encoding_message_size($limits.max_response_bytes)
    };
}

/// Why a server did not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {hint}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What to do about it.
        hint: &'static str,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The descriptors for reflection cannot be read.
    #[error("the descriptor set cannot be served by reflection")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The server failed.
    #[error("the server failed")]
    Transport(#[source] tonic::transport::Error),
}

/// Listens on `address`; port 0 takes a free one.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => {
                "another process uses this port; stop it or choose another port"
            }
            io::ErrorKind::AddrNotAvailable => "this machine has no such address",
            io::ErrorKind::PermissionDenied => {
                "this user may not use this port; choose one above 1023"
            }
            _ => "the operating system refused",
        };
        ServeError::Listen {
            address,
            hint,
            source,
        }
    })
}

/// What every call of a server goes through.
#[derive(Debug)]
pub struct ServerOptions {
    /// Who may call what.
    pub access: AccessTable,
    /// Whose tokens are believed.
    pub verifier: Arc<TokenVerifier>,
    /// Where request ids come from when a caller brings none.
    pub ids: Arc<dyn Ids>,
    /// Where refused calls are left that belong into the audit trail; `None`: nowhere.
    pub refusals: Option<Refusals>,
    /// The certificate that clients are shown; without it they are served in the open.
    pub tls: Option<ServerTls>,
    /// Bounds.
    pub limits: LimitsConfig,
    /// How it ends.
    pub shutdown: ShutdownConfig,
}

/// A gRPC server: services behind one gate (see [`GrpcServer::serve`]), health and reflection.
pub struct GrpcServer {
    options: ServerOptions,
    dispatch: Dispatch,
    names: Vec<&'static str>,
    descriptors: Vec<&'static [u8]>,
    readiness: health::Check,
    streams: HashMap<&'static str, Duration>,
}

impl std::fmt::Debug for GrpcServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrpcServer")
            .field("services", &self.names)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl GrpcServer {
    /// A server without services, always ready, without reflection.
    pub fn new(options: ServerOptions) -> Self {
        Self {
            options,
            dispatch: Dispatch::default(),
            names: Vec::new(),
            descriptors: Vec::new(),
            readiness: Box::new(|| Box::pin(async { true })),
            streams: HashMap::new(),
        }
    }

    /// Adds a service: a generated server with its [`limited!`](crate::limited) limits.
    #[must_use]
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.dispatch = self.dispatch.with(service);
        self.names.push(S::NAME);
        self
    }

    /// Ties health to `check`, which is asked again and again in the background whether the service can work (its
    /// database answers). It must end by itself within a few seconds.
    #[must_use]
    pub fn readiness<F>(mut self, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        self.readiness = Box::new(move || Box::pin(check()));
        self
    }

    /// Says that the answer of the method at `path` is a stream ([`streamed`]) that may go on for `longest`: the usual
    /// deadlines, of calls that are answered at once, do not hold for it.
    #[must_use]
    pub fn stream(mut self, path: &'static str, longest: Duration) -> Self {
        self.streams.insert(path, longest);
        self
    }

    /// Lets callers ask for the contract (reflection v1 and v1alpha), read from an encoded `FileDescriptorSet`. Only
    /// the services of this server are announced.
    #[must_use]
    pub fn reflection(mut self, descriptors: &'static [u8]) -> Self {
        self.descriptors.push(descriptors);
        self
    }

    /// Serves calls that come to `listener` until `shutdown` is cancelled, then ends gracefully: tells health watchers,
    /// waits for the notice, stops accepting, lets calls in progress end within the drain time, closes what is left.
    ///
    /// Each call passes these steps, in this order:
    ///
    /// 1. request id, so that everything after it, refusals too, can be tied together;
    /// 2. log, so that each call leaves one line, whoever refused it;
    /// 3. load shedding, before anything that costs: under overload a refusal must be cheap;
    /// 4. identity and access: nothing below runs for a caller who may not call the method;
    /// 5. deadline, over all the work but none of the refusals;
    /// 6. detaching: the handler runs in a task of its own, so that neither a caller who goes away nor the deadline
    ///    stops it half-way, and a panic fails one call only.
    ///
    /// Health and reflection pass the first two only: they must answer under overload and to callers without a token. They
    /// have bounds of their own.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let Assembly {
            gate,
            health,
            readiness,
            verifier,
            tls,
            limits,
            ending,
        } = self.assemble()?;
        let tasks = gate.tasks();
        let stop_accepting = CancellationToken::new();
        let close = CancellationToken::new();
        let connections = incoming::connections(listener, tls, &limits, close.clone());
        let transport = transport(&limits).serve_with_incoming_shutdown(
            gate,
            connections,
            stop_accepting.clone().cancelled_owned(),
        );
        let fresh = tokio::spawn(Arc::clone(&verifier).keep_fresh(shutdown.clone()));
        let readiness: health::Check = Box::new(move || {
            let (service, identity) = (readiness(), verifier.is_ready());
            Box::pin(async move { service.await && identity })
        });
        let readiness = tokio::spawn(health.clone().keep_checking(readiness, shutdown.clone()));
        let end = async {
            shutdown.cancelled().await;
            health.end();
            tokio::time::sleep(ending.notice()).await;
            stop_accepting.cancel();
            tokio::time::sleep(ending.drain()).await;
            tracing::warn!(
                drain_ms = ending.drain_ms,
                "calls are still in progress: closing their connections"
            );
            close.cancel();
            tokio::time::sleep(CLOSE_TIMEOUT).await;
        };
        let drained = async {
            let result = transport.await;
            // A handler whose caller went away has no connection, but is work all the same.
            tasks.close();
            tasks.wait().await;
            result
        };
        let result = tokio::select! {
            result = drained => result.map_err(ServeError::Transport),
            () = end => Ok(()),
        };
        close.cancel();
        readiness.abort();
        fresh.abort();
        result
    }

    /// The same service without a socket: what calls pass is what [`GrpcServer::serve`] has them pass. Its health is
    /// that of a service that was never asked whether it is ready.
    ///
    /// # Errors
    /// When the descriptors for reflection cannot be read.
    pub fn into_service(self) -> Result<GrpcService, ServeError> {
        Ok(GrpcService::new(self.assemble()?.gate))
    }

    fn assemble(self) -> Result<Assembly, ServeError> {
        let Self {
            options,
            mut dispatch,
            names,
            descriptors,
            readiness,
            streams,
        } = self;
        let ServerOptions {
            access,
            verifier,
            ids,
            refusals,
            tls,
            limits,
            shutdown: ending,
        } = options;
        let health = Health::new(names.iter().copied());
        dispatch = dispatch.with(health.server());
        if !descriptors.is_empty() {
            dispatch =
                with_reflection(dispatch, &names, &descriptors).map_err(ServeError::Reflection)?;
        }
        Ok(Assembly {
            gate: Gate::new(
                dispatch,
                gate::Shared::new(access, Arc::clone(&verifier), ids, refusals, &limits)
                    .with_streams(streams),
            ),
            health,
            readiness,
            verifier,
            tls,
            limits,
            ending,
        })
    }
}

/// A server that only lacks its connections.
struct Assembly {
    gate: Gate<Dispatch>,
    health: Health,
    readiness: health::Check,
    verifier: Arc<TokenVerifier>,
    tls: Option<ServerTls>,
    limits: LimitsConfig,
    ending: ShutdownConfig,
}

fn transport(limits: &LimitsConfig) -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .max_concurrent_streams(limits.max_streams_per_connection)
        .http2_max_header_list_size(limits.max_header_bytes)
        .http2_keepalive_interval(Some(Duration::from_millis(limits.keepalive_interval_ms)))
        .http2_keepalive_timeout(Some(Duration::from_millis(limits.keepalive_timeout_ms)))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
}

fn with_reflection(
    dispatch: Dispatch,
    names: &[&'static str],
    descriptors: &[&'static [u8]],
) -> Result<Dispatch, tonic_reflection::server::Error> {
    let builder = || {
        let mut builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        for descriptor in descriptors {
            builder = builder.register_encoded_file_descriptor_set(descriptor);
        }
        names
            .iter()
            .fold(builder, |builder, name| builder.with_service_name(*name))
    };
    Ok(dispatch
        .with(
            builder()
                .build_v1()?
                .max_decoding_message_size(open::MAX_REQUEST_BYTES),
        )
        .with(
            builder()
                .build_v1alpha()?
                .max_decoding_message_size(open::MAX_REQUEST_BYTES),
        ))
}
