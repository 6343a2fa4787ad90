//! The way to a service: of a development stack as `dev.json` describes it, or of a deployment.

use std::time::Duration;

use anyhow::{Context, bail};
use latchkey_service_kit::config::{ClientTlsConfig, is_confidential};
use latchkey_service_kit::tls::ClientTls;
use tonic::transport::{Channel, Endpoint};

/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How often a service that is silent is asked whether it is there, and how long it may take to say so.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Where a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its address, for example `https://127.0.0.1:7401`.
    pub url: String,
    /// Whom to believe at an address with `https`.
    pub tls: Option<ClientTlsConfig>,
}

/// Connects to the service at `place`.
///
/// # Errors
/// When nobody answers there who can be believed, or the way is in the open and leads further than this machine: tokens and
/// codes go by it.
pub async fn connect(place: &Place) -> anyhow::Result<Channel> {
    let url = &place.url;
    let endpoint = Endpoint::from_shared(url.clone())
        .with_context(|| format!("`{url}` is no address such as https://127.0.0.1:7401"))?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_WITHIN)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .tcp_nodelay(true);
    let connected = match (endpoint.uri().scheme_str(), &place.tls) {
        (Some("https"), Some(tls)) => ClientTls::load(tls)?.connect(&endpoint).await,
        (Some("https"), None) => bail!("whom to believe at {url}? Give --ca-file"),
        _ if is_confidential(url) => endpoint.connect().await,
        _ => bail!("{url} is not on this machine: codes do not travel there in the open"),
    };
    connected.with_context(|| format!("nobody answers at {url} who can be believed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn codes_do_not_leave_the_machine_in_the_open() {
        for url in [
            "http://192.0.2.1:7401",
            "http://keys.example.com",
            "http://127.0.0.1.example.com:7401",
        ] {
            let place = Place {
                url: url.to_owned(),
                tls: None,
            };
            let error = connect(&place).await.expect_err(url).to_string();
            assert!(error.contains("not on this machine"), "{error}");
        }
        let nobody = Place {
            url: "https://127.0.0.1:7401".to_owned(),
            tls: None,
        };
        let error = connect(&nobody).await.expect_err("nobody").to_string();
        assert!(error.contains("--ca-file"), "{error}");
        for url in [
            "http://127.0.0.1:7401",
            "http://[::1]:7401",
            "http://localhost:7401",
        ] {
            assert!(is_confidential(url), "{url}");
        }
    }
}
