//! Enrolling a student without a key.

use latchkey_service_kit::database::{Transaction, begin};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::reached::{lock_class, lock_student};
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::class::Class;
use crate::domain::direct;
use crate::domain::enrollment::{Completion, Enrollment, Origin, Status};
use crate::domain::refusal::Refusal;
use crate::store;
use crate::store::classes::PlacedClass;

/// The method's name in what is recorded of its requests.
const METHOD: &str = "EnrollStudent";

/// A wish to enroll a student.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectEnrollment {
    /// The caller's id of the request, which becomes the enrollment's id.
    pub request_id: Uuid,
    /// The class.
    pub class_id: Uuid,
    /// The student.
    pub student_id: Uuid,
    /// The live status to begin in.
    pub status: Status,
}

/// A student who is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The enrollment.
    pub enrollment: Enrollment,
    /// Whether the student was in before, under another id.
    pub already_in: bool,
}

/// What is kept of an answer.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    enrollment_id: Uuid,
    already_in: bool,
}

/// Enrolls a student directly, and lifts the blocks that earlier removals left. The same request again gives the same
/// enrollment, as it is now.
pub async fn enroll_student(
    services: &Services,
    call: &Call,
    wish: DirectEnrollment,
) -> Result<Enrolled, Error> {
    let mut transaction = begin(&services.pool).await?;
    let class = lock_class(&mut transaction, call, wish.class_id).await?;
    let (enrolled, deeds) = enroll_one(&mut transaction, services, call, &wish, &class).await?;
    finish(transaction, call, &deeds).await?;
    services.wake.ring();
    Ok(enrolled)
}

/// Commits what was done, with `deeds` in the trail.
pub(super) async fn finish(
    mut transaction: Transaction,
    call: &Call,
    deeds: &[(Uuid, Deed)],
) -> Result<(), Error> {
    if deeds.is_empty() {
        return Ok(transaction.commit_confirmed().await?);
    }
    store::audit::insert(&mut transaction, call.author(), deeds).await?;
    transaction.commit().await?;
    Ok(())
}

/// Enrolls one student in the locked `class`, or finds that the same request did: the answer, and what is to be audited. A
/// refusal has written nothing, unless it is that of a request id that is another's.
pub(super) async fn enroll_one(
    connection: &mut PgConnection,
    services: &Services,
    call: &Call,
    wish: &DirectEnrollment,
    class: &PlacedClass,
) -> Result<(Enrolled, Vec<(Uuid, Deed)>), Error> {
    let fingerprint = services
        .fingerprint_key
        .begin(METHOD)
        .text(&wish.class_id.to_string())
        .text(&wish.student_id.to_string())
        .text(wish.status.as_str())
        .finish();
    if let Some(answer) = recorded(connection, wish, &fingerprint).await? {
        return Ok((answer, Vec::new()));
    }
    let (enrolled, deeds) = decide(connection, services, call, wish, class).await?;
    let answer = json!(Answer {
        enrollment_id: enrolled.enrollment.id,
        already_in: enrolled.already_in,
    });
    let (id, result) = (wish.request_id, &answer);
    if store::requests::insert(connection, id, METHOD, &fingerprint, result).await? {
        Ok((enrolled, deeds))
    } else {
        // Another call with the same id, for another class, was first, and has committed: the insert waited for it.
        Err(reused(wish))
    }
}

/// The answer to an earlier call with the same id, if there was one, with the enrollment as it is now.
async fn recorded(
    connection: &mut PgConnection,
    wish: &DirectEnrollment,
    fingerprint: &[u8],
) -> Result<Option<Enrolled>, Error> {
    let Some(recorded) = store::requests::find(connection, wish.request_id).await? else {
        return Ok(None);
    };
    if recorded.method != METHOD || recorded.fingerprint != fingerprint {
        return Err(reused(wish));
    }
    let bad = || {
        let value = recorded.result.to_string();
        Error::internal(store::BadRow::new(
            "enrollment.requests",
            "result",
            wish.request_id,
            value,
        ))
    };
    let answer: Answer = serde_json::from_value(recorded.result.clone()).map_err(|_| bad())?;
    let enrollment = store::enrollments::find(connection, answer.enrollment_id)
        .await?
        .ok_or_else(bad)?;
    Ok(Some(Enrolled {
        enrollment,
        already_in: answer.already_in,
    }))
}

fn reused(wish: &DirectEnrollment) -> Error {
    let id = wish.request_id;
    Refusal::RequestIdReused { id }.into()
}

/// Judges the wish under the class's lock and writes what follows from it; what is to be audited.
async fn decide(
    connection: &mut PgConnection,
    services: &Services,
    call: &Call,
    wish: &DirectEnrollment,
    placed: &PlacedClass,
) -> Result<(Enrolled, Vec<(Uuid, Deed)>), Error> {
    let class = &placed.class;
    // After the class, like everybody: an account that is being erased comes in either before that or not at all.
    let student = lock_student(connection, call, wish.student_id).await?;
    let live = store::enrollments::find_live(&mut *connection, class.id, wish.student_id).await?;
    if live.is_none() {
        let (student, ancestors) = (&student.student, &student.ancestors);
        direct::judge(class, student, ancestors, wish.status, placed.now)?;
    }
    let lifted =
        store::enrollments::write::lift_blocks(connection, class.id, wish.student_id).await?;
    let mut deeds: Vec<(Uuid, Deed)> = lifted
        .into_iter()
        .map(|id| {
            let deed = deed(Action::LiftBlock, class, id, wish.student_id);
            (services.ids.new_id(), deed)
        })
        .collect();
    if let Some(enrollment) = live {
        let already_in = true;
        let enrolled = Enrolled {
            enrollment,
            already_in,
        };
        return Ok((enrolled, deeds));
    }
    let enrollment = Enrollment {
        id: wish.request_id,
        class_id: class.id,
        organization_id: class.organization_id,
        student_id: wish.student_id,
        status: wish.status,
        status_since: placed.now,
        cancelled_by: None,
        late_cancellation: false,
        completion: Completion::Unknown,
        origin: Origin::Direct,
        enrolled_at: placed.now,
        version: 1,
    };
    if !store::enrollments::write::insert_direct(connection, &enrollment).await? {
        // A redemption had this id.
        return Err(reused(wish));
    }
    if enrollment.status.takes_seat() {
        store::classes::change_seats(connection, class.id, 1).await?;
    }
    let mut deed = deed(Action::EnrollStudent, class, enrollment.id, wish.student_id);
    deed.details = json!({ "class_id": class.id, "status": wish.status });
    deeds.push((services.ids.new_id(), deed));
    let already_in = false;
    let enrolled = Enrolled {
        enrollment,
        already_in,
    };
    Ok((enrolled, deeds))
}

fn deed(action: Action, class: &Class, enrollment: Uuid, student: Uuid) -> Deed {
    Deed {
        action,
        organization_id: class.organization_id,
        resource_id: enrollment,
        student_id: Some(student),
        details: json!({ "class_id": class.id }),
    }
}
