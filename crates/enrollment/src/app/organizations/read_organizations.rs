//! Reading organizations.

use latchkey_service_kit::paging::{Page, PageRequest};
use uuid::Uuid;

use crate::app::{Call, Error, Services};
use crate::domain::organization::Organization;
use crate::domain::refusal::Refusal;
use crate::store;

/// One organization, if it exists for the caller as a whole.
pub async fn get_organization(
    services: &Services,
    call: &Call,
    id: Uuid,
) -> Result<Organization, Error> {
    let missing = Refusal::OrganizationNotFound {
        organization_id: id,
    };
    let found = store::organizations::find(&services.pool, id)
        .await?
        .filter(|one| call.scope.covers_organization(one.id, &one.ancestor_ids))
        .ok_or(missing)?;
    Ok(found)
}

/// A page of the organizations within reach, by id; with `parent`, those right below it.
pub async fn list_organizations(
    services: &Services,
    call: &Call,
    parent: Option<Uuid>,
    page: &PageRequest<Uuid>,
) -> Result<Page<Organization>, Error> {
    let rows = store::organizations::page(
        &services.pool,
        &call.scope,
        parent,
        page.after,
        page.limit(),
    )
    .await?;
    Ok(Page::new(rows, page, |last| last.id))
}
