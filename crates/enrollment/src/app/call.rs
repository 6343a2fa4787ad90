//! One call, as use cases see it.

use std::sync::Arc;

use latchkey_service_kit::access::{ResourceScope, Scope};
use latchkey_service_kit::identity::Caller;
use tokio::time::Instant;

use crate::clients::keys::Asker;
use crate::store::audit::Author;

/// Who calls, how far they reach, and what audit rows keep of the call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who calls.
    pub caller: Arc<Caller>,
    /// How far the caller reaches with this method. What lies beyond does not exist.
    pub scope: Scope,
    /// The address the call came from; empty when unknown.
    pub peer: String,
    /// The name of the call.
    pub request_id: String,
    /// When the answer must be there.
    pub deadline: Instant,
}

impl Call {
    /// By whom and from where, for audit rows.
    pub fn author(&self) -> Author<'_> {
        Author {
            caller: &self.caller,
            peer: &self.peer,
            request_id: &self.request_id,
        }
    }

    /// For whom keys is asked.
    pub fn asker(&self) -> Asker<'_> {
        Asker {
            caller: &self.caller,
            peer: &self.peer,
        }
    }

    /// Whether `resource` exists for the caller.
    pub fn reaches(&self, resource: &ResourceScope<'_>) -> bool {
        self.scope.covers(resource)
    }
}
