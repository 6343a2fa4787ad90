//! One service of a stack as a process of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use latchkey_service_kit::config::ClientTlsConfig;
use latchkey_service_kit::tls::ClientTls;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::Service;
use crate::tail::tail;

/// How long a service may take until it serves.
const SERVING_WITHIN: Duration = Duration::from_secs(30);
/// How long one question for its health may take.
const HEALTH_WITHIN: Duration = Duration::from_secs(1);
/// How often it is asked.
const HEALTH_EVERY: Duration = Duration::from_millis(25);
/// How long it may take to end once told to: longer than it lets calls in progress take.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// How much of its log is shown when it fails.
const LOG_LINES: usize = 20;
/// How often other free ports are tried when someone took one before the service bound it.
const PORT_TRIES: u32 = 5;

/// A service that was started and served. Dropped, it is told to stop and not waited for.
#[derive(Debug)]
pub struct Process {
    service: Service,
    child: Child,
    /// Closed, it tells the service to stop.
    leash: Option<ChildStdin>,
    log: PathBuf,
    /// The log's length before this run.
    log_before: u64,
}

/// What a process is started with.
#[derive(Debug, Clone)]
pub struct ProcessOptions<'a> {
    /// The `latchkey` program.
    pub executable: &'a Path,
    /// Which service.
    pub service: Service,
    /// Its configuration file.
    pub config_file: &'a Path,
    /// Where the configuration says it listens.
    pub address: SocketAddr,
    /// Whom to believe, and what to show, when it is asked whether it serves.
    pub tls: ClientTlsConfig,
    /// Where its log goes.
    pub log: &'a Path,
    /// What its environment has besides that of this process: names and values.
    pub environment: &'a [(String, String)],
}

/// A process that was started, and where it is found.
#[derive(Debug)]
pub struct Started {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it shows its metrics.
    pub metrics: SocketAddr,
}

impl Process {
    /// Starts the service at `options.address`, or at a free port where that says 0, with its metrics at a free port of
    /// this machine; `configure` writes its configuration for both addresses. Tries others if one is taken meanwhile.
    ///
    /// # Errors
    /// Like [`Process::start`]; and when the address is taken, or the configuration cannot be written.
    pub async fn start_where_free(
        options: &ProcessOptions<'_>,
        configure: impl Fn(SocketAddr, SocketAddr) -> anyhow::Result<()>,
    ) -> anyhow::Result<Started> {
        let mut tries = 0;
        loop {
            tries += 1;
            let address = claim(options.service, options.address)?;
            let metrics = claim(options.service, ANY_PORT)?;
            configure(address, metrics)?;
            let options = ProcessOptions {
                address,
                ..options.clone()
            };
            match Self::start(&options).await {
                Ok(process) => {
                    return Ok(Started {
                        process,
                        address,
                        metrics,
                    });
                }
                Err(error) if tries < PORT_TRIES && format!("{error:#}").contains("in use") => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts the service and waits until it says that it serves.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not serve in time; the text shows its last log lines.
    pub async fn start(options: &ProcessOptions<'_>) -> anyhow::Result<Self> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(options.log);
        let log = log.with_context(|| format!("cannot write {}", options.log.display()))?;
        let log_before = log.metadata()?.len();
        let mut command = Command::new(options.executable);
        command
            .args([
                "serve",
                options.service.name(),
                "--stop-on-stdin-close",
                "--config",
            ])
            .arg(options.config_file)
            .envs(options.environment.iter().cloned());
        command
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log);
        // A Ctrl-C at the terminal is for the owner, who stops things in their order.
        command.process_group(0);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {}", options.executable.display()))?;
        let leash = child.stdin.take();
        let mut process = Self {
            service: options.service,
            child,
            leash,
            log: options.log.to_owned(),
            log_before,
        };
        let served = tokio::select! {
            status = process.child.wait() => Err(anyhow!("it ended ({})", status?)),
            served = timeout(SERVING_WITHIN, serving(options.address, &options.tls)) => {
                served.unwrap_or_else(|_| Err(anyhow!("it does not serve after {} s", SERVING_WITHIN.as_secs())))
            }
        };
        if let Err(reason) = served {
            let _ = process.child.start_kill();
            bail!(
                "the {} service did not start: {reason}; {}",
                options.service.name(),
                process.last_words()
            );
        }
        Ok(process)
    }

    /// Which service it is.
    pub fn service(&self) -> Service {
        self.service
    }

    /// Its process id; none once it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The end of its log, for people.
    pub fn last_words(&self) -> String {
        let lines = tail(&self.log, self.log_before, LOG_LINES);
        format!("its log ({}) ends:\n{lines}", self.log.display())
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub fn has_ended(&mut self) -> std::io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Returns when it has ended.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Tells it to stop and waits until it has; kills it when it does not.
    ///
    /// # Errors
    /// When it had to be killed, or ended with an error.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.leash.take());
        let name = self.service.name();
        if let Ok(status) = timeout(STOP_WITHIN, self.child.wait()).await {
            let status = status?;
            if !status.success() {
                bail!(
                    "the {name} service ended with {status}; {}",
                    self.last_words()
                );
            }
            return Ok(());
        }
        self.child.kill().await?;
        bail!(
            "the {name} service did not stop in {} s and was killed",
            STOP_WITHIN.as_secs()
        )
    }

    /// Kills it with SIGKILL, as a crash would, and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// Returns when the service at `address` says that it serves.
async fn serving(address: SocketAddr, tls: &ClientTlsConfig) -> anyhow::Result<()> {
    let endpoint = Endpoint::from_shared(format!("https://{address}"))?;
    let channel = ClientTls::load(tls)?.channel(&endpoint.connect_timeout(HEALTH_WITHIN));
    let mut health = HealthClient::new(channel);
    loop {
        let asked = Instant::now();
        let answer = timeout(HEALTH_WITHIN, health.check(HealthCheckRequest::default())).await;
        if let Ok(Ok(answer)) = answer
            && answer.into_inner().status() == ServingStatus::Serving
        {
            return Ok(());
        }
        sleep(HEALTH_EVERY.saturating_sub(asked.elapsed())).await;
    }
}

/// A channel to a service whose certificate comes from the authority in `ca_file`. Connects when it is used.
///
/// # Errors
/// When the file cannot be used.
pub fn channel(endpoint: &Endpoint, ca_file: &Path) -> anyhow::Result<Channel> {
    let tls = ClientTls::load(&ClientTlsConfig::of_authorities(ca_file))?;
    Ok(tls.channel(endpoint))
}

/// The address that a service shall listen on: `wanted` itself if it is free, or a free port where `wanted` says 0.
///
/// # Errors
/// When the port is taken or the address is not this machine's.
pub fn claim(service: Service, wanted: SocketAddr) -> anyhow::Result<SocketAddr> {
    match TcpListener::bind(wanted) {
        Ok(listener) => Ok(listener.local_addr()?),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let option = format!("--{}-addr", service.name());
            bail!(
                "{wanted} is taken by another process: the {} service cannot listen there. Stop that process, or choose another address with {option} (port 0 takes a free one)",
                service.name()
            )
        }
        Err(error) => Err(error)
            .with_context(|| format!("the {} service cannot listen on {wanted}", service.name())),
    }
}

/// A free port of 127.0.0.1, to be found when the service starts.
pub const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_said_so_with_what_to_do() {
        let holder = TcpListener::bind(ANY_PORT).expect("a port");
        let taken = holder.local_addr().expect("its address");
        let refusal = claim(Service::Keys, taken).expect_err("taken").to_string();
        assert!(refusal.contains(&taken.to_string()), "{refusal}");
        assert!(refusal.contains("--keys-addr"), "{refusal}");
        assert_ne!(claim(Service::Keys, ANY_PORT).expect("free").port(), 0);
    }
}
