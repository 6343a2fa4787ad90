//! May this student open this class, or this course, from when to when?

use chrono::{DateTime, Utc};
use latchkey_service_kit::database::{begin, read_one_snapshot};
use uuid::Uuid;

use crate::app::students::read_students::find_student;
use crate::app::{Call, Error, Services};
use crate::domain::assignment::{self, Assignment};
use crate::domain::class_access::{Denial, denial};
use crate::domain::enrollment::Enrollment;
use crate::domain::refusal::Refusal;
use crate::store;

/// Whether a student may open a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Why not; `None` if the student may.
    pub denial: Option<Denial>,
    /// The enrollment that opens it, if the student is in, and from when until when.
    pub place: Option<Place>,
}

/// What an enrollment opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The enrollment.
    pub enrollment: Enrollment,
    /// From when.
    pub from: DateTime<Utc>,
    /// Until when; not included.
    pub until: DateTime<Utc>,
}

/// Whether `student_id` may open `class_id` now, at one instant of the database. Both must exist for the caller; a class
/// exists for a student who is or was in it.
pub async fn get_access(
    services: &Services,
    call: &Call,
    student_id: Uuid,
    class_id: Uuid,
) -> Result<Access, Error> {
    let mut transaction = begin(&services.pool).await?;
    read_one_snapshot(&mut transaction).await?;
    let student = find_student(&mut transaction, call, student_id).await?;
    let mut class = store::classes::find_placed(&mut *transaction, class_id, call.scope.student)
        .await?
        .ok_or(Refusal::ClassNotFound { class_id })?;
    if let Some(own) = call.scope.student
        && store::enrollments::was_in(&mut transaction, class_id, own).await?
    {
        class.students = vec![own];
    }
    if !call.reaches(&class.scope()) {
        return Err(Refusal::ClassNotFound { class_id }.into());
    }
    let live = store::enrollments::find_live(&mut *transaction, class_id, student_id).await?;
    let enrollment = live.filter(|enrollment| enrollment.status.opens_class());
    transaction.rollback().await?;
    let (class, now) = (class.class, class.now);
    Ok(Access {
        denial: denial(&class, enrollment.is_some(), student.active, now),
        place: enrollment.map(|enrollment| Place {
            enrollment,
            from: class.starts_at,
            until: class.access_until(),
        }),
    })
}

/// Whether a student may open a course at their own pace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CourseAccess {
    /// Why not; `None` if the student may.
    pub denial: Option<assignment::Denial>,
    /// The assignment that opens it: of several the one that is open longest.
    pub assignment: Option<Assignment>,
}

/// Whether `student_id`, who must exist for the caller, may open the course `course_id` now, at one instant of the database.
pub async fn get_course_access(
    services: &Services,
    call: &Call,
    student_id: Uuid,
    course_id: &str,
) -> Result<CourseAccess, Error> {
    let mut transaction = begin(&services.pool).await?;
    read_one_snapshot(&mut transaction).await?;
    let student = find_student(&mut transaction, call, student_id).await?;
    let found = store::assignments::find_longest(&mut transaction, student_id, course_id).await?;
    transaction.rollback().await?;
    let (assignment, now) = found;
    Ok(CourseAccess {
        denial: assignment::denial(assignment.as_ref(), student.active, now),
        assignment,
    })
}
