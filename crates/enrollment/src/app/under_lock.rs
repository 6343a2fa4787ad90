//! An enrollment under the lock of its class, where its status is changed.

use latchkey_service_kit::faults::planted;
use latchkey_service_kit::identity::Role;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Call, Error};
use crate::domain::enrollment::{CancelledBy, Enrollment, Status};
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
    let missing = Refusal::EnrollmentNotFound { enrollment_id: id };
    let seen = store::enrollments::find_placed(connection, id)
        .await?
        .filter(|enrollment| call.reaches(&enrollment.scope()))
        .ok_or(missing)?;
    let class_id = seen.enrollment.class_id;
    store::classes::lock(connection, class_id).await?;
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

    /// The enrollment in another status.
    pub(super) fn changed(&self, to: Status, cancelled_by: Option<CancelledBy>) -> Enrollment {
        let was = &self.found.enrollment;
        Enrollment {
            status: to,
            status_since: self.class.now,
            cancelled_by,
            version: was.version + 1,
            ..was.clone()
        }
    }

    /// Writes the enrollment as `changed`, and takes or frees its seat.
    pub(super) async fn write(
        &self,
        connection: &mut PgConnection,
        changed: &Enrollment,
    ) -> Result<(), Error> {
        if !store::enrollments::write::set_status(connection, changed).await? {
            return Err(Error::Conflict);
        }
        let takes = |enrollment: &Enrollment| i32::from(enrollment.status.takes_seat());
        let seats = takes(changed) - takes(&self.found.enrollment);
        if seats != 0 && !planted("bug::seat_kept") {
            store::classes::change_seats(connection, changed.class_id, seats).await?;
        }
        Ok(())
    }
}
