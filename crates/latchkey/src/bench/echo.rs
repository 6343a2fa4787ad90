//! The least that a gRPC service of ours can do: `CheckKey` with an answer that is always the same, behind the same TLS,
//! token checks, limits, deadlines, log and metrics as the enrollment service. The difference is what that does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use latchkey_enrollment::Config;
use latchkey_enrollment::rpc::access;
use latchkey_proto::enrollment::v1::redemption_service_server::{
    RedemptionService, RedemptionServiceServer,
};
use latchkey_proto::enrollment::v1::{
    CheckKeyRequest, CheckKeyResponse, GetRedemptionRequest, GetRedemptionResponse,
    ListRedemptionsRequest, ListRedemptionsResponse, OpenedClass, RedeemKeyRequest,
    RedeemKeyResponse, RegisterWithKeyRequest, RegisterWithKeyResponse,
};
use latchkey_service_kit::clock::SystemClock;
use latchkey_service_kit::command::{self, ServeArguments};
use latchkey_service_kit::identity::{IdentityError, TokenVerifier};
use latchkey_service_kit::ids::RandomIds;
use latchkey_service_kit::limited;
use latchkey_service_kit::server::{self, GrpcServer, ServerOptions};
use latchkey_service_kit::tls::{ServerTls, TlsError};
use prost_types::Timestamp;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::ground::Ground;
use super::site::Site;
use crate::stack::Service;
use crate::stack::process::{ANY_PORT, claim};

/// How long it may take until it listens.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What the echo is run with.
#[derive(Debug, Clone, clap::Args)]
pub struct EchoArguments {
    /// A configuration of the enrollment service, of which it uses what has to do with callers.
    #[arg(long)]
    config: PathBuf,
    /// The class that each code opens.
    #[arg(long)]
    class: String,
}

/// Serves until standard input ends.
pub fn run(arguments: &EchoArguments) -> ExitCode {
    let serving = ServeArguments {
        config: Some(arguments.config.clone()),
        stop_on_stdin_close: true,
        ..ServeArguments::default()
    };
    let class = arguments.class.clone();
    command::run(
        &serving,
        Config::load,
        Config::observation,
        |config, shutdown| serve(config, class, shutdown),
    )
}

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
enum EchoError {
    #[error("it is not known whose tokens to believe")]
    Identity(#[from] IdentityError),
    #[error("there is no certificate")]
    Tls(#[from] TlsError),
    #[error("the server ended")]
    Server(#[from] server::ServeError),
}

async fn serve(
    config: Config,
    class: String,
    shutdown: CancellationToken,
) -> Result<(), EchoError> {
    let verifier = TokenVerifier::from_config(&config.identity, Arc::new(SystemClock))?;
    let limits = config.limits.clone();
    let server = GrpcServer::new(ServerOptions {
        access: access::table(),
        verifier: Arc::new(verifier),
        ids: Arc::new(RandomIds::default()),
        refusals: None,
        tls: ServerTls::of(&config.listen)?,
        limits: limits.clone(),
        shutdown: config.shutdown.clone(),
    });
    let echo = Echo {
        answer: answer(class),
    };
    let server = server.service(limited!(RedemptionServiceServer::new(echo), limits));
    let listener = server::bind(config.listen.address).await?;
    Ok(server.serve(listener, shutdown).await?)
}

/// An answer as long as the real one.
fn answer(class_id: String) -> CheckKeyResponse {
    let time = |seconds| Some(Timestamp { seconds, nanos: 0 });
    CheckKeyResponse {
        key_kind: 1,
        opened_class: Some(OpenedClass {
            organization_id: class_id.clone(),
            class_id,
            course_id: "load".to_owned(),
            course_name: "Load".to_owned(),
            name: "A class under load".to_owned(),
            start_time: time(1_900_000_000),
            end_time: time(1_900_432_000),
            time_zone: "UTC".to_owned(),
            access_until: time(1_916_000_000),
        }),
        redeemable_until: time(1_900_432_000),
        already_in: false,
        seats_left: 1_000,
        opened_course: None,
        opened_subscription: None,
    }
}

#[derive(Debug)]
struct Echo {
    answer: CheckKeyResponse,
}

fn only_check_key<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("the echo answers CheckKey only"))
}

#[tonic::async_trait]
impl RedemptionService for Echo {
    async fn check_key(
        &self,
        _: Request<CheckKeyRequest>,
    ) -> Result<Response<CheckKeyResponse>, Status> {
        Ok(Response::new(self.answer.clone()))
    }

    async fn redeem_key(
        &self,
        _: Request<RedeemKeyRequest>,
    ) -> Result<Response<RedeemKeyResponse>, Status> {
        only_check_key()
    }

    async fn register_with_key(
        &self,
        _: Request<RegisterWithKeyRequest>,
    ) -> Result<Response<RegisterWithKeyResponse>, Status> {
        only_check_key()
    }

    async fn get_redemption(
        &self,
        _: Request<GetRedemptionRequest>,
    ) -> Result<Response<GetRedemptionResponse>, Status> {
        only_check_key()
    }

    async fn list_redemptions(
        &self,
        _: Request<ListRedemptionsRequest>,
    ) -> Result<Response<ListRedemptionsResponse>, Status> {
        only_check_key()
    }
}

/// An echo in a process of its own. Dropped, it is told to stop.
#[derive(Debug)]
pub struct EchoProcess {
    address: SocketAddr,
    metrics: SocketAddr,
    child: Child,
    _leash: Option<ChildStdin>,
}

impl EchoProcess {
    /// Starts one that answers as if every code opened `class`, with the configuration of `site`.
    ///
    /// # Errors
    /// When it cannot be started, or does not listen in time.
    pub async fn start(ground: &Ground, site: &Site, class: &str) -> anyhow::Result<Self> {
        let directory = ground.directory(&site.name)?;
        let config = directory.join("echo.toml");
        let address = claim(Service::Enrollment, ANY_PORT)?;
        // Without an address nobody would collect what is counted, and counting would cost nothing.
        let metrics = claim(Service::Enrollment, ANY_PORT)?;
        let keys = site.keys.first().context("no keys service")?.address();
        site.files()
            .write_config(Service::Enrollment, &config, address, Some(metrics), keys)?;
        let log = std::fs::File::create(directory.join("echo.log"))?;
        let mut child = Command::new(&ground.executable)
            .arg("bench-echo")
            .arg("--config")
            .arg(&config)
            .args(["--class", class])
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", ground.executable.display()))?;
        let leash = child.stdin.take();
        let listening = async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(LISTENS_WITHIN, listening)
            .await
            .context("the echo does not listen")?;
        Ok(Self {
            address,
            metrics,
            child,
            _leash: leash,
        })
    }

    /// Its address for gRPC clients.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Where it shows its metrics.
    pub fn metrics(&self) -> SocketAddr {
        self.metrics
    }

    /// Its process id.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("the echo ended")
    }
}
