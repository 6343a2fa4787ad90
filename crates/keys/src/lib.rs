//! The keys service: every training key and its codes.

pub mod domain;

pub use domain::keyring::Keyring;

/// The migrations of this service's schema.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
pub mod store;
