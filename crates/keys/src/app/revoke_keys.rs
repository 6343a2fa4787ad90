//! Revoking keys.

use std::collections::{HashMap, HashSet};

use latchkey_service_kit::database::{self, begin};
use serde_json::json;
use uuid::Uuid;

use super::{App, Call, Error, settled};
use crate::domain::audit::{Action, Deed};
use crate::domain::key::TrainingKey;
use crate::domain::refusal::Refusal;
use crate::store::{audit, training_keys};

/// Revokes these keys, of which none may be an event key, and returns them as they are then, in this order. All or nothing; a
/// key that is revoked already stays as it is.
///
/// Refused with `KeyNotFound`, which names the first id that is not there.
pub async fn revoke_keys(
    app: &App,
    call: &Call,
    key_ids: &[Uuid],
    reason: &str,
) -> Result<Vec<TrainingKey>, Error> {
    settled(|| attempt(app, call, key_ids, reason)).await
}

async fn attempt(
    app: &App,
    call: &Call,
    key_ids: &[Uuid],
    reason: &str,
) -> Result<Vec<TrainingKey>, Error> {
    let mut transaction = begin(&app.pool).await?;
    let locked = training_keys::lock(&mut transaction, key_ids, &call.scope).await?;
    let locked: HashSet<Uuid> = locked.into_iter().collect();
    if let Some(key_id) = key_ids.iter().find(|key_id| !locked.contains(key_id)) {
        return Err(Refusal::KeyNotFound { key_id: *key_id }.into());
    }
    let by = &call.actor.subject;
    let revoked = training_keys::revoke(&mut transaction, key_ids, by, reason).await?;
    if revoked.is_empty() {
        database::confirm(&mut transaction).await?;
    }
    let deeds = revoked.iter().map(|key| Deed {
        action: Action::Revoke,
        organization_id: key.organization_id,
        resource_id: key.key_id,
        details: json!({ (key.kind.opens().id_field()): key.grant_id, "reason": reason }),
    });
    audit::insert(&mut transaction, call.author(), &app.numbered(deeds)).await?;
    let views = training_keys::views(&mut transaction, key_ids, &call.scope).await?;
    transaction.commit().await?;
    in_order(key_ids, views)
}

/// `keys` in the order of `key_ids`, in which an id may stand twice.
fn in_order(key_ids: &[Uuid], keys: Vec<TrainingKey>) -> Result<Vec<TrainingKey>, Error> {
    let keys: HashMap<Uuid, TrainingKey> = keys.into_iter().map(|key| (key.key_id, key)).collect();
    key_ids
        .iter()
        .map(|key_id| keys.get(key_id).cloned())
        .collect::<Option<_>>()
        .ok_or_else(|| Error::bug("a key that is locked cannot be seen"))
}
