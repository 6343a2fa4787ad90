//! What use cases work with.

use std::sync::Arc;
use std::time::Duration;

use latchkey_service_kit::clock::Clock;
use latchkey_service_kit::ids::Ids;
use sqlx::PgPool;

use super::{Passwords, Wake};
use crate::clients::keys::Keys;
use crate::domain::fingerprint::FingerprintKey;

/// The service's means: one set a process, shared by all calls (`Arc<Services>`).
#[derive(Debug)]
pub struct Services {
    /// The database.
    pub pool: PgPool,
    /// How long the work of one batch may take; see `DatabaseConfig::patience`.
    pub patience: Duration,
    /// How many days answers are kept that enrolled nobody.
    pub answers_kept_days: i32,
    /// The keys service.
    pub keys: Keys,
    /// The time outside transactions; rules are judged by the database's clock.
    pub clock: Arc<dyn Clock>,
    /// New identifiers.
    pub ids: Arc<dyn Ids>,
    /// Hashing.
    pub passwords: Passwords,
    /// The bell for what is owed to the keys service: rung after each commit that changed an enrollment, or a class or
    /// organization whose copy could not be pushed.
    pub wake: Wake,
    /// The key of fingerprints.
    pub fingerprint_key: FingerprintKey,
}
