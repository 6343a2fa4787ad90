//! Configuration: a TOML file, overridden by environment variables, checked whole before anything binds.

mod identity;
mod load;
mod observation;
pub mod private;
mod redact;
mod secret;
mod sections;
mod streams;
mod transport;

pub use identity::IdentityConfig;
pub use load::{Check, ConfigError, Problems, from_file, from_sources};
pub use observation::{LogConfig, LogFormat, MetricsConfig, TracesConfig};
pub use redact::redacted;
pub use secret::{SecretFile, SecretFileError};
pub use sections::{DatabaseConfig, LimitsConfig, ShutdownConfig};
pub use streams::StreamConfig;
pub(crate) use transport::is_loopback_host;
pub use transport::{
    ClientCertificates, ClientConfig, ClientTlsConfig, ListenConfig, ServerTlsConfig,
    is_confidential,
};

#[cfg(test)]
mod tests;
