//! Configuration: a TOML file, overridden by environment variables, checked whole before anything binds.

mod load;
mod observation;
pub mod private;
mod redact;
mod secret;
mod sections;

pub use load::{Check, ConfigError, Problems, from_file, from_sources};
pub use observation::{LogConfig, LogFormat, MetricsConfig, TracesConfig};
pub use redact::redacted;
pub use secret::{SecretFile, SecretFileError};
pub use sections::{
    ClientConfig, DatabaseConfig, IdentityConfig, LimitsConfig, ListenConfig, ShutdownConfig,
};

#[cfg(test)]
mod tests;
