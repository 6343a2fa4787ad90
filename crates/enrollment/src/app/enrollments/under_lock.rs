//! An enrollment under the lock of its class, where its status is changed.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use latchkey_service_kit::faults::planted;
use latchkey_service_kit::identity::Role;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::{Call, Error};
use crate::domain::audit::{Action, Deed};
use crate::domain::class::Class;
use crate::domain::direct;
use crate::domain::enrollment::{Enrollment, Status};
use crate::domain::refusal::Refusal;
use crate::domain::transitions::Actor;
use crate::store;
use crate::store::classes::PlacedClass;
use crate::store::enrollments::PlacedEnrollment;

/// An enrollment whose class is locked.
#[derive(Debug, Clone)]
pub(super) struct UnderLock {
    /// The enrollment.
    pub(super) found: PlacedEnrollment,
    /// Its class; `now` is the instant to judge by.
    pub(super) class: PlacedClass,
}

/// Locks the class of the enrollment `id`, if that exists for the caller, and reads both.
pub(super) async fn lock(
    connection: &mut PgConnection,
    call: &Call,
    id: Uuid,
) -> Result<UnderLock, Error> {
    lock_classes(connection, call, id, None).await
}

/// The same, with the class `other` locked too, if the caller reaches its organization: the classes in order of their ids, like
/// everybody.
pub(super) async fn lock_with(
    connection: &mut PgConnection,
    call: &Call,
    id: Uuid,
    other: Uuid,
) -> Result<UnderLock, Error> {
    lock_classes(connection, call, id, Some(other)).await
}

async fn lock_classes(
    connection: &mut PgConnection,
    call: &Call,
    id: Uuid,
    other: Option<Uuid>,
) -> Result<UnderLock, Error> {
    let missing = Refusal::EnrollmentNotFound { enrollment_id: id };
    let seen = store::enrollments::find_placed(connection, id)
        .await?
        .filter(|enrollment| call.reaches(&enrollment.scope()))
        .ok_or(missing)?;
    let class_id = seen.enrollment.class_id;
    let classes: BTreeSet<Uuid> = std::iter::once(class_id).chain(other).collect();
    for class in classes {
        if class == class_id {
            store::classes::lock(connection, class).await?;
        } else {
            store::classes::lock_within(connection, class, &call.scope).await?;
        }
    }
    let class = store::classes::find_placed(&mut *connection, class_id, None)
        .await?
        .ok_or(Refusal::ClassNotFound { class_id })?;
    // Under the lock, the row as it is now, which must still be of that class.
    let found = store::enrollments::find_placed(connection, id)
        .await?
        .filter(|found| found.enrollment.class_id == class_id)
        .ok_or(Error::Conflict)?;
    Ok(UnderLock { found, class })
}

impl UnderLock {
    /// As what the caller changes it. A student who is staff too and cancels their own leaves by themselves, unless only
    /// an operations manager still may.
    pub(super) fn actor(&self, call: &Call) -> Actor {
        let enrollment = &self.found.enrollment;
        let staff = call
            .scope
            .covers_organization(enrollment.organization_id, &self.found.ancestors);
        if staff && call.caller.has(Role::OperationsManager) {
            Actor::OperationsManager
        } else if call.scope.student == Some(enrollment.student_id) {
            Actor::Student
        } else {
            Actor::Administrator
        }
    }
}

/// Writes an enrollment of the locked `class` as `changed`, and takes or frees its seat: the class as it is then.
pub(super) async fn write(
    connection: &mut PgConnection,
    class: &Class,
    was: &Enrollment,
    changed: &Enrollment,
) -> Result<Class, Error> {
    if !store::enrollments::write::update(connection, changed).await? {
        return Err(Error::Conflict);
    }
    let takes = |enrollment: &Enrollment| i32::from(enrollment.status.takes_seat());
    let seats = takes(changed) - takes(was);
    if seats != 0 && !planted("bug::seat_kept") {
        store::classes::change_seats(connection, class.id, seats).await?;
    }
    Ok(Class {
        seats_taken: class.seats_taken + seats,
        ..class.clone()
    })
}

/// Whether the student of `enrollment` may be in the locked `class` in `status`. From here on the account is locked, after the
/// class, like everybody: one that is being erased is let in either before that or not at all.
pub(super) async fn judge_student(
    connection: &mut PgConnection,
    (class, now): (&Class, DateTime<Utc>),
    enrollment: &Enrollment,
    status: Status,
) -> Result<Result<(), Refusal>, Error> {
    let student_id = enrollment.student_id;
    store::students::lock(&mut *connection, student_id).await?;
    let found = store::students::find_placed(connection, student_id, None)
        .await?
        .ok_or(Refusal::StudentNotFound { student_id })?;
    let (student, ancestors) = (&found.student, &found.ancestors);
    Ok(direct::judge(class, student, ancestors, status, now))
}

/// That the block of the enrollment `id` was lifted, because its student is let in again by `now_in`.
pub(super) fn lift(now_in: &Enrollment, id: Uuid) -> Deed {
    Deed {
        action: Action::LiftBlock,
        organization_id: now_in.organization_id,
        resource_id: id,
        student_id: Some(now_in.student_id),
        details: json!({ "class_id": now_in.class_id }),
    }
}
