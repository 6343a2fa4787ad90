//! Sections about what the service shows of itself.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

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
