//! A letter: what it is about, and to whom it goes. Ids only.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The recipient of a letter to the operations managers, as it is stored.
const OPERATIONS_MANAGERS: &str = "operations_managers";

/// What a letter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Matter {
    /// A class as a whole.
    Class(Uuid),
    /// An enrollment.
    Enrollment {
        /// The enrollment.
        enrollment_id: Uuid,
        /// Its class.
        class_id: Uuid,
    },
    /// An assignment.
    Assignment(Uuid),
}

impl Matter {
    /// What a letter with these ids is about; `None` if nothing is.
    pub fn of(
        class_id: Option<Uuid>,
        enrollment_id: Option<Uuid>,
        assignment_id: Option<Uuid>,
    ) -> Option<Self> {
        match (class_id, enrollment_id, assignment_id) {
            (Some(class_id), None, None) => Some(Self::Class(class_id)),
            (Some(class_id), Some(enrollment_id), None) => Some(Self::Enrollment {
                enrollment_id,
                class_id,
            }),
            (None, None, Some(assignment_id)) => Some(Self::Assignment(assignment_id)),
            _ => None,
        }
    }

    /// The class, if it is about one.
    pub fn class_id(self) -> Option<Uuid> {
        match self {
            Self::Class(class_id) | Self::Enrollment { class_id, .. } => Some(class_id),
            Self::Assignment(_) => None,
        }
    }

    /// The enrollment, if it is about one.
    pub fn enrollment_id(self) -> Option<Uuid> {
        match self {
            Self::Enrollment { enrollment_id, .. } => Some(enrollment_id),
            Self::Class(_) | Self::Assignment(_) => None,
        }
    }

    /// The assignment, if it is about one.
    pub fn assignment_id(self) -> Option<Uuid> {
        match self {
            Self::Assignment(assignment_id) => Some(assignment_id),
            Self::Class(_) | Self::Enrollment { .. } => None,
        }
    }
}

/// A letter to be written: ids only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLetter {
    /// By which plan.
    pub plan_id: Uuid,
    /// The organization that owns the class, or the assignment's pool.
    pub organization_id: Uuid,
    /// What it is about.
    pub matter: Matter,
    /// When it happened that it is about.
    pub occurred_at: DateTime<Utc>,
    /// To whom: what they are and an id.
    pub recipient: Addressee,
}

/// Who gets a letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Addressee {
    /// A student, by id.
    Student(Uuid),
    /// An instructor, by token subject.
    Instructor(String),
    /// The operations managers' mailbox.
    OperationsManagers,
}

impl Addressee {
    /// As it is stored, and as the audit trail of keys names who reads a code.
    pub fn to_text(&self) -> String {
        match self {
            Self::Student(id) => format!("student/{id}"),
            Self::Instructor(subject) => format!("instructor/{subject}"),
            Self::OperationsManagers => OPERATIONS_MANAGERS.to_owned(),
        }
    }

    /// The one with this stored text.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('/') {
            None => (text == OPERATIONS_MANAGERS).then_some(Self::OperationsManagers),
            Some(("student", id)) => Some(Self::Student(id.parse().ok()?)),
            Some(("instructor", subject)) => Some(Self::Instructor(subject.to_owned())),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_read_as_they_are_stored() {
        for one in [
            Addressee::Student(Uuid::from_u128(21)),
            Addressee::Instructor("ann".into()),
            Addressee::OperationsManagers,
        ] {
            assert_eq!(Addressee::parse(&one.to_text()), Some(one));
        }
        assert_eq!(Addressee::parse("nobody/1"), None);
    }

    #[test]
    fn what_a_letter_is_about_comes_back_from_its_ids() {
        let [class_id, enrollment_id, assignment_id] = [1, 2, 3].map(Uuid::from_u128);
        for matter in [
            Matter::Class(class_id),
            Matter::Enrollment {
                enrollment_id,
                class_id,
            },
            Matter::Assignment(assignment_id),
        ] {
            let ids = (
                matter.class_id(),
                matter.enrollment_id(),
                matter.assignment_id(),
            );
            assert_eq!(Matter::of(ids.0, ids.1, ids.2), Some(matter));
        }
        assert_eq!(Matter::of(None, None, None), None);
        assert_eq!(Matter::of(None, Some(enrollment_id), None), None);
        assert_eq!(Matter::of(Some(class_id), None, Some(assignment_id)), None);
    }
}
