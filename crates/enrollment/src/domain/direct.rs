//! Letting a student into a class without a key.

use chrono::{DateTime, Utc};

use super::class::{Class, ClassStatus};
use super::enrollment::Status;
use super::organization;
use super::refusal::{Closed, Refusal};
use super::student::Student;

/// Whether `student`, whose organization stands below `ancestors` and who is not in, may be brought into the live
/// status `to` in `class` at `now`. Tentative classes too, and until post-class lab access expires; never past the
/// maximum students, which only those count against who take a seat.
///
/// The first reason that holds wins, in the order in which a redemption is judged.
pub fn judge(
    class: &Class,
    student: &Student,
    ancestors: &[uuid::Uuid],
    to: Status,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let class_id = class.id;
    if !organization::is_or_is_below(student.organization_id, ancestors, class.organization_id) {
        return Err(Refusal::OrganizationMismatch);
    }
    if class.status == ClassStatus::Cancelled {
        return Err(Refusal::ClassCancelled { class_id });
    }
    let closed_at = class.access_until();
    if closed_at <= now {
        let time_zone = class.time_zone;
        return Err(Refusal::WindowClosed {
            of: Closed::Class(class_id),
            closed_at,
            time_zone,
        });
    }
    if !student.active {
        return Err(Refusal::StudentInactive {
            student_id: student.id,
        });
    }
    if to.takes_seat() && class.seats_left() == 0 {
        return Err(Refusal::ClassFull {
            class_id,
            maximum_students: class.maximum_students,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::class::tests::class;
    use crate::domain::student::tests::student;
    use chrono::TimeDelta;
    use uuid::Uuid;

    fn reason(class: &Class, student: &Student, now: DateTime<Utc>) -> Option<&'static str> {
        judge(
            class,
            student,
            &[class.organization_id],
            Status::Enrolled,
            now,
        )
        .err()
        .map(|refusal| refusal.reason())
    }

    #[test]
    fn a_student_below_the_class_gets_a_free_seat_even_while_the_class_is_tentative() {
        let (mut class, student) = (class(), student());
        for status in [
            ClassStatus::Tentative,
            ClassStatus::Scheduled,
            ClassStatus::GuaranteedToRun,
        ] {
            class.status = status;
            assert_eq!(reason(&class, &student, class.starts_at), None);
        }
        assert_eq!(
            judge(&class, &student, &[], Status::Enrolled, class.starts_at),
            Err(Refusal::OrganizationMismatch)
        );
    }

    #[test]
    fn only_who_takes_a_seat_needs_one() {
        let (mut class, student) = (class(), student());
        class.seats_taken = class.maximum_students;
        let above = [class.organization_id];
        for to in Status::ALL.into_iter().filter(|to| to.is_live()) {
            let judged = judge(&class, &student, &above, to, class.starts_at);
            assert_eq!(judged.is_err(), to == Status::Enrolled, "{to:?}");
        }
    }

    #[test]
    fn until_post_class_access_expires() {
        let (class, student) = (class(), student());
        let end = class.access_until();
        let before = end - TimeDelta::microseconds(1);
        assert_eq!(reason(&class, &student, before), None);
        assert_eq!(reason(&class, &student, end), Some("WINDOW_CLOSED"));
    }

    #[test]
    fn the_first_reason_wins() {
        let (mut class, mut student) = (class(), student());
        class.seats_taken = class.maximum_students;
        assert_eq!(
            reason(&class, &student, class.starts_at),
            Some("CLASS_FULL")
        );
        student.active = false;
        assert_eq!(
            reason(&class, &student, class.starts_at),
            Some("STUDENT_INACTIVE")
        );
        let late = class.access_until();
        assert_eq!(reason(&class, &student, late), Some("WINDOW_CLOSED"));
        class.status = ClassStatus::Cancelled;
        assert_eq!(reason(&class, &student, late), Some("CLASS_CANCELLED"));
        let elsewhere = [Uuid::from_u128(77)];
        assert_eq!(
            judge(&class, &student, &elsewhere, Status::Enrolled, late),
            Err(Refusal::OrganizationMismatch)
        );
    }
}
