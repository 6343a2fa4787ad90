//! Sections about what the service shows of itself.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::transport::is_loopback;
use super::{Check, Problems};

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// What is logged, to standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// How it looks.
    pub format: LogFormat,
    /// What is kept, as `tracing`'s filter directives, for example `info,latchkey_keys=debug`.
    pub filter: String,
}

/// Where metrics can be scraped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetricsConfig {
    /// Address and port of the HTTP listener whose `/metrics` answers Prometheus. It asks for no token: it is for the
    /// network of the operators. Nothing listens without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TracesConfig {
    /// The collector that gets them by OTLP over gRPC without TLS: one on this machine or in this pod, at a loopback address,
    /// for example `http://127.0.0.1:4317`, which brings them further. Nothing is traced without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    /// Which part of the traces that begin here is kept: 0 to 1. In a caller's trace the caller decides.
    pub sample_ratio: f64,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            sample_ratio: 1.0,
        }
    }
}

impl Check for TracesConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        let is_good = |url: &String| {
            let uri = url.parse::<http::Uri>();
            let plain = uri.is_ok_and(|uri| uri.scheme_str() == Some("http"));
            plain && is_loopback(url)
        };
        problems.check(
            &format!("{path}otlp_endpoint"),
            self.otlp_endpoint.as_ref().is_none_or(is_good),
            "must be a URL such as http://127.0.0.1:4317, at a loopback address: whoever can listen on the way reads who calls what",
        );
        problems.check(
            &format!("{path}sample_ratio"),
            (0.0..=1.0).contains(&self.sample_ratio),
            "must be 0 to 1",
        );
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}

impl Check for LogConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&self.filter) {
            problems.add(&format!("{path}filter"), error);
        }
    }
}
