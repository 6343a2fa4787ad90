//! `latchkey health`: whether a service says that it serves, for whoever watches over its process.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use latchkey_service_kit::config::ClientTlsConfig;
use latchkey_service_kit::tls::ClientTls;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// How long the answer may take.
const WITHIN: Duration = Duration::from_secs(3);

/// Whom to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct Health {
    /// Where the service listens, for example 127.0.0.1:7402.
    #[arg(long, value_name = "HOST:PORT")]
    address: String,
    /// The authority whose certificate it shows (PEM). Without it, the service is asked without TLS.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// A certificate to show it, if it asks for one (PEM).
    #[arg(long, value_name = "FILE", requires_all = ["ca_file", "private_key_file"])]
    certificate_file: Option<PathBuf>,
    /// The private key of that.
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    private_key_file: Option<PathBuf>,
    /// The full name of one gRPC service [default: the process as a whole].
    #[arg(long, value_name = "NAME", default_value = "")]
    service: String,
}

impl Health {
    fn tls(&self) -> anyhow::Result<Option<ClientTls>> {
        let Some(ca_file) = &self.ca_file else {
            return Ok(None);
        };
        let config = ClientTlsConfig {
            ca_file: ca_file.clone(),
            certificate_file: self.certificate_file.clone(),
            private_key_file: self.private_key_file.clone(),
        };
        Ok(Some(ClientTls::load(&config)?))
    }
}

/// Prints what the service says of itself. The exit status is 0 only if it serves.
pub(crate) async fn run(health: &Health) -> anyhow::Result<ExitCode> {
    let address = &health.address;
    let tls = health.tls()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
        .with_context(|| format!("`{address}` is no address such as 127.0.0.1:7402"))?
        .connect_timeout(WITHIN)
        .timeout(WITHIN);
    let channel = match &tls {
        Some(tls) => tls.connect(&endpoint).await,
        None => endpoint.connect().await,
    };
    let channel = channel.with_context(|| format!("nobody answers at {address}"))?;
    let request = HealthCheckRequest {
        service: health.service.clone(),
    };
    let answer = HealthClient::new(channel).check(request).await;
    let status = answer
        .with_context(|| format!("{address} does not say how it is"))?
        .into_inner()
        .status();
    println!("{}", status.as_str_name());
    Ok(if status == ServingStatus::Serving {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
