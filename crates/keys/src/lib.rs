//! The keys service: every training key and its codes.

pub mod app;
pub mod domain;
pub mod rpc;
pub mod store;

pub use domain::keyring::Keyring;

/// The migrations of this service's schema.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
