//! Cancelling an enrollment.

use latchkey_service_kit::database::begin;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::promote;
use super::under_lock::{self, UnderLock};
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::enrollment::{Enrollment, Status};
use crate::domain::organization::Settings;
use crate::domain::refusal::Refusal;
use crate::domain::transitions::{self, Actor};
use crate::store;

/// A wish to cancel an enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancellation<'r> {
    /// The enrollment.
    pub enrollment_id: Uuid,
    /// Why, for the audit trail.
    pub reason: &'r str,
    /// Another enrollment of the class, which staff want to have the seat.
    pub replacement_id: Option<Uuid>,
}

/// An enrollment that was cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// The enrollment.
    pub enrollment: Enrollment,
    /// The replacement that was named, as it is now.
    pub replacement: Option<Enrollment>,
}

/// Cancels an enrollment: frees its seat, and its key for another student of the class. The replacement that staff name gets
/// the seat; one that a student gives up goes to the earliest who waits, if the organization wants that. An enrollment that
/// has ended is left as it is, and its replacement too.
pub async fn cancel_enrollment(
    services: &Services,
    call: &Call,
    wish: Cancellation<'_>,
) -> Result<Cancelled, Error> {
    let mut transaction = begin(&services.pool).await?;
    let locked = under_lock::lock(&mut transaction, call, wish.enrollment_id).await?;
    let actor = locked.actor(call);
    let replacement = replacement(&mut transaction, &locked, actor, wish.replacement_id).await?;
    let enrollment = &locked.found.enrollment;
    if !enrollment.is_live() {
        transaction.commit_confirmed().await?;
        return Ok(Cancelled {
            enrollment: locked.found.enrollment,
            replacement,
        });
    }
    let (class, now) = (&locked.class.class, locked.class.now);
    transitions::judge(class, enrollment, Status::Cancelled, actor, now)?;
    let settings = settings(&mut transaction, enrollment).await?;
    let gives_seat = enrollment.status.takes_seat();
    let cancelled = Enrollment {
        late_cancellation: gives_seat && class.is_late(settings.late_cancellation, now),
        ..enrollment.in_status(Status::Cancelled, Some(actor.cancelled_by()), now)
    };
    let class = under_lock::write(&mut transaction, class, enrollment, &cancelled).await?;
    let freed = promote::Freed {
        class: &class,
        by: cancelled.id,
        now,
    };
    let promoted = match &replacement {
        Some(named) => Some(promote::named(&mut transaction, freed, named, actor).await?),
        None if gives_seat && actor == Actor::Student && settings.promotes_waiting => {
            promote::earliest(&mut transaction, freed).await?
        }
        None => None,
    };
    let (promoted, promotion) = promoted.unzip();
    let deeds = std::iter::once(deed(&cancelled, wish.reason)).chain(promotion);
    let deeds = services.numbered(deeds);
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    services.wake.ring();
    Ok(Cancelled {
        enrollment: cancelled,
        // Whom a student makes room for is none of the student's business.
        replacement: promoted.filter(|_| replacement.is_some()),
    })
}

/// The replacement that is named: another enrollment of the class. Only staff name one.
async fn replacement(
    connection: &mut PgConnection,
    locked: &UnderLock,
    actor: Actor,
    id: Option<Uuid>,
) -> Result<Option<Enrollment>, Error> {
    let Some(id) = id else { return Ok(None) };
    if actor == Actor::Student {
        return Err(Error::NotAllowed);
    }
    let cancelled = &locked.found.enrollment;
    let found = store::enrollments::find(connection, id)
        .await?
        .filter(|found| found.class_id == cancelled.class_id && found.id != cancelled.id)
        .ok_or(Refusal::EnrollmentNotFound { enrollment_id: id })?;
    Ok(Some(found))
}

/// What the organization that owns the class of `enrollment` lays down.
async fn settings(
    connection: &mut PgConnection,
    enrollment: &Enrollment,
) -> Result<Settings, Error> {
    let organization_id = enrollment.organization_id;
    let found = store::organizations::find(connection, organization_id).await?;
    let found = found.ok_or(Refusal::OrganizationNotFound { organization_id })?;
    Ok(found.settings)
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
            "late_cancellation": cancelled.late_cancellation,
            "key_id": cancelled.origin.key_id(),
            "reason": reason,
        }),
    }
}
