//! A server with a small service, and a caller.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::TimeDelta;
use http::uri::PathAndQuery;
use latchkey_service_kit::access::{AccessTable, Reach, Row};
use latchkey_service_kit::clock::SystemClock;
use latchkey_service_kit::config::{LimitsConfig, ShutdownConfig};
use latchkey_service_kit::context::CallContext;
use latchkey_service_kit::identity::{
    KeyPair, Role, SignerOptions, TokenSigner, TokenVerifier, Trusts, jwks_document,
};
use latchkey_service_kit::ids::{RandomIds, os_random};
use latchkey_service_kit::server::{GrpcServer, ServeError, ServerOptions, bind};
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::tls::ServerTls;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::client::Grpc as ClientGrpc;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;

const ROWS: &[Row] = &[
    Row {
        method: "/test.v1.Test/Echo",
        grants: &[(Role::Operator, Reach::Anything)],
    },
    Row {
        method: "/test.v1.Test/Wait",
        grants: &[(Role::Operator, Reach::Anything)],
    },
    Row {
        method: "/test.v1.Test/Panic",
        grants: &[(Role::Operator, Reach::Anything)],
    },
    Row {
        method: "/test.v1.Test/Fail",
        grants: &[(Role::Operator, Reach::Anything)],
    },
    Row {
        method: "/test.v1.Test/Forbidden",
        grants: &[(Role::Student, Reach::Myself)],
    },
];

/// What the service and its tests tell each other.
pub(crate) struct Switchboard {
    /// Each handler's context, when it begins.
    entered: mpsc::UnboundedSender<CallContext>,
    /// `Wait` ends when it gets one of these.
    pub(crate) release: Semaphore,
    /// The request id of each `Wait` that came to its end.
    finished: mpsc::UnboundedSender<String>,
}

#[derive(Clone)]
struct TestService(Arc<Switchboard>);

impl NamedService for TestService {
    const NAME: &'static str = "test.v1.Test";
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl tower::Service<http::Request<Body>> for TestService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let handler = Handler {
            switchboard: Arc::clone(&self.0),
            method,
        };
        Box::pin(async move {
            let codec = ProstCodec::<HealthCheckResponse, HealthCheckRequest>::default();
            Ok(Grpc::new(codec)
                .max_decoding_message_size(1_024)
                .unary(handler, request)
                .await)
        })
    }
}

struct Handler {
    switchboard: Arc<Switchboard>,
    method: String,
}

impl UnaryService<HealthCheckRequest> for Handler {
    type Response = HealthCheckResponse;
    type Future = BoxFuture<Result<Response<HealthCheckResponse>, Status>>;

    fn call(&mut self, request: Request<HealthCheckRequest>) -> Self::Future {
        let (switchboard, method) = (Arc::clone(&self.switchboard), self.method.clone());
        Box::pin(async move {
            let context = CallContext::of(&request)?.clone();
            // A test that does not listen has dropped the other end.
            let _ = switchboard.entered.send(context.clone());
            match method.as_str() {
                "Wait" => {
                    switchboard.release.acquire().await.unwrap().forget();
                    let _ = switchboard.finished.send(context.request_id.to_string());
                }
                "Panic" => panic!("hunter2"),
                "Fail" => return Err(ApiError::bug("hunter2").into()),
                _ => {}
            }
            Ok(Response::new(HealthCheckResponse { status: 1 }))
        })
    }
}

/// A running server and everything to call it with.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) switchboard: Arc<Switchboard>,
    pub(crate) entered: mpsc::UnboundedReceiver<CallContext>,
    pub(crate) finished: mpsc::UnboundedReceiver<String>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) server: JoinHandle<Result<(), ServeError>>,
    pub(crate) signer: Arc<TokenSigner>,
    pub(crate) channel: Channel,
}

impl World {
    pub(crate) async fn start(limits: LimitsConfig, ending: ShutdownConfig) -> Self {
        Self::start_with(limits, ending, None).await
    }

    pub(crate) async fn start_with(
        limits: LimitsConfig,
        ending: ShutdownConfig,
        tls: Option<ServerTls>,
    ) -> Self {
        let clock = Arc::new(SystemClock);
        let pair = KeyPair::generate(&mut os_random()).unwrap();
        let jwks = jwks_document([&pair]);
        let verifier = TokenVerifier::new(
            Trusts::new(&jwks, vec!["issuer".into()]).unwrap(),
            "latchkey",
            Arc::clone(&clock) as _,
        );
        let options = SignerOptions {
            issuer: "issuer".into(),
            audience: "latchkey".into(),
            subject: "olga".into(),
            roles: vec![Role::Operator],
            organization: None,
            lifetime: TimeDelta::minutes(5),
        };
        let signer = Arc::new(TokenSigner::new(pair.private_pem(), options, clock).unwrap());

        let (entered, entered_receiver) = mpsc::unbounded_channel();
        let (finished, finished_receiver) = mpsc::unbounded_channel();
        let switchboard = Arc::new(Switchboard {
            entered,
            release: Semaphore::new(0),
            finished,
        });
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = GrpcServer::new(ServerOptions {
            refusals: None,
            access: AccessTable::new(ROWS),
            verifier: Arc::new(verifier),
            ids: Arc::new(RandomIds::default()),
            tls,
            limits,
            shutdown: ending,
        })
        .service(TestService(Arc::clone(&switchboard)))
        .readiness(|| async { true })
        .reflection(latchkey_proto::FILE_DESCRIPTOR_SET);
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(server.serve(listener, shutdown.clone()));
        let channel = Endpoint::from_shared(format!("http://{address}"))
            .unwrap()
            .connect_lazy();
        Self {
            address,
            switchboard,
            entered: entered_receiver,
            finished: finished_receiver,
            shutdown,
            server,
            signer,
            channel,
        }
    }

    pub(crate) async fn with_limits(limits: LimitsConfig) -> Self {
        Self::start(limits, ShutdownConfig::default()).await
    }

    pub(crate) async fn plain() -> Self {
        Self::with_limits(LimitsConfig::default()).await
    }

    /// Calls a method of the service with the operator's token.
    pub(crate) fn call(
        &self,
        method: &str,
    ) -> impl Future<Output = Result<Response<HealthCheckResponse>, Status>> + Send + use<> {
        let token = format!("Bearer {}", self.signer.token().unwrap());
        self.call_with(
            &format!("/test.v1.Test/{method}"),
            &[("authorization", &token)],
            HealthCheckRequest::default(),
        )
    }

    /// The same by another connection.
    pub(crate) fn call_on(
        &self,
        channel: Channel,
        method: &str,
    ) -> impl Future<Output = Result<Response<HealthCheckResponse>, Status>> + Send + use<> {
        let token = format!("Bearer {}", self.signer.token().unwrap());
        let request = HealthCheckRequest::default();
        let path = format!("/test.v1.Test/{method}");
        Self::send(channel, &path, &[("authorization", &token)], request)
    }

    /// Calls any method with any headers and any message.
    pub(crate) fn call_with<M: prost::Message + Default + 'static>(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        message: M,
    ) -> impl Future<Output = Result<Response<HealthCheckResponse>, Status>> + Send + use<M> {
        Self::send(self.channel.clone(), path, headers, message)
    }

    fn send<M: prost::Message + Default + 'static>(
        channel: Channel,
        path: &str,
        headers: &[(&'static str, &str)],
        message: M,
    ) -> impl Future<Output = Result<Response<HealthCheckResponse>, Status>> + Send + use<M> {
        let path: PathAndQuery = path.parse().unwrap();
        let mut request = Request::new(message);
        for (name, value) in headers {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        let mut client = ClientGrpc::new(channel);
        async move {
            client
                .ready()
                .await
                .map_err(|error| Status::unavailable(error.to_string()))?;
            client
                .unary(
                    request,
                    path,
                    ProstCodec::<M, HealthCheckResponse>::default(),
                )
                .await
        }
    }
}

/// Waits for `event`, which must come soon: a test that waits for ever says nothing.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), event)
        .await
        .expect("the event did not come within 20 seconds")
}

/// What was logged since [`LogLines::capture`], in this thread.
#[derive(Clone, Default)]
pub(crate) struct LogLines(Arc<Mutex<Vec<u8>>>);

impl LogLines {
    pub(crate) fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let lines = Self::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || writer.clone())
            .finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn lines(&self) -> Vec<serde_json::Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(crate) fn calls(&self) -> Vec<serde_json::Value> {
        self.lines()
            .into_iter()
            .filter(|line| line["target"] == "latchkey::calls")
            .collect()
    }
}

impl std::io::Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
