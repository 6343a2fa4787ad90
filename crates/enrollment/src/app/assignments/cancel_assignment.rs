//! Cancelling an assignment.

use latchkey_service_kit::database::begin;
use serde_json::json;
use uuid::Uuid;

use crate::app::reached::lock_assignment;
use crate::app::{Call, Error, Services};
use crate::domain::assignment::{Assignment, EndedBy, Status};
use crate::domain::audit::{Action, Deed};
use crate::store;

/// Cancels an assignment, and frees its key for another student: for 24 hours, as long as nothing was launched. Cancelling
/// again changes nothing.
pub async fn cancel_assignment(
    services: &Services,
    call: &Call,
    id: Uuid,
    reason: &str,
) -> Result<Assignment, Error> {
    let mut transaction = begin(&services.pool).await?;
    let (assignment, now) = lock_assignment(&mut transaction, call, id).await?;
    if !assignment.is_live() {
        transaction.commit_confirmed().await?;
        return Ok(assignment);
    }
    assignment.judge_cancellation(now)?;
    let by = if call.scope.student == Some(assignment.student_id) {
        EndedBy::Student
    } else {
        EndedBy::Staff
    };
    store::assignments::cancel(&mut transaction, id, by, now).await?;
    let deeds = [(services.ids.new_id(), deed(&assignment, by, reason))];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    services.wake.ring();
    Ok(Assignment {
        status: Status::Cancelled { at: now, by },
        ..assignment
    })
}

fn deed(assignment: &Assignment, by: EndedBy, reason: &str) -> Deed {
    Deed {
        action: Action::CancelAssignment,
        organization_id: assignment.organization_id,
        resource_id: assignment.id,
        student_id: Some(assignment.student_id),
        details: json!({
            "opens_id": assignment.assigned.opens_id(),
            "cancelled_by": by.as_str(),
            "key_id": assignment.key_id,
            "reason": reason,
        }),
    }
}
