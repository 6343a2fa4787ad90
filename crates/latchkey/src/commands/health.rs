//! `latchkey health`: whether a service says that it serves, for whoever watches over its process.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
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
    /// The full name of one gRPC service [default: the process as a whole].
    #[arg(long, value_name = "NAME", default_value = "")]
    service: String,
}

/// Prints what the service says of itself. The exit status is 0 only if it serves.
pub(crate) async fn run(health: &Health) -> anyhow::Result<ExitCode> {
    let address = &health.address;
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .with_context(|| format!("`{address}` is no address such as 127.0.0.1:7402"))?
        .connect_timeout(WITHIN)
        .timeout(WITHIN);
    let channel = endpoint
        .connect()
        .await
        .with_context(|| format!("nobody answers at {address}"))?;
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
