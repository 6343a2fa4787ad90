//! Cancelling an enrollment.

use latchkey_service_kit::database::begin;
use serde_json::json;
use uuid::Uuid;

use super::{Call, Error, Services, under_lock};
use crate::domain::audit::{Action, Deed};
use crate::domain::enrollment::{Enrollment, Status};
use crate::domain::transitions;
use crate::store;

/// Cancels an enrollment: frees its seat, and its key for another student of the class. One that has ended is left as it
/// is.
pub async fn cancel_enrollment(
    services: &Services,
    call: &Call,
    id: Uuid,
    reason: &str,
) -> Result<Enrollment, Error> {
    let mut transaction = begin(&services.pool).await?;
    let locked = under_lock::lock(&mut transaction, call, id).await?;
    let enrollment = &locked.found.enrollment;
    if !enrollment.is_live() {
        // The answer rests on an earlier commit: it leaves once that is as safe as a commit of this call's own.
        store::requests::confirm(&mut transaction).await?;
        transaction.commit().await?;
        return Ok(locked.found.enrollment);
    }
    let (class, now) = (&locked.class.class, locked.class.now);
    let actor = locked.actor(call);
    transitions::judge(class, enrollment, Status::Cancelled, actor, now)?;
    let cancelled = locked.changed(Status::Cancelled, Some(actor.cancelled_by()));
    locked.write(&mut transaction, &cancelled).await?;
    let deeds = [(services.ids.new_id(), deed(&cancelled, reason))];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    services.wake.ring();
    Ok(cancelled)
}

fn deed(cancelled: &Enrollment, reason: &str) -> Deed {
    Deed {
        action: Action::CancelEnrollment,
        organization_id: cancelled.organization_id,
        resource_id: cancelled.id,
        student_id: Some(cancelled.student_id),
        details: json!({
            "class_id": cancelled.class_id,
            "cancelled_by": cancelled.cancelled_by,
            "key_id": cancelled.origin.key_id(),
            "reason": reason,
        }),
    }
}
