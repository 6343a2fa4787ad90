//! Noting that a student launched something of a course.

use latchkey_service_kit::database::begin;
use serde_json::json;
use uuid::Uuid;

use crate::app::reached::lock_assignment;
use crate::app::{Call, Error, Services};
use crate::domain::assignment::Assignment;
use crate::domain::audit::{Action, Deed};
use crate::domain::refusal::Refusal;
use crate::store;

/// Notes that something of an assignment was launched: from then on it cannot be cancelled. Again, it changes nothing.
pub async fn record_launch(
    services: &Services,
    call: &Call,
    id: Uuid,
) -> Result<Assignment, Error> {
    let mut transaction = begin(&services.pool).await?;
    let (assignment, now) = lock_assignment(&mut transaction, call, id).await?;
    if !assignment.is_live() {
        return Err(Refusal::AssignmentCancelled { assignment_id: id }.into());
    }
    if assignment.launched_at.is_some() {
        transaction.commit_confirmed().await?;
        return Ok(assignment);
    }
    store::assignments::launch(&mut transaction, id, now).await?;
    let deed = Deed {
        action: Action::LaunchAssignment,
        organization_id: assignment.organization_id,
        resource_id: id,
        student_id: Some(assignment.student_id),
        details: json!({ "opens_id": assignment.assigned.opens_id() }),
    };
    let deeds = [(services.ids.new_id(), deed)];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    Ok(Assignment {
        launched_at: Some(now),
        ..assignment
    })
}
