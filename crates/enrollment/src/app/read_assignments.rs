//! Reading assignments.

use latchkey_service_kit::paging::{Page, PageRequest};
use uuid::Uuid;

use super::read_students::placed_student;
use super::{Call, Error, Services};
use crate::domain::assignment::Assignment;
use crate::domain::refusal::Refusal;
use crate::store;

pub use crate::store::assignments::listing::{Place as AssignmentPlace, Whose};

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

/// A page of the assignments of a pool, subscription profile or student that are within reach, the newest first. `query` binds its token.
///
/// Pools are not known here: one that does not exist has no assignments.
pub async fn list_assignments(
    services: &Services,
    call: &Call,
    whose: Whose,
    page: &PageRequest<AssignmentPlace>,
    query: &[&str],
) -> Result<Page<Assignment>, Error> {
    if let Some(student_id) = whose.student_id {
        placed_student(services, call, student_id).await?;
    }
    let rows = store::assignments::listing::page(
        &services.pool,
        &call.scope,
        whose,
        page.after,
        page.limit(),
    )
    .await?;
    Ok(Page::new(rows, page, query, |last| {
        (last.assigned_at, last.id)
    }))
}
