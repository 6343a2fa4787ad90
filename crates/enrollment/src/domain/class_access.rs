//! May this student open this class, from when to when?

use chrono::{DateTime, Utc};

use super::class::{Class, ClassStatus};

/// Why a student may not open a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The class was cancelled.
    ClassCancelled,
    /// The student is not in the class.
    NotEnrolled,
    /// The class has not begun.
    NotStarted,
    /// Post-class lab access has expired.
    Expired,
    /// The account is deactivated.
    StudentInactive,
}

/// Why a student may not open `class` at `now`, the first reason that holds; `None` if the student may: from the start of
/// the class until its post-class lab access expires.
pub fn denial(
    class: &Class,
    enrolled: bool,
    student_active: bool,
    now: DateTime<Utc>,
) -> Option<Denial> {
    // First, because it ended the enrollments too: the cause says more than the effect.
    if class.status == ClassStatus::Cancelled {
        return Some(Denial::ClassCancelled);
    }
    if !enrolled {
        return Some(Denial::NotEnrolled);
    }
    if !class.has_begun(now) {
        return Some(Denial::NotStarted);
    }
    if class.access_until() <= now {
        return Some(Denial::Expired);
    }
    (!student_active).then_some(Denial::StudentInactive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::class::tests::class;
    use chrono::TimeDelta;

    #[test]
    fn access_is_from_the_start_until_it_expires() {
        let class = class();
        let moment = TimeDelta::microseconds(1);
        let at = |now| denial(&class, true, true, now);
        assert_eq!(at(class.starts_at - moment), Some(Denial::NotStarted));
        assert_eq!(at(class.starts_at), None);
        assert_eq!(at(class.ends_at), None, "the labs stay open");
        assert_eq!(at(class.access_until() - moment), None);
        assert_eq!(at(class.access_until()), Some(Denial::Expired));
    }

    #[test]
    fn only_for_active_students_who_are_in_a_class_that_takes_place() {
        let mut class = class();
        let now = class.starts_at;
        assert_eq!(denial(&class, false, false, now), Some(Denial::NotEnrolled));
        assert_eq!(
            denial(&class, true, false, now),
            Some(Denial::StudentInactive)
        );
        class.status = ClassStatus::Cancelled;
        assert_eq!(
            denial(&class, false, true, now),
            Some(Denial::ClassCancelled)
        );
    }
}
