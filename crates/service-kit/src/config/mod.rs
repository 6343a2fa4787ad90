//! Configuration: a TOML file, overridden by environment variables, checked whole before anything binds.

mod load;
mod redact;
mod secret;
mod sections;

pub use load::{Check, ConfigError, Problems, from_file, from_sources};
pub use redact::redacted;
pub use secret::{SecretFile, SecretFileError};
pub use sections::{
    ClientConfig, DatabaseConfig, IdentityConfig, LimitsConfig, ListenConfig, LogConfig, LogFormat,
    ShutdownConfig,
};

#[cfg(test)]
mod tests;
