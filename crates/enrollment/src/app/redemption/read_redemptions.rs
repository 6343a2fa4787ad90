//! Reading recorded decisions.

use latchkey_service_kit::access::ResourceScope;
use latchkey_service_kit::paging::{Page, PageRequest};
use uuid::Uuid;

use crate::app::{Call, Error, Services};
use crate::domain::redemption::{Redemption, RedemptionFilter};
use crate::domain::refusal::Refusal;
use crate::store;

/// Where a page of decisions ends.
pub use crate::store::redemptions::listing::Place as RedemptionPlace;

/// One decision, if it exists for the caller.
pub async fn get_redemption(
    services: &Services,
    call: &Call,
    redemption_id: Uuid,
) -> Result<Redemption, Error> {
    let found = store::redemptions::find(&services.pool, redemption_id).await?;
    // Read whatever was found, so that every answer takes the same statements.
    let owner = found
        .as_ref()
        .map_or(Uuid::nil(), |found| found.organization_id);
    let owner = store::organizations::find(&services.pool, owner).await?;
    let within = |ancestors: &[Uuid], found: &Redemption| {
        call.reaches(&ResourceScope {
            organization: found.organization_id,
            ancestors,
            instructors: &[],
            students: found.student_id.as_slice(),
        })
    };
    let found = found
        .zip(owner)
        .filter(|(found, owner)| within(&owner.ancestor_ids, found))
        .ok_or(Refusal::RedemptionNotFound { redemption_id })?;
    Ok(found.0)
}

/// A page of the decisions within reach that pass `filter`, the newest first.
pub async fn list_redemptions(
    services: &Services,
    call: &Call,
    filter: &RedemptionFilter,
    page: &PageRequest<RedemptionPlace>,
) -> Result<Page<Redemption>, Error> {
    let rows = store::redemptions::listing::page(
        &services.pool,
        &call.scope,
        filter,
        page.after,
        page.limit(),
    )
    .await?;
    Ok(Page::new(rows, page, |last| (last.decided_at, last.id)))
}
