//! Reading subscription profiles.

use latchkey_service_kit::paging::{Page, PageRequest};
use uuid::Uuid;

use crate::app::{Call, Error, Services};
use crate::domain::profile::{Profile, bytes};
use crate::domain::refusal::Refusal;
use crate::store;

/// One profile, if it exists for the caller.
pub async fn get_profile(services: &Services, call: &Call, id: Uuid) -> Result<Profile, Error> {
    let found = store::profiles::find(&services.pool, &call.scope, id)
        .await?
        .ok_or(Refusal::SubscriptionProfileNotFound { profile_id: id })?;
    Ok(found)
}

/// A page of the profiles within reach, the newest first; with `organization`, only its own.
pub async fn list_profiles(
    services: &Services,
    call: &Call,
    organization: Option<Uuid>,
    page: &PageRequest<Uuid>,
) -> Result<Page<Profile>, Error> {
    let rows = store::profiles::page(
        &services.pool,
        &call.scope,
        organization,
        page.after,
        page.limit(),
    )
    .await?;
    let bytes = |one: &Profile| bytes(&one.settings.courses);
    Ok(Page::weighed(rows, page, |last| last.id, bytes))
}
