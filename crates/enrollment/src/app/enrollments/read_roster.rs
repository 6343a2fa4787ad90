//! The roster of a class.

use std::collections::HashMap;

use latchkey_service_kit::database::{begin, read_one_snapshot};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::{Call, Error, Services};
use crate::domain::class::Class;
use crate::domain::enrollment::Enrollment;
use crate::domain::refusal::Refusal;
use crate::domain::student::Student;
use crate::store;
use crate::store::classes::PlacedClass;

pub use crate::store::enrollments::roster::StatusCount;

/// The most entries of those who are in, and of those who are not any more: as the contract says.
const MAXIMUM_ENTRIES: i64 = 10_000;

/// A roster, in one snapshot.
#[derive(Debug, Clone)]
pub struct Roster {
    /// The class.
    pub class: Class,
    /// How many enrollments are in each status that occurs.
    pub counts: Vec<StatusCount>,
    /// Enrollments and their students, by the time they came.
    pub entries: Vec<RosterEntry>,
}

/// A student on a roster.
#[derive(Debug, Clone)]
pub struct RosterEntry {
    /// The enrollment.
    pub enrollment: Enrollment,
    /// The student.
    pub student: Student,
}

/// The roster of a class that exists for the caller, in one snapshot. A student sees the figures, and of the entries
/// their own.
pub async fn get_roster(services: &Services, call: &Call, id: Uuid) -> Result<Roster, Error> {
    let mut transaction = begin(&services.pool).await?;
    read_one_snapshot(&mut transaction).await?;
    let class = store::classes::find_placed(&mut *transaction, id, call.scope.student)
        .await?
        .filter(|class| call.reaches(&class.scope()))
        .ok_or(Refusal::ClassNotFound { class_id: id })?;
    let counts = store::enrollments::roster::counts(&mut transaction, id).await?;
    let only = only_student(call, &class);
    let entries = entries(&mut transaction, id, only).await?;
    transaction.rollback().await?;
    Ok(Roster {
        class: class.class,
        counts,
        entries,
    })
}

/// Whose entries alone the caller may see: the caller's, if nothing but being in the class brings it within reach.
fn only_student(call: &Call, class: &PlacedClass) -> Option<Uuid> {
    let mut scope = class.scope();
    scope.students = &[];
    call.scope.student.filter(|_| !call.reaches(&scope))
}

async fn entries(
    connection: &mut PgConnection,
    class: Uuid,
    only: Option<Uuid>,
) -> Result<Vec<RosterEntry>, Error> {
    let enrollments =
        store::enrollments::roster::entries(connection, class, only, MAXIMUM_ENTRIES).await?;
    let ids: Vec<Uuid> = enrollments.iter().map(|one| one.student_id).collect();
    let students: HashMap<Uuid, Student> = store::students::find_all(connection, &ids)
        .await?
        .into_iter()
        .map(|student| (student.id, student))
        .collect();
    enrollments
        .into_iter()
        .map(|enrollment| {
            let student = students.get(&enrollment.student_id).cloned();
            let student = student.ok_or_else(|| {
                Error::internal(store::BadRow::new(
                    "enrollment.enrollments",
                    "student_id",
                    enrollment.id,
                    enrollment.student_id,
                ))
            })?;
            Ok(RosterEntry {
                enrollment,
                student,
            })
        })
        .collect()
}
