//! Showing one key.

use uuid::Uuid;

use super::{App, Call, Error};
use crate::domain::key::TrainingKey;
use crate::domain::refusal::Refusal;
use crate::store::training_keys;

/// One key, its code masked. Refused with `KeyNotFound`.
pub async fn get_key(app: &App, call: &Call, key_id: Uuid) -> Result<TrainingKey, Error> {
    training_keys::find(&app.pool, key_id, &call.scope)
        .await?
        .ok_or_else(|| Refusal::KeyNotFound { key_id }.into())
}
