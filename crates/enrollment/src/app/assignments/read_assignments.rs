//! Reading assignments.

use latchkey_service_kit::paging::{Page, PageRequest};
use uuid::Uuid;

use crate::app::organizations::read_organizations::get_organization;
use crate::app::students::read_students::get_student;
use crate::app::{Call, Error, Services};
use crate::domain::assignment::{Assigned, Assignment};
use crate::domain::profile::bytes;
use crate::domain::refusal::Refusal;
use crate::store;

pub use crate::store::assignments::listing::{AssignmentFilter, Place as AssignmentPlace};

/// One assignment, if it exists for the caller.
pub async fn get_assignment(
    services: &Services,
    call: &Call,
    id: Uuid,
) -> Result<Assignment, Error> {
    let mut connection = services.pool.acquire().await?;
    let found = store::assignments::find_placed(&mut connection, id)
        .await?
        .filter(|assignment| call.reaches(&assignment.scope()))
        .ok_or(Refusal::AssignmentNotFound { assignment_id: id })?;
    Ok(found.assignment)
}

/// A page of the assignments within reach that pass `filter`, in the order of their places.
///
/// Refused with `StudentNotFound` or `OrganizationNotFound` if what the filter names does not exist for the caller; an organization
/// that is not within reach as a whole does not. Pools and keys are not known here: one that does not exist has no assignments.
pub async fn list_assignments(
    services: &Services,
    call: &Call,
    filter: &AssignmentFilter,
    page: &PageRequest<AssignmentPlace>,
) -> Result<Page<Assignment>, Error> {
    if let Some(organization_id) = filter.organization_id {
        get_organization(services, call, organization_id).await?;
    }
    if let Some(student_id) = filter.student_id {
        get_student(services, call, student_id).await?;
    }
    let mut connection = services.pool.acquire().await?;
    let rows = store::assignments::listing::page(
        &mut connection,
        &call.scope,
        filter,
        page.after.as_ref(),
        page.limit(),
    )
    .await?;
    let bytes = |(one, _): &(Assignment, AssignmentPlace)| match &one.assigned {
        Assigned::Course { .. } => 0,
        Assigned::Subscription { courses, .. } => bytes(courses),
    };
    let found = Page::weighed(rows, page, |(_, place)| place.clone(), bytes);
    Ok(found.map(|(assignment, _)| assignment))
}
