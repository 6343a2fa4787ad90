//! Cancelling an enrollment.

use latchkey_service_kit::database::begin;
use latchkey_service_kit::faults::planted;
use latchkey_service_kit::identity::Role;
use serde_json::json;
use uuid::Uuid;

use super::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::cancellation::{self, Canceller};
use crate::domain::enrollment::{CancelledBy, Enrollment, Origin, Status};
use crate::domain::refusal::Refusal;
use crate::store;
use crate::store::enrollments::PlacedEnrollment;

/// Cancels an enrollment: frees its seat, and its key for another student of the class. Cancelling again changes nothing.
pub async fn cancel_enrollment(
    services: &Services,
    call: &Call,
    id: Uuid,
    reason: &str,
) -> Result<Enrollment, Error> {
    let missing = Refusal::EnrollmentNotFound { enrollment_id: id };
    let mut transaction = begin(&services.pool).await?;
    let seen = store::enrollments::find_placed(&mut transaction, id)
        .await?
        .filter(|enrollment| call.reaches(&enrollment.scope()))
        .ok_or(missing)?;
    let class_id = seen.enrollment.class_id;
    store::classes::lock(&mut transaction, class_id).await?;
    let class = store::classes::find_placed(&mut *transaction, class_id, None)
        .await?
        .ok_or(Refusal::ClassNotFound { class_id })?;
    // Under the lock, the row as it is now, which must still be of that class.
    let found = store::enrollments::find_placed(&mut transaction, id)
        .await?
        .filter(|found| found.enrollment.class_id == class_id)
        .ok_or(Error::Conflict)?;
    if !found.enrollment.is_live() {
        // The answer rests on an earlier commit: it leaves once that is as safe as a commit of this call's own.
        store::requests::confirm(&mut transaction).await?;
        transaction.commit().await?;
        return Ok(found.enrollment);
    }
    let canceller = canceller(call, &found);
    cancellation::judge(&class.class, canceller, class.now)?;
    let by = canceller.cancelled_by();
    if !store::enrollments::cancel(&mut transaction, id, by, class.now).await? {
        return Err(Error::Conflict);
    }
    if !planted("bug::seat_kept") {
        store::classes::change_seats(&mut transaction, class_id, -1).await?;
    }
    let deeds = [(services.ids.new_id(), deed(&found.enrollment, by, reason))];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    services.wake.ring();
    let at = class.now;
    Ok(Enrollment {
        status: Status::Cancelled { at, by },
        ..found.enrollment
    })
}

/// As what the caller cancels it. A student who is staff too and cancels their own leaves by themselves, unless only an
/// operations manager still may.
fn canceller(call: &Call, found: &PlacedEnrollment) -> Canceller {
    let staff = call
        .scope
        .covers_organization(found.enrollment.organization_id, &found.ancestors);
    if staff && call.caller.has(Role::OperationsManager) {
        Canceller::OperationsManager
    } else if call.scope.student == Some(found.enrollment.student_id) {
        Canceller::Student
    } else {
        Canceller::Administrator
    }
}

fn deed(enrollment: &Enrollment, by: CancelledBy, reason: &str) -> Deed {
    let key_id = match enrollment.origin {
        Origin::Direct => None,
        Origin::Key { key_id, .. } => Some(key_id),
    };
    Deed {
        action: Action::CancelEnrollment,
        organization_id: enrollment.organization_id,
        resource_id: enrollment.id,
        student_id: Some(enrollment.student_id),
        details: json!({
            "class_id": enrollment.class_id,
            "cancelled_by": by.as_str(),
            "key_id": key_id,
            "reason": reason,
        }),
    }
}
