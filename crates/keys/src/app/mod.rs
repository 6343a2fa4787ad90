//! Use cases, one file each: load, decide, store.

mod admission;
mod attempts;
mod draw_keys;
mod error;
mod etags;
mod held_keyring;
mod once;
mod planted;

pub mod add_own_keys;
pub mod count_keys;
pub mod create_pool;
pub mod export_keys;
pub mod generate_keys;
pub mod get_event_key;
pub mod get_key;
pub mod guesses;
pub mod keep_refusals;
pub mod keyring_status;
pub mod keyring_work;
pub mod list_audit_events;
pub mod list_keys;
pub mod list_marks;
pub mod look_up_key;
pub mod make_key_current;
pub mod put_grants;
pub mod put_organizations;
pub mod read_pools;
pub mod record_uses;
pub mod resolve_codes;
pub mod retire_grants;
pub mod reveal_code;
pub mod reveal_event_key;
pub mod reveal_keys;
pub mod revoke_keys;
pub mod rotate_codes;
pub mod set_event_key;
pub mod take_key_out_of_use;
pub mod update_pool;
pub mod update_subscription_key;
pub mod watch_keyring;

use std::sync::Arc;

use latchkey_service_kit::access::Scope;
use latchkey_service_kit::attempts::Limits;
use latchkey_service_kit::database::Standing;
use latchkey_service_kit::ids::Ids;
use sqlx::PgPool;
use uuid::Uuid;

use crate::domain::audit::{Actor, Deed};
use crate::store::audit::Author;

pub(crate) use attempts::settled;
pub use error::{Error, FieldProblem, Source};
pub use held_keyring::HeldKeyring;
pub(crate) use once::Once;

/// What use cases work with. Clones share all of it.
#[derive(Debug, Clone)]
pub struct App {
    /// The database.
    pub pool: PgPool,
    /// Its connections for what comes batch after batch.
    pub standing: Standing,
    /// The keys that protect codes and recognise repeated requests.
    pub keyring: Arc<HeldKeyring>,
    /// Where ids of new rows come from.
    pub ids: Arc<dyn Ids>,
    /// Who has guessed wrong too often.
    pub guesses: Arc<Limits>,
}

impl App {
    /// Each deed with the id of its audit row.
    pub(crate) fn numbered(&self, deeds: impl IntoIterator<Item = Deed>) -> Vec<(Uuid, Deed)> {
        deeds
            .into_iter()
            .map(|deed| (self.ids.new_id(), deed))
            .collect()
    }
}

/// The call that a use case serves.
#[derive(Debug, Clone)]
pub struct Call {
    /// For whom: who stands in the audit trail.
    pub actor: Actor,
    /// How far the caller reaches with the method.
    pub scope: Scope,
    /// From where.
    pub peer: String,
    /// The id of the call, as in the logs.
    pub request_id: String,
}

impl Call {
    /// What audit rows say of the call.
    pub(crate) fn author(&self) -> Author<'_> {
        Author {
            actor: &self.actor,
            peer: &self.peer,
            request_id: &self.request_id,
        }
    }
}
