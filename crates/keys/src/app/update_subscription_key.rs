//! Changing the terms of a subscription key.

use latchkey_service_kit::database::{self, begin};
use uuid::Uuid;

use super::etags::check_etag;
use super::{App, Call, Error, settled};
use crate::domain::audit::{Action, Deed, difference};
use crate::domain::key::TrainingKey;
use crate::domain::refusal::Refusal;
use crate::domain::subscription::{BelowUses, TermsChange, VersionedTerms};
use crate::store::{audit, marks, subscription_keys, training_keys};

/// Changes how many students may use a subscription key, and until when: for redemptions from now on. `etag`, if given, must be
/// of its present version. A change that changes nothing leaves no trace.
///
/// Refused with `KeyNotFound`, `EtagMismatch` or `MaxUsesBelowUses`.
pub async fn update_subscription_key(
    app: &App,
    call: &Call,
    key_id: Uuid,
    change: TermsChange,
    etag: Option<&str>,
) -> Result<TrainingKey, Error> {
    settled(|| attempt(app, call, key_id, change, etag)).await
}

async fn attempt(
    app: &App,
    call: &Call,
    key_id: Uuid,
    change: TermsChange,
    etag: Option<&str>,
) -> Result<TrainingKey, Error> {
    let action = Action::UpdateSubscriptionKey;
    let mut transaction = begin(&app.pool).await?;
    let locked = subscription_keys::lock(&mut transaction, key_id, &call.scope).await?;
    let locked = locked.ok_or(Refusal::KeyNotFound { key_id })?;
    let VersionedTerms { terms, version } = locked.present;
    check_etag(etag, action.resource_type(), key_id, version)?;
    let uses = marks::live(&mut transaction, key_id).await?;
    let changed = change.apply(terms, uses);
    let changed = changed.map_err(|BelowUses { uses, max_uses }| Refusal::MaxUsesBelowUses {
        key_id,
        uses,
        max_uses,
    })?;
    if changed == terms {
        database::confirm(&mut transaction).await?;
    } else {
        let deed = Deed {
            action,
            organization_id: locked.organization_id,
            resource_id: key_id,
            details: difference(&terms.described(), &changed.described()),
        };
        let present = VersionedTerms {
            terms: changed,
            version: version + 1,
        };
        subscription_keys::update(&mut transaction, key_id, present).await?;
        audit::insert(&mut transaction, call.author(), &app.numbered([deed])).await?;
    }
    let key = training_keys::views(&mut transaction, &[key_id], &call.scope).await?;
    transaction.commit().await?;
    let key = key.into_iter().next();
    key.ok_or_else(|| Error::bug("a key whose terms are locked cannot be seen"))
}
