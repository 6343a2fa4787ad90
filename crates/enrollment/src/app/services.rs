//! What use cases work with.

use std::sync::Arc;
use std::time::Duration;

use latchkey_service_kit::attempts::Limits;
use latchkey_service_kit::clock::Clock;
use latchkey_service_kit::database::Standing;
use latchkey_service_kit::identity::Caller;
use latchkey_service_kit::ids::Ids;
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{Passwords, Wake};
use crate::clients::keys::Keys;
use crate::domain::audit::Deed;
use crate::domain::fingerprint::FingerprintKey;

/// How often the sweeper does what. Each time is random, on the average this, so that replicas do not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Looks whether something is owed: what is, is usually delivered at once, and this is the net under a replica that
    /// died in between.
    pub look: Duration,
    /// Sweeps everything.
    pub sweep: Duration,
    /// Compares both services as a whole, in one replica: the least time between the end of one and the next.
    pub comparison: Duration,
    /// Tells other replicas of wrong guesses.
    pub exchange: Duration,
}

/// The service's means: one set a process, shared by all calls (`Arc<Services>`).
#[derive(Debug)]
pub struct Services {
    /// The database.
    pub pool: PgPool,
    /// Its connections for what comes batch after batch.
    pub standing: Standing,
    /// How long the work of one batch may take; see `DatabaseConfig::patience`.
    pub patience: Duration,
    /// How many days answers are kept that enrolled nobody.
    pub answers_kept_days: i32,
    /// How often it sees to what is owed.
    pub pace: Pace,
    /// The keys service.
    pub keys: Keys,
    /// The time outside transactions; rules are judged by the database's clock.
    pub clock: Arc<dyn Clock>,
    /// As whom the service acts on its own account.
    pub itself: Caller,
    /// New identifiers.
    pub ids: Arc<dyn Ids>,
    /// Hashing.
    pub passwords: Passwords,
    /// The bell for what is owed to the keys service: rung after each commit that changed an enrollment, or a class or
    /// organization whose copy could not be pushed.
    pub wake: Wake,
    /// Where students sign in and type their keys, if that is known.
    pub login_page: Option<String>,
    /// Who has guessed wrong too often.
    pub guesses: Limits,
    /// The key of fingerprints.
    pub fingerprint_key: FingerprintKey,
}

impl Services {
    /// Each deed with the id of its audit row.
    pub(crate) fn numbered(&self, deeds: impl IntoIterator<Item = Deed>) -> Vec<(Uuid, Deed)> {
        deeds
            .into_iter()
            .map(|deed| (self.ids.new_id(), deed))
            .collect()
    }
}
