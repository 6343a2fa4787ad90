//! The enrollment service: organizations, classes and their seats, students, redemption, the roster, and what a
//! student may open until when. It decides.
//!
//! Four rooms, one direction: `rpc` → `app` → {`domain`, `store`}, `store` → `domain`; `clients` makes the calls to
//! the keys service.

pub mod app;
pub mod clients;
mod config;
pub mod domain;
mod private_file;
pub mod rpc;
mod serve;
pub mod store;
pub mod verify;

pub use app::delivery::compare::Comparison;
pub use config::{Config, MailFileError, OwnIdentityConfig, PasswordsConfig, SweeperConfig};
pub use private_file::{PrivateFile, PrivateFileError};
pub use serve::{RepairError, ServeError, assemble, repair, serve};

/// The migrations of this service's schema.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
