//! The answer to a wish that was granted.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::PgConnection;
use uuid::Uuid;

use super::Error;
use crate::domain::class::Class;
use crate::domain::enrollment::Enrollment;
use crate::domain::redemption::Outcome;
use crate::domain::refusal::Refusal;
use crate::domain::student::Student;
use crate::store;

/// A student is in a class.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// How: enrolled, or in already.
    pub already_in: bool,
    /// The enrollment, as it is now.
    pub enrollment: Enrollment,
    /// The class, as it is now.
    pub class: Arc<Class>,
    /// The account that came with it, as it is now, if it was a registration.
    pub student: Option<Student>,
    /// Whether this repeats an earlier enrollment: nothing was spent by this call.
    pub replayed: bool,
}

/// What is answered: the student is in, or why not.
pub type Answer = Result<Admitted, Refusal>;

/// A decision found rather than made, whose answer is to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The redemption.
    pub(super) redemption_id: Uuid,
    /// What was decided.
    pub(super) outcome: Outcome,
    /// Whether it is a registration.
    pub(super) registration: bool,
}

impl Found {
    fn enrollment_id(&self) -> Option<Uuid> {
        match &self.outcome {
            Outcome::Enrolled => Some(self.redemption_id),
            Outcome::AlreadyIn { enrollment_id } => Some(*enrollment_id),
            Outcome::Refused(_) => None,
        }
    }
}

/// A decision points to something that is not there.
#[derive(Debug, thiserror::Error)]
#[error("enrollment.redemptions: {0} points to something that is not there")]
struct Dangling(Uuid);

/// The answers to decisions that were found, with everything as it is now, in their order.
pub(super) async fn answers(
    connection: &mut PgConnection,
    found: &[Found],
) -> Result<Vec<Answer>, Error> {
    let ids: Vec<Uuid> = found.iter().filter_map(Found::enrollment_id).collect();
    let (mut enrollments, mut classes, mut students) =
        (HashMap::new(), HashMap::new(), HashMap::new());
    if !ids.is_empty() {
        for one in store::enrollments::find_all(&mut *connection, &ids).await? {
            enrollments.insert(one.id, one);
        }
        let ids: Vec<Uuid> = enrollments.values().map(|one| one.class_id).collect();
        for one in store::classes::find_all(&mut *connection, &ids).await? {
            classes.insert(one.id, Arc::new(one));
        }
    }
    let registered: Vec<Uuid> = found
        .iter()
        .filter(|one| one.registration)
        .filter_map(|one| Some(enrollments.get(&one.enrollment_id()?)?.student_id))
        .collect();
    if !registered.is_empty() {
        for one in store::students::find_all(connection, &registered).await? {
            students.insert(one.id, one);
        }
    }
    let answer = |one: &Found| -> Option<Answer> {
        if let Outcome::Refused(refusal) = &one.outcome {
            return Some(Err(refusal.clone()));
        }
        let enrollment = enrollments.get(&one.enrollment_id()?)?.clone();
        Some(Ok(Admitted {
            already_in: one.outcome != Outcome::Enrolled,
            class: Arc::clone(classes.get(&enrollment.class_id)?),
            student: if one.registration {
                Some(students.get(&enrollment.student_id)?.clone())
            } else {
                None
            },
            enrollment,
            replayed: true,
        }))
    };
    found
        .iter()
        .map(|one| answer(one).ok_or_else(|| Error::internal(Dangling(one.redemption_id))))
        .collect()
}
