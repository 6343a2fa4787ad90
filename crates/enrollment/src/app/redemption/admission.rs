//! The answer to a wish that was granted.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::Error;
use crate::domain::assignment::Assignment;
use crate::domain::class::Class;
use crate::domain::enrollment::Enrollment;
use crate::domain::redemption::Outcome;
use crate::domain::refusal::Refusal;
use crate::domain::student::Student;
use crate::store;

/// What a student has by a key.
#[derive(Debug, Clone)]
pub enum Gain {
    /// A place in a class.
    Enrollment {
        /// The enrollment, as it is now.
        enrollment: Enrollment,
        /// The class, as it is now.
        class: Arc<Class>,
    },
    /// A course, as it is now.
    Assignment(Assignment),
}

impl Gain {
    fn student_id(&self) -> Uuid {
        match self {
            Self::Enrollment { enrollment, .. } => enrollment.student_id,
            Self::Assignment(assignment) => assignment.student_id,
        }
    }
}

/// How a student came by it, or did not have to any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    /// Enrolled by this redemption.
    Enrolled,
    /// Waiting for a seat by this redemption.
    WaitListed,
    /// Assigned a course by this redemption.
    Assigned,
    /// In already, or waiting already, or assigned the course by this key already.
    AlreadyIn,
}

/// A student is in a class, or has a course.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// How: enrolled, waiting for a seat, assigned a course, or in already.
    pub outcome: Granted,
    /// What the student has.
    pub gain: Gain,
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
            Outcome::Enrolled | Outcome::WaitListed => Some(self.redemption_id),
            Outcome::AlreadyIn { enrollment_id } => Some(*enrollment_id),
            Outcome::Assigned | Outcome::AlreadyAssigned { .. } | Outcome::Refused(_) => None,
        }
    }

    fn gain_id(&self) -> Option<GainId> {
        let enrollment = self.enrollment_id().map(GainId::Enrollment);
        enrollment.or_else(|| self.assignment_id().map(GainId::Assignment))
    }

    fn assignment_id(&self) -> Option<Uuid> {
        match &self.outcome {
            Outcome::Assigned => Some(self.redemption_id),
            Outcome::AlreadyAssigned { assignment_id } => Some(*assignment_id),
            Outcome::Enrolled
            | Outcome::WaitListed
            | Outcome::AlreadyIn { .. }
            | Outcome::Refused(_) => None,
        }
    }
}

/// A decision points to something that is not there.
#[derive(Debug, thiserror::Error)]
#[error("enrollment.redemptions: {0} points to something that is not there")]
struct Dangling(Uuid);

/// What decisions that were found granted. An assignment and an enrollment may have one and the same id.
type Gains = HashMap<GainId, Gain>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum GainId {
    Enrollment(Uuid),
    Assignment(Uuid),
}

/// The answers to decisions that were found, with everything as it is now, in their order.
pub(super) async fn answers(
    connection: &mut PgConnection,
    found: &[Found],
) -> Result<Vec<Answer>, Error> {
    let mut gains = Gains::new();
    enrollments(connection, found, &mut gains).await?;
    assignments(connection, found, &mut gains).await?;
    let mut students = HashMap::new();
    let registered: Vec<Uuid> = found
        .iter()
        .filter(|one| one.registration)
        .filter_map(|one| Some(gains.get(&one.gain_id()?)?.student_id()))
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
        let gain = gains.get(&one.gain_id()?)?.clone();
        Some(Ok(Admitted {
            outcome: match &one.outcome {
                Outcome::Enrolled => Granted::Enrolled,
                Outcome::WaitListed => Granted::WaitListed,
                Outcome::Assigned => Granted::Assigned,
                Outcome::AlreadyIn { .. }
                | Outcome::AlreadyAssigned { .. }
                | Outcome::Refused(_) => Granted::AlreadyIn,
            },
            student: if one.registration {
                Some(students.get(&gain.student_id())?.clone())
            } else {
                None
            },
            gain,
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
    gains: &mut Gains,
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
    gains.extend(enrollments.into_iter().filter_map(|enrollment| {
        let class = Arc::clone(classes.get(&enrollment.class_id)?);
        let id = GainId::Enrollment(enrollment.id);
        Some((id, Gain::Enrollment { enrollment, class }))
    }));
    Ok(())
}

async fn assignments(
    connection: &mut PgConnection,
    found: &[Found],
    gains: &mut Gains,
) -> Result<(), Error> {
    let ids: Vec<Uuid> = found.iter().filter_map(Found::assignment_id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let assignments = store::assignments::find_all(connection, &ids).await?;
    let gain = |one: Assignment| (GainId::Assignment(one.id), Gain::Assignment(one));
    gains.extend(assignments.into_iter().map(gain));
    Ok(())
}
