//! Moving an enrollment to another class.

use latchkey_service_kit::database::begin;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::under_lock::{self, UnderLock};
use crate::app::etags::check_etag;
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::enrollment::{Enrollment, Status};
use crate::domain::refusal::Refusal;
use crate::domain::transitions;
use crate::store;
use crate::store::classes::PlacedClass;

/// A wish to move an enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move<'r> {
    /// The enrollment.
    pub enrollment_id: Uuid,
    /// The class it is to be of.
    pub class_id: Uuid,
    /// Why, for the audit trail.
    pub reason: &'r str,
    /// If given, of the enrollment's present version.
    pub etag: Option<&'r str>,
}

/// Moves a live enrollment to another class of its organization, in the status in which it stands: frees the seat there and
/// takes one here, in one transaction under both classes' locks. Its key is given up for good. In that class already, nothing
/// changes, whatever the `etag`.
pub async fn move_enrollment(
    services: &Services,
    call: &Call,
    wish: Move<'_>,
) -> Result<Enrollment, Error> {
    let mut transaction = begin(&services.pool).await?;
    let locked =
        under_lock::lock_with(&mut transaction, call, wish.enrollment_id, wish.class_id).await?;
    let enrollment = &locked.found.enrollment;
    if enrollment.class_id == wish.class_id {
        transaction.commit_confirmed().await?;
        return Ok(locked.found.enrollment);
    }
    let id = enrollment.id;
    check_etag(wish.etag, "enrollment", id, enrollment.version)?;
    let target = store::classes::find_placed(&mut *transaction, wish.class_id, None)
        .await?
        .filter(|class| call.reaches(&class.scope()))
        .ok_or(Refusal::ClassNotFound {
            class_id: wish.class_id,
        })?;
    judge(&mut transaction, call, &locked, &target).await?;
    let moved = enrollment.in_class(target.class.id);
    write(&mut transaction, &locked, &moved).await?;
    let lifted =
        store::enrollments::write::lift_blocks(&mut transaction, moved.class_id, moved.student_id)
            .await?;
    let lifted = lifted.into_iter().map(|id| under_lock::lift(&moved, id));
    let deeds = std::iter::once(deed(enrollment, &moved, wish.reason)).chain(lifted);
    let deeds = services.numbered(deeds);
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    services.wake.ring();
    Ok(moved)
}

/// It leaves the one class by the rules of a cancellation, and comes into the other by those of a direct enrollment. Both are
/// of one organization: it is billed for the student, whatever the class.
async fn judge(
    connection: &mut PgConnection,
    call: &Call,
    locked: &UnderLock,
    target: &PlacedClass,
) -> Result<(), Error> {
    let enrollment = &locked.found.enrollment;
    let (class, now) = (&locked.class.class, locked.class.now);
    let actor = locked.actor(call);
    transitions::judge(class, enrollment, Status::Cancelled, actor, now)?;
    if target.class.organization_id != enrollment.organization_id {
        return Err(Refusal::OrganizationMismatch.into());
    }
    let (class_id, student_id) = (target.class.id, enrollment.student_id);
    let live = store::enrollments::find_live(&mut *connection, class_id, student_id).await?;
    if live.is_some() {
        return Err(Refusal::StudentAlreadyIn {
            class_id,
            student_id,
        }
        .into());
    }
    let of = (&target.class, now);
    Ok(under_lock::judge_student(connection, of, enrollment, enrollment.status).await??)
}

async fn write(
    connection: &mut PgConnection,
    locked: &UnderLock,
    moved: &Enrollment,
) -> Result<(), Error> {
    if !store::enrollments::write::move_to_class(connection, moved, locked.class.now).await? {
        return Err(Error::Conflict);
    }
    if moved.status.takes_seat() {
        store::classes::change_seats(connection, locked.class.class.id, -1).await?;
        store::classes::change_seats(connection, moved.class_id, 1).await?;
    }
    Ok(())
}

fn deed(was: &Enrollment, moved: &Enrollment, reason: &str) -> Deed {
    Deed {
        action: Action::MoveEnrollment,
        organization_id: moved.organization_id,
        resource_id: moved.id,
        student_id: Some(moved.student_id),
        details: json!({
            "from_class_id": was.class_id,
            "class_id": moved.class_id,
            "key_id": was.origin.key_id(),
            "reason": reason,
        }),
    }
}
