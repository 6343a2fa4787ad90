//! Changing a subscription profile.

use latchkey_service_kit::database::begin;
use uuid::Uuid;

use super::create_profile::{check, check_organizations};
use crate::app::delivery::push;
use crate::app::etags::check_etag;
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::profile::{Profile, ProfileChange, difference};
use crate::domain::refusal::Refusal;
use crate::store;

/// Changes a profile. `etag`, if given, must be of its present version. A change that changes nothing leaves no trace.
///
/// Changed courses are open at once to all who have them by it: assignments name the profile. Their expiry was decided when they
/// were made.
///
/// Refused with `SubscriptionProfileNotFound`, `OrganizationNotFound` or `EtagMismatch`, and when the settings break rules then.
pub async fn update_profile(
    services: &Services,
    call: &Call,
    id: Uuid,
    change: &ProfileChange,
    etag: Option<&str>,
) -> Result<Profile, Error> {
    let missing = Refusal::SubscriptionProfileNotFound { profile_id: id };
    let mut transaction = begin(&services.pool).await?;
    let scope = &call.scope;
    if !store::profiles::lock_within(&mut transaction, id, scope).await? {
        return Err(missing.into());
    }
    let found = store::profiles::find(&mut *transaction, scope, id)
        .await?
        .ok_or(missing)?;
    check_etag(etag, "subscription_profile", id, found.version)?;
    let settings = change.apply(&found.settings);
    check(&settings)?;
    check_organizations(
        &mut transaction,
        found.organization_id,
        &settings.available_to,
    )
    .await?;
    if settings == found.settings {
        transaction.commit_confirmed().await?;
        return Ok(found);
    }
    let changed = Profile {
        version: found.version + 1,
        settings,
        ..found.clone()
    };
    store::profiles::update(&mut transaction, &changed).await?;
    let deed = Deed {
        action: Action::UpdateProfile,
        organization_id: found.organization_id,
        resource_id: id,
        student_id: None,
        details: difference(&found.settings, &changed.settings),
    };
    store::audit::insert(&mut transaction, call.author(), &services.numbered([deed])).await?;
    transaction.commit().await?;
    push::profile(services, &changed).await;
    Ok(changed)
}
