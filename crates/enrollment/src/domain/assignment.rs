//! A course that a student takes at their own pace, by a key of a pool.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::key::PoolTerms;
use super::refusal::{Closed, Refusal};

/// The longest that a course stays open to a student, whatever a pool says.
pub const LONGEST: TimeDelta = TimeDelta::days(180);

/// For how long an assignment can be cancelled.
pub const CANCELLABLE_FOR: TimeDelta = TimeDelta::hours(24);

/// Who ended an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The student.
    Student,
    /// An administrator or operations manager.
    Staff,
}

impl EndedBy {
    /// The name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Staff => "staff",
        }
    }

    /// The one with this stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Student, Self::Staff]
            .into_iter()
            .find(|by| by.as_str() == name)
    }
}

/// Where an assignment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The student has it.
    Assigned,
    /// It was cancelled: nothing had been launched.
    Cancelled {
        /// Since when.
        at: DateTime<Utc>,
        /// By whom.
        by: EndedBy,
    },
}

/// A course assigned to a student.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CourseAssignment {
    /// Its id: that of the redemption that made it.
    pub id: Uuid,
    /// The pool whose key was redeemed.
    pub pool_id: Uuid,
    /// The organization that owns the pool.
    pub organization_id: Uuid,
    /// The student.
    pub student_id: Uuid,
    /// The platform's id of the course.
    pub course_id: String,
    /// The course's name.
    pub course_name: String,
    /// The key.
    pub key_id: Uuid,
    /// The generation of its code.
    pub generation: i32,
    /// Where it stands.
    pub status: Status,
    /// When it was redeemed.
    pub assigned_at: DateTime<Utc>,
    /// The first instant at which the course is not open any more.
    pub expires_at: DateTime<Utc>,
    /// When the student launched something of it first; `None` before.
    pub launched_at: Option<DateTime<Utc>>,
}

impl CourseAssignment {
    /// Whether the student has it: not cancelled, whether or not it has expired.
    pub fn is_live(&self) -> bool {
        self.status == Status::Assigned
    }

    /// Whether it may be cancelled at `now`: for 24 hours, as long as nothing was launched.
    pub fn judge_cancellation(&self, now: DateTime<Utc>) -> Result<(), Refusal> {
        let until = self.assigned_at + CANCELLABLE_FOR;
        if self.launched_at.is_some() {
            Err(Refusal::AssignmentLaunched {
                assignment_id: self.id,
            })
        } else if until <= now {
            Err(Refusal::WindowClosed {
                of: Closed::Assignment(self.id),
                closed_at: until,
                time_zone: chrono_tz::UTC,
            })
        } else {
            Ok(())
        }
    }
}

/// Until when the course of a pool is open to whoever redeems one of its keys at `now`.
pub fn expiry(terms: &PoolTerms, now: DateTime<Utc>) -> DateTime<Utc> {
    now + terms.availability.min(LONGEST)
}

/// Why a student may not open a course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The student has no assignment of it.
    NotAssigned,
    /// Every assignment of it has expired.
    Expired,
    /// The account is deactivated.
    StudentInactive,
}

/// Why a student may not open the course of `assignment` (the one that is open longest, if there is one) at `now`, the first
/// reason that holds; `None` if the student may.
pub fn denial(
    assignment: Option<&CourseAssignment>,
    student_active: bool,
    now: DateTime<Utc>,
) -> Option<Denial> {
    match assignment {
        None => Some(Denial::NotAssigned),
        Some(assignment) if assignment.expires_at <= now => Some(Denial::Expired),
        Some(_) => (!student_active).then_some(Denial::StudentInactive),
    }
}

#[cfg(test)]
pub(crate) mod sample {
    use super::*;

    /// The terms of a pool that is open in the first days of 2030, with content for 30 days.
    pub(crate) fn terms() -> PoolTerms {
        let at = |text: &str| text.parse().expect("a time");
        PoolTerms {
            pool_id: Uuid::from_u128(0x90),
            course_id: "linux-101".to_owned(),
            course_name: "Linux".to_owned(),
            starts_at: at("2030-01-01T00:00:00Z"),
            expires_at: at("2030-02-01T00:00:00Z"),
            availability: TimeDelta::days(30),
            open_to_descendants: true,
        }
    }

    /// An assignment of that pool, made on its first day.
    pub(crate) fn assignment() -> CourseAssignment {
        let terms = terms();
        CourseAssignment {
            id: Uuid::from_u128(0xa5),
            pool_id: terms.pool_id,
            organization_id: Uuid::from_u128(2),
            student_id: Uuid::from_u128(100),
            key_id: Uuid::from_u128(30),
            generation: 1,
            status: Status::Assigned,
            assigned_at: terms.starts_at,
            expires_at: expiry(&terms, terms.starts_at),
            launched_at: None,
            course_id: terms.course_id,
            course_name: terms.course_name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sample::{assignment, terms};
    use super::*;

    const MOMENT: TimeDelta = TimeDelta::microseconds(1);

    #[test]
    fn a_course_is_open_for_180_days_at_most_unless_the_pool_says_less() {
        let mut terms = terms();
        let now = terms.starts_at;
        assert_eq!(expiry(&terms, now), now + TimeDelta::days(30));
        terms.availability = TimeDelta::days(500);
        assert_eq!(expiry(&terms, now), now + TimeDelta::days(180));
    }

    #[test]
    fn it_can_be_cancelled_for_a_day_as_long_as_nothing_was_launched() {
        let mut assignment = assignment();
        let end = assignment.assigned_at + TimeDelta::hours(24);
        assert_eq!(assignment.judge_cancellation(end - MOMENT), Ok(()));
        let reason = |assignment: &CourseAssignment, at| {
            assignment.judge_cancellation(at).unwrap_err().reason()
        };
        assert_eq!(reason(&assignment, end), "WINDOW_CLOSED");
        assignment.launched_at = Some(end - MOMENT);
        assert_eq!(reason(&assignment, end - MOMENT), "ASSIGNMENT_LAUNCHED");
    }

    #[test]
    fn it_opens_the_course_until_it_expires_for_active_students() {
        let assignment = assignment();
        let now = assignment.assigned_at;
        let of = |active, now| denial(Some(&assignment), active, now);
        assert_eq!(of(true, now), None);
        assert_eq!(of(true, assignment.expires_at - MOMENT), None);
        assert_eq!(of(false, now), Some(Denial::StudentInactive));
        assert_eq!(of(false, assignment.expires_at), Some(Denial::Expired));
        assert_eq!(denial(None, true, now), Some(Denial::NotAssigned));
    }

    #[test]
    fn who_ended_it_comes_back_from_its_name() {
        for by in [EndedBy::Student, EndedBy::Staff] {
            assert_eq!(EndedBy::parse(by.as_str()), Some(by));
        }
        assert_eq!(EndedBy::parse("class"), None);
    }
}
