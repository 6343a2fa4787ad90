//! The enrollment service: organizations, classes and their seats, students, redemption, the roster, and what a
//! student may open until when. It decides.
//!
//! Four rooms, one direction: `rpc` → `app` → {`domain`, `store`}, `store` → `domain`; `clients` makes the calls to
//! the keys service.

pub mod app;
pub mod clients;
pub mod domain;
pub mod rpc;
pub mod store;
pub mod verify;

/// The migrations of this service's schema.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
