//! A stack that runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use chrono::TimeDelta;
use futures::FutureExt;
use latchkey_service_kit::config::ClientTlsConfig;
use latchkey_service_kit::identity::Role;
use tonic::transport::{Channel, Endpoint as GrpcEndpoint};

use super::Service;
use super::config_files::{ISSUER_KEY, SharedFiles};
use super::data_dir::DataDir;
use super::databases::Provisioned;
use super::description::{Description, Endpoint, IssuerFiles, Sample};
use super::process::{Process, ProcessOptions, Started, channel, claim};
use super::sample::sample;
use super::secrets::{Secrets, replace_private};
use super::server::{DatabaseChoice, Place, Server, stack_id};
use super::tokens::{AUDIENCE, ISSUER, Issuer, TokenRequest, token_file};
use crate::progress::Progress;
use crate::tail::tail;

/// How long the tokens in the data directory hold; each start writes them anew.
const TOKEN_LIFETIME: TimeDelta = TimeDelta::days(7);

/// How long each call that makes the sample may take.
const SAMPLE_WITHIN: Duration = Duration::from_secs(10);

/// What a stack is started with.
#[derive(Debug)]
pub struct StackOptions {
    /// The `latchkey` program, which runs the services and guards Postgres.
    pub executable: PathBuf,
    /// Where the stack lives.
    pub data_dir: DataDir,
    /// Where the keys service listens; port 0 takes a free one.
    pub keys_address: SocketAddr,
    /// Where the enrollment service listens; port 0 takes a free one.
    pub enrollment_address: SocketAddr,
    /// Which Postgres it uses.
    pub database: DatabaseChoice,
    /// The mail server of this machine by which it writes to people; without one nobody is written to.
    pub mail_server: Option<SocketAddr>,
    /// Where it says what it is doing.
    pub progress: Progress,
}

/// Both services on a database, as child processes. Dropped, everything stops in the background; [`Stack::stop`] waits.
#[derive(Debug)]
pub struct Stack {
    // In this order they are dropped: services before their server.
    enrollment: Process,
    keys: Process,
    server: Server,
    addresses: BTreeMap<&'static str, SocketAddr>,
    metrics: BTreeMap<&'static str, SocketAddr>,
    files: SharedFiles,
    secrets: Secrets,
    issuer: Issuer,
    data_dir: DataDir,
    sample: Option<Sample>,
}

impl Stack {
    /// Starts everything and waits until both services serve.
    ///
    /// # Errors
    /// When a part does not start; what had started is stopped again.
    pub async fn start(mut options: StackOptions) -> anyhow::Result<Self> {
        // What can be seen without doing anything comes first.
        claim(Service::Keys, options.keys_address)?;
        claim(Service::Enrollment, options.enrollment_address)?;
        let secrets = Secrets::in_directory(options.data_dir.private("secrets")?);
        let issuer = Issuer::new(&secrets.key_pair(ISSUER_KEY)?)?;
        let place = Place {
            executable: &options.executable,
            data_dir: options.data_dir.path(),
            ephemeral: options.data_dir.is_ephemeral(),
        };
        let server =
            Server::start(options.database.clone(), place, &secrets, &options.progress).await?;
        if server.has_guard() {
            options.data_dir.leave_to_guard();
        }
        let services = async {
            let mut files = SharedFiles::make(&secrets, server.database(), &[])?;
            files.mail_server = options.mail_server;
            let keys = start_service(Service::Keys, &options, &files, options.keys_address).await?;
            let enrollment =
                start_service(Service::Enrollment, &options, &files, keys.address).await?;
            anyhow::Ok((files, keys, enrollment))
        };
        match services.await {
            Ok((files, keys, enrollment)) => {
                let of_both = |address: fn(&Started) -> SocketAddr| {
                    BTreeMap::from([
                        (Service::Keys.name(), address(&keys)),
                        (Service::Enrollment.name(), address(&enrollment)),
                    ])
                };
                let addresses = of_both(|started| started.address);
                let metrics = of_both(|started| started.metrics);
                let (enrollment, keys) = (enrollment.process, keys.process);
                let data_dir = options.data_dir;
                Ok(Self {
                    enrollment,
                    keys,
                    server,
                    addresses,
                    metrics,
                    files,
                    secrets,
                    issuer,
                    data_dir,
                    sample: None,
                })
            }
            Err(error) => {
                let _ = server.stop().await;
                Err(error)
            }
        }
    }

    /// Where a service listens.
    pub fn address(&self, service: Service) -> SocketAddr {
        self.addresses[service.name()]
    }

    /// The same as a URL for gRPC clients.
    pub fn url(&self, service: Service) -> String {
        format!("https://{}", self.address(service))
    }

    /// A connection to it, made when it is used, on which each call may take `within`. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the authority's certificate cannot be read.
    pub fn channel(&self, service: Service, within: Duration) -> anyhow::Result<Channel> {
        let endpoint = GrpcEndpoint::from_shared(self.url(service))?
            .timeout(within)
            .tcp_nodelay(true);
        channel(&endpoint, &self.files.certificates.authority)
    }

    /// The database of the stack.
    pub fn database(&self) -> &Provisioned {
        self.server.database()
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    /// A service's log.
    pub fn log(&self, service: Service) -> PathBuf {
        log_file(self.data_dir.path(), service)
    }

    /// A token that the stack's services believe.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self, request: &TokenRequest) -> anyhow::Result<String> {
        self.issuer.mint(request)
    }

    /// Makes, or finds again, an organization and a student to try things with.
    ///
    /// # Errors
    /// When the enrollment service refuses.
    pub async fn make_sample(&mut self) -> anyhow::Result<Sample> {
        let operator = self.token(&token_request(Role::Operator, None))?;
        let platform = self.token(&token_request(Role::PlatformService, None))?;
        let seed = stack_id(&self.secrets)?;
        let made = sample(
            self.channel(Service::Enrollment, SAMPLE_WITHIN)?,
            &seed,
            &operator,
            &platform,
        )
        .await?;
        self.sample = Some(made);
        Ok(made)
    }

    /// Writes a token for each role and `dev.json` into the data directory; returns the latter.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn describe(&self) -> anyhow::Result<(PathBuf, Description)> {
        let directory = self.data_dir.private("tokens")?;
        let mut tokens = BTreeMap::new();
        for role in Role::ALL
            .into_iter()
            .filter(|role| *role != Role::EnrollmentService)
        {
            let path = token_file(&directory, role);
            replace_private(&path, &self.token(&token_request(role, self.sample))?)?;
            tokens.insert(role.name().to_owned(), path);
        }
        let endpoint = |service: Service| Endpoint {
            address: self.address(service),
            url: self.url(service),
            config_file: config_file(self.data_dir.path(), service),
            database_url_file: self.files.database_url(service).to_owned(),
            log_file: self.log(service),
            metrics_url: Some(format!("http://{}/metrics", self.metrics[service.name()])),
        };
        let description = Description {
            pid: std::process::id(),
            keys: endpoint(Service::Keys),
            enrollment: endpoint(Service::Enrollment),
            ca_file: self.files.certificates.authority.clone(),
            issuer: IssuerFiles {
                issuer: ISSUER.to_owned(),
                audience: AUDIENCE.to_owned(),
                private_key_file: self.files.issuer_key.clone(),
                jwks_file: self.files.issuer_jwks.clone(),
            },
            tokens,
            sample: self.sample,
        };
        Ok((description.write(self.data_dir.path())?, description))
    }

    /// Returns when a part of the stack has ended by itself; the text says which, with its last words.
    pub async fn failed(&mut self) -> anyhow::Error {
        let (process, status) = tokio::select! {
            log = self.server.ended() => {
                return anyhow!("Postgres ended; its log ({}) ends:\n{}", log.display(), tail(&log, 0, 20));
            }
            status = self.keys.ended() => (&self.keys, status),
            status = self.enrollment.ended() => (&self.enrollment, status),
        };
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        anyhow!(
            "the {} service ended ({status}); {}",
            process.service().name(),
            process.last_words()
        )
    }

    /// What [`Stack::failed`] would return, if a part of the stack has ended by itself already.
    pub fn has_failed(&mut self) -> Option<anyhow::Error> {
        self.failed().now_or_never()
    }

    /// Stops enrollment, keys and the server, in this order, and waits for each; an ephemeral stack is removed.
    ///
    /// # Errors
    /// All that went wrong; it goes on to the end nevertheless.
    pub async fn stop(self) -> anyhow::Result<()> {
        let results = [
            self.enrollment.stop().await,
            self.keys.stop().await,
            self.server.stop().await,
        ];
        let problems: Vec<String> = results
            .into_iter()
            .filter_map(Result::err)
            .map(|error| format!("{error:#}"))
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            bail!("{}", problems.join("\n"))
        }
    }
}

/// The token that a role gets: whoever acts within an organization is of the sample's.
pub fn token_request(role: Role, sample: Option<Sample>) -> TokenRequest {
    let organization = match role {
        Role::Operator | Role::PlatformService | Role::EnrollmentService => None,
        Role::Administrator | Role::OperationsManager | Role::Instructor | Role::Student => {
            sample.map(|sample| sample.organization_id)
        }
    };
    let subject = match (role, sample) {
        (Role::Student, Some(sample)) => sample.student_id.to_string(),
        _ => format!("dev-{}", role.name().replace('_', "-")),
    };
    TokenRequest {
        roles: vec![role],
        organization,
        subject,
        lifetime: TOKEN_LIFETIME,
    }
}

fn config_file(data_dir: &Path, service: Service) -> PathBuf {
    data_dir
        .join("config")
        .join(format!("{}.toml", service.name()))
}

fn log_file(data_dir: &Path, service: Service) -> PathBuf {
    data_dir
        .join("logs")
        .join(format!("{}.log", service.name()))
}

/// Starts one service; `keys_address` is where the keys service listens, or shall listen if it is the one to start.
async fn start_service(
    service: Service,
    options: &StackOptions,
    files: &SharedFiles,
    keys_address: SocketAddr,
) -> anyhow::Result<Started> {
    options
        .progress
        .step(format!("Starting the {} service", service.name()));
    let wanted = match service {
        Service::Keys => options.keys_address,
        Service::Enrollment => options.enrollment_address,
    };
    options.data_dir.private("config")?;
    options.data_dir.private("logs")?;
    let config_file = config_file(options.data_dir.path(), service);
    let log = log_file(options.data_dir.path(), service);
    let process = ProcessOptions {
        executable: &options.executable,
        service,
        config_file: &config_file,
        address: wanted,
        tls: ClientTlsConfig::of_authorities(&files.certificates.authority),
        log: &log,
        environment: &[],
    };
    Process::start_where_free(&process, |address, metrics| {
        let keys = if service == Service::Keys {
            address
        } else {
            keys_address
        };
        files.write_config(service, &config_file, address, Some(metrics), keys)
    })
    .await
}
