//! Changing the status of an enrollment, other than by a cancellation.

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

/// A wish to change the status of an enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusChange<'r> {
    /// The enrollment.
    pub enrollment_id: Uuid,
    /// Its new status; not cancelled.
    pub to: Status,
    /// Why, for the audit trail.
    pub reason: &'r str,
    /// If given, of the enrollment's present version.
    pub etag: Option<&'r str>,
}

/// Brings an enrollment into another status, takes or frees its seat, and lifts the blocks of a student who is let in
/// again. In that status already, nothing changes, whatever the `etag`.
pub async fn change_status(
    services: &Services,
    call: &Call,
    wish: StatusChange<'_>,
) -> Result<Enrollment, Error> {
    let mut transaction = begin(&services.pool).await?;
    let locked = under_lock::lock(&mut transaction, call, wish.enrollment_id).await?;
    let enrollment = &locked.found.enrollment;
    if enrollment.status == wish.to {
        transaction.commit_confirmed().await?;
        return Ok(locked.found.enrollment);
    }
    let id = enrollment.id;
    check_etag(wish.etag, "enrollment", id, enrollment.version)?;
    judge(&mut transaction, call, &locked, wish.to).await?;
    let (class, now) = (&locked.class.class, locked.class.now);
    let changed = enrollment.in_status(wish.to, None, now);
    under_lock::write(&mut transaction, class, enrollment, &changed).await?;
    let mut deeds = vec![deed(enrollment, &changed, wish.reason)];
    if changed.is_live() {
        let (class, student) = (changed.class_id, changed.student_id);
        let lifted =
            store::enrollments::write::lift_blocks(&mut transaction, class, student).await?;
        deeds.extend(lifted.into_iter().map(|id| under_lock::lift(&changed, id)));
    }
    let deeds = services.numbered(deeds);
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    services.wake.ring();
    Ok(changed)
}

/// By the table; and who is to be in the class, like anybody whom staff let in.
async fn judge(
    connection: &mut PgConnection,
    call: &Call,
    locked: &UnderLock,
    to: Status,
) -> Result<(), Error> {
    let enrollment = &locked.found.enrollment;
    let (class, now) = (&locked.class.class, locked.class.now);
    transitions::judge(class, enrollment, to, locked.actor(call), now)?;
    if !to.is_live() {
        return Ok(());
    }
    let student_id = enrollment.student_id;
    if !enrollment.is_live()
        && store::enrollments::find_live(&mut *connection, class.id, student_id)
            .await?
            .is_some()
    {
        let class_id = class.id;
        return Err(Refusal::StudentAlreadyIn {
            class_id,
            student_id,
        }
        .into());
    }
    Ok(under_lock::judge_student(connection, (class, now), enrollment, to).await??)
}

fn deed(was: &Enrollment, changed: &Enrollment, reason: &str) -> Deed {
    Deed {
        action: Action::ChangeStatus,
        organization_id: changed.organization_id,
        resource_id: changed.id,
        student_id: Some(changed.student_id),
        details: json!({
            "class_id": changed.class_id,
            "from": was.status,
            "to": changed.status,
            "reason": reason,
        }),
    }
}
