//! The answer to a wish that was granted.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::PgConnection;
use uuid::Uuid;

use super::Error;
use crate::domain::assignment::CourseAssignment;
use crate::domain::class::Class;
use crate::domain::enrollment::Enrollment;
use crate::domain::redemption::Outcome;
use crate::domain::refusal::Refusal;
use crate::domain::student::Student;
use crate::store;

/// What a student has by a key.
#[derive(Debug, Clone)]
pub enum Granted {
    /// A place in a class.
    Enrollment {
        /// The enrollment, as it is now.
        enrollment: Enrollment,
        /// The class, as it is now.
        class: Arc<Class>,
    },
    /// A course, as it is now.
    Assignment(CourseAssignment),
}

impl Granted {
    fn student_id(&self) -> Uuid {
        match self {
            Self::Enrollment { enrollment, .. } => enrollment.student_id,
            Self::Assignment(assignment) => assignment.student_id,
        }
    }
}

/// A student is in a class, or has a course.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// How: by this redemption, or already.
    pub already_in: bool,
    /// What the student has.
    pub granted: Granted,
    /// The account that came with it, as it is now, if it was a registration.
    pub student: Option<Student>,
    /// Whether this repeats what was granted earlier: nothing was spent by this call.
    pub replayed: bool,
}

/// What is answered: what the student has, or why nothing.
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
            Outcome::Assigned | Outcome::AlreadyAssigned { .. } | Outcome::Refused(_) => None,
        }
    }

    fn granted_id(&self) -> Option<Uuid> {
        self.enrollment_id().or_else(|| self.assignment_id())
    }

    fn assignment_id(&self) -> Option<Uuid> {
        match &self.outcome {
            Outcome::Assigned => Some(self.redemption_id),
            Outcome::AlreadyAssigned { assignment_id } => Some(*assignment_id),
            Outcome::Enrolled | Outcome::AlreadyIn { .. } | Outcome::Refused(_) => None,
        }
    }
}

/// A decision points to something that is not there.
#[derive(Debug, thiserror::Error)]
#[error("enrollment.redemptions: {0} points to something that is not there")]
struct Dangling(Uuid);

/// What decisions that were found granted, by its id.
type Grants = HashMap<Uuid, Granted>;

/// The answers to decisions that were found, with everything as it is now, in their order.
pub(super) async fn answers(
    connection: &mut PgConnection,
    found: &[Found],
) -> Result<Vec<Answer>, Error> {
    let mut grants = Grants::new();
    enrollments(connection, found, &mut grants).await?;
    assignments(connection, found, &mut grants).await?;
    let mut students = HashMap::new();
    let registered: Vec<Uuid> = found
        .iter()
        .filter(|one| one.registration)
        .filter_map(|one| Some(grants.get(&one.granted_id()?)?.student_id()))
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
        let granted = grants.get(&one.granted_id()?)?.clone();
        Some(Ok(Admitted {
            already_in: !matches!(one.outcome, Outcome::Enrolled | Outcome::Assigned),
            student: if one.registration {
                Some(students.get(&granted.student_id())?.clone())
            } else {
                None
            },
            granted,
            replayed: true,
        }))
    };
    found
        .iter()
        .map(|one| answer(one).ok_or_else(|| Error::internal(Dangling(one.redemption_id))))
        .collect()
}

async fn enrollments(
    connection: &mut PgConnection,
    found: &[Found],
    grants: &mut Grants,
) -> Result<(), Error> {
    let ids: Vec<Uuid> = found.iter().filter_map(Found::enrollment_id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let enrollments = store::enrollments::find_all(&mut *connection, &ids).await?;
    let ids: Vec<Uuid> = enrollments.iter().map(|one| one.class_id).collect();
    let classes = store::classes::find_all(connection, &ids).await?;
    let classes: HashMap<Uuid, Arc<Class>> = classes
        .into_iter()
        .map(|class| (class.id, Arc::new(class)))
        .collect();
    grants.extend(enrollments.into_iter().filter_map(|enrollment| {
        let class = Arc::clone(classes.get(&enrollment.class_id)?);
        Some((enrollment.id, Granted::Enrollment { enrollment, class }))
    }));
    Ok(())
}

async fn assignments(
    connection: &mut PgConnection,
    found: &[Found],
    grants: &mut Grants,
) -> Result<(), Error> {
    let ids: Vec<Uuid> = found.iter().filter_map(Found::assignment_id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let assignments = store::assignments::find_all(connection, &ids).await?;
    let granted = |one: CourseAssignment| (one.id, Granted::Assignment(one));
    grants.extend(assignments.into_iter().map(granted));
    Ok(())
}
