//! Erasing a student's personal data. The account stays as an id that means nobody, so that what was decided, audited and
//! billed stays true.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use latchkey_service_kit::database::{self, begin};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::read_students::find_student;
use crate::app::etags::check_etag;
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::enrollment::CancelledBy;
use crate::domain::refusal::Refusal;
use crate::domain::student::Student;
use crate::store;
use crate::store::audit::Author;
use crate::store::students::erasure::{self, EndedWithAccount};

/// How often an erasure is tried when the student comes into further classes meanwhile.
const ATTEMPTS: u32 = 4;

/// How many students are looked at by one statement of [`end_what_came_late`].
const LATE_AT_ONCE: i64 = 100;

/// An account that was erased.
#[derive(Debug, Clone)]
pub struct ErasedStudent {
    /// What is left of it.
    pub student: Student,
    /// How many enrollments in classes ahead were cancelled with it by this call.
    pub cancelled_enrollments: usize,
}

/// A wish to erase an account.
#[derive(Debug, Clone, Copy)]
pub struct Erasure<'r> {
    /// The student.
    pub student_id: Uuid,
    /// Why, for the audit trail, which is never erased: no personal data.
    pub reason: &'r str,
    /// If given, of the account's present version.
    pub etag: Option<&'r str>,
}

/// Erases an account for good, and cancels its enrollments in classes that have not begun, in the same transaction. Again,
/// it changes nothing, whatever the `etag`.
pub async fn erase_student(
    services: &Services,
    call: &Call,
    wish: Erasure<'_>,
) -> Result<ErasedStudent, Error> {
    for _ in 0..ATTEMPTS {
        if let Some(erased) = attempt(services, call, &wish).await? {
            return Ok(erased);
        }
    }
    Err(Error::Conflict)
}

/// `None` if the student came into another class meanwhile: nothing was done.
async fn attempt(
    services: &Services,
    call: &Call,
    wish: &Erasure<'_>,
) -> Result<Option<ErasedStudent>, Error> {
    let id = wish.student_id;
    let mut transaction = begin(&services.pool).await?;
    find_student(&mut transaction, call, id).await?;
    let locked = lock(&mut transaction, id).await?;
    let student = store::students::find(&mut *transaction, id)
        .await?
        .ok_or(Refusal::StudentNotFound { student_id: id })?;
    if student.erased_at.is_some() {
        transaction.commit_confirmed().await?;
        return Ok(Some(ErasedStudent {
            student,
            cancelled_enrollments: 0,
        }));
    }
    check_etag(wish.etag, "student", id, student.version)?;
    let now = database::now(&mut transaction).await?;
    let Some(ended) = end_enrollments(&mut transaction, id, &locked, now).await? else {
        transaction.rollback().await?;
        return Ok(None);
    };
    let erased = student.erased(now);
    erasure::erase(&mut transaction, &erased).await?;
    let deed = Deed {
        action: Action::EraseStudent,
        organization_id: erased.organization_id,
        resource_id: id,
        student_id: Some(id),
        details: json!({ "reason": wish.reason, "cancelled_enrollments": ended.len() }),
    };
    let deeds = std::iter::once(deed).chain(ended.iter().map(|ended| cancellation(id, ended)));
    record(&mut transaction, services, call.author(), deeds).await?;
    transaction.commit().await?;
    services.wake.ring();
    Ok(Some(ErasedStudent {
        student: erased,
        cancelled_enrollments: ended.len(),
    }))
}

/// Locks the classes ahead that the student is in, then the account, in the order that everybody keeps; the classes.
async fn lock(connection: &mut PgConnection, student: Uuid) -> Result<Vec<Uuid>, Error> {
    let classes = erasure::classes_ahead(connection, student).await?;
    for class in &classes {
        store::classes::lock(connection, *class).await?;
    }
    store::students::lock(connection, student).await?;
    Ok(classes)
}

/// Ends the enrollments in classes ahead. `None` if one of these is not among those that are `locked`.
async fn end_enrollments(
    connection: &mut PgConnection,
    student: Uuid,
    locked: &[Uuid],
    now: DateTime<Utc>,
) -> Result<Option<Vec<EndedWithAccount>>, Error> {
    let ahead = erasure::classes_ahead(connection, student).await?;
    if ahead.iter().any(|class| !locked.contains(class)) {
        return Ok(None);
    }
    let ended = erasure::end_enrollments(connection, student, &ahead, now).await?;
    let mut seats: BTreeMap<Uuid, i32> = BTreeMap::new();
    for one in ended.iter().filter(|one| one.took_seat) {
        *seats.entry(one.class_id).or_default() += 1;
    }
    for (class, freed) in seats {
        store::classes::change_seats(connection, class, -freed).await?;
    }
    Ok(Some(ended))
}

async fn record(
    connection: &mut PgConnection,
    services: &Services,
    author: Author<'_>,
    deeds: impl Iterator<Item = Deed>,
) -> Result<(), Error> {
    Ok(store::audit::insert(connection, author, &services.numbered(deeds)).await?)
}

fn cancellation(student: Uuid, ended: &EndedWithAccount) -> Deed {
    Deed {
        action: Action::CancelEnrollment,
        organization_id: ended.organization_id,
        resource_id: ended.enrollment_id,
        student_id: Some(student),
        details: json!({
            "class_id": ended.class_id,
            "cancelled_by": CancelledBy::Erasure,
            "key_id": ended.key_id,
        }),
    }
}

/// Ends what an erasure could not see: enrollments in classes ahead that were decided before it and committed after it; how
/// many. Redemptions take no lock on accounts, which would cost each of them; this costs a look now and then.
pub(in crate::app) async fn end_what_came_late(services: &Services) -> Result<usize, Error> {
    let students = erasure::let_in_too_late(&services.pool, LATE_AT_ONCE).await?;
    let mut number = 0;
    for student in students {
        let mut transaction = begin(&services.pool).await?;
        let locked = lock(&mut transaction, student).await?;
        let now = database::now(&mut transaction).await?;
        let ended = end_enrollments(&mut transaction, student, &locked, now).await?;
        // Whatever is left is found by the next look.
        let ended = ended.unwrap_or_default();
        let deeds = ended.iter().map(|ended| cancellation(student, ended));
        let author = Author {
            caller: &services.itself,
            peer: "",
            request_id: "",
        };
        record(&mut transaction, services, author, deeds).await?;
        transaction.commit().await?;
        number += ended.len();
    }
    if number > 0 {
        services.wake.ring();
    }
    Ok(number)
}
