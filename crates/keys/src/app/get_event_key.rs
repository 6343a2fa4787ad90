//! Showing the event key of a class.

use uuid::Uuid;

use super::{App, Call, Error};
use crate::domain::event_key::EventKey;
use crate::domain::refusal::Refusal;
use crate::store::event_keys;

/// The event key of a class, its code masked; a class that never had one has one that is off. Refused with
/// `ClassNotFound`.
pub async fn get_event_key(app: &App, call: &Call, class_id: Uuid) -> Result<EventKey, Error> {
    event_keys::find(&app.pool, class_id, &call.scope)
        .await?
        .ok_or_else(|| Refusal::ClassNotFound { class_id }.into())
}
