//! Enrolling many students without keys, each with an outcome of their own.

use chrono::TimeDelta;
use latchkey_service_kit::database::begin;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::enroll_student::{DirectEnrollment, Enrolled, enroll_one, finish};
use crate::app::reached::lock_class;
use crate::app::{Call, Error, Services};
use crate::domain::enrollment::Status;
use crate::domain::refusal::Refusal;
use crate::store;

/// The method's name in what is recorded of its requests.
const METHOD: &str = "BatchEnrollStudents";

/// How many students one transaction enrolls: it holds the class's lock for as long as it takes.
const AT_ONCE: usize = 50;

/// The ids of enrollments made by one request (UUID version 5) stand in a space made of this one and the request's id.
const ENROLLMENT_IDS: Uuid = Uuid::from_u128(0x51d3_7ac0_0f6e_4b87_b2a9_3c84_d5e6_0719);

/// A wish to enroll many students in a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManyEnrollments {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// The class.
    pub class_id: Uuid,
    /// The students, each once, in the order in which they get seats.
    pub student_ids: Vec<Uuid>,
    /// The live status to begin in.
    pub status: Status,
}

/// What became of one student.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The student.
    pub student_id: Uuid,
    /// The enrollment, or why there is none.
    pub enrolled: Result<Enrolled, Refusal>,
}

impl ManyEnrollments {
    /// The wish for one of the students. The same request means the same enrollment, however often it comes.
    fn one(&self, student_id: Uuid) -> DirectEnrollment {
        let space = Uuid::new_v5(&ENROLLMENT_IDS, self.request_id.as_bytes());
        DirectEnrollment {
            request_id: Uuid::new_v5(&space, student_id.as_bytes()),
            class_id: self.class_id,
            student_id,
            status: self.status,
        }
    }

    fn reused(&self) -> Error {
        let id = self.request_id;
        Refusal::RequestIdReused { id }.into()
    }
}

/// Enrolls students, some at once: what was done stays done if the rest fails, and the same request again does the rest. A
/// student who is refused keeps nobody from being enrolled, and is judged anew by the same request.
pub async fn enroll_students(
    services: &Services,
    call: &Call,
    wish: &ManyEnrollments,
) -> Result<Vec<Outcome>, Error> {
    let begun = services
        .fingerprint_key
        .begin(METHOD)
        .text(&wish.class_id.to_string())
        .text(wish.status.as_str());
    let students = wish.student_ids.iter();
    let fingerprint = students
        .fold(begun, |begun, student| begun.text(&student.to_string()))
        .finish();
    let mut outcomes = Vec::with_capacity(wish.student_ids.len());
    for students in wish.student_ids.chunks(AT_ONCE) {
        outcomes.extend(transact(services, call, wish, &fingerprint, students).await?);
        services.wake.ring();
    }
    Ok(outcomes)
}

async fn transact(
    services: &Services,
    call: &Call,
    wish: &ManyEnrollments,
    fingerprint: &[u8],
    students: &[Uuid],
) -> Result<Vec<Outcome>, Error> {
    let mut transaction = begin(&services.pool).await?;
    let mut class = lock_class(&mut transaction, call, wish.class_id).await?;
    claim(&mut transaction, wish, fingerprint).await?;
    store::students::lock_all_within(&mut transaction, students, &call.scope).await?;
    let (mut outcomes, mut deeds) = (Vec::with_capacity(students.len()), Vec::new());
    for student_id in students.iter().copied() {
        let one = wish.one(student_id);
        let enrolled = match enroll_one(&mut transaction, services, call, &one, &class).await {
            Ok((enrolled, new)) => {
                if !new.is_empty() && !enrolled.already_in && one.status.takes_seat() {
                    class.class.seats_taken += 1;
                }
                // Who comes first in the request waits first: one step of the clock for each.
                class.now += TimeDelta::microseconds(1);
                deeds.extend(new);
                Ok(enrolled)
            }
            Err(Error::Refused(Refusal::RequestIdReused { .. })) => return Err(wish.reused()),
            Err(Error::Refused(refusal)) => Err(refusal),
            Err(error) => return Err(error),
        };
        outcomes.push(Outcome {
            student_id,
            enrolled,
        });
    }
    finish(transaction, call, &deeds).await?;
    Ok(outcomes)
}

/// Notes under the request's id what it asks for, or finds that it did.
async fn claim(
    connection: &mut PgConnection,
    wish: &ManyEnrollments,
    fingerprint: &[u8],
) -> Result<(), Error> {
    let id = wish.request_id;
    match store::requests::find(connection, id).await? {
        Some(found) if found.method == METHOD && found.fingerprint == fingerprint => Ok(()),
        Some(_) => Err(wish.reused()),
        None => {
            let result = json!({});
            let first =
                store::requests::insert(connection, id, METHOD, fingerprint, &result).await?;
            // Another call with the same id, for another class, was first.
            if first { Ok(()) } else { Err(Error::Conflict) }
        }
    }
}
