//! The keys service: every training key and its codes.

pub mod app;
mod config;
pub mod domain;
mod keyring_file;
pub mod rpc;
mod serve;
pub mod store;
pub mod verify;

pub use config::Config;
pub use domain::keyring::{KeyVersion, Keyring, Purpose};
pub use keyring_file::{KeyringFile, KeyringFileError};
pub use serve::{ServeError, assemble, serve};

/// The migrations of this service's schema.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
