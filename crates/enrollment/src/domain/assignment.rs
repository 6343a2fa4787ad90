//! Courses that a student takes at their own pace: one by a key of a pool, or those of a subscription profile.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::key::{PoolTerms, SubscriptionTerms};
use super::profile::{Course, Profile};
use super::refusal::{Closed, Refusal};

/// The longest that the course of a pool stays open to a student, whatever the pool says.
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

/// What is assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assigned {
    /// A course, as the pool had it when its key was redeemed.
    Course {
        /// The pool.
        pool_id: Uuid,
        /// The course.
        course: Course,
    },
    /// The courses of a subscription profile, as it is now.
    Subscription {
        /// The profile.
        profile_id: Uuid,
        /// Its name.
        profile_name: String,
        /// Its courses.
        courses: Vec<Course>,
    },
}

impl Assigned {
    /// The pool or subscription profile.
    pub fn opens_id(&self) -> Uuid {
        match self {
            Self::Course { pool_id, .. } => *pool_id,
            Self::Subscription { profile_id, .. } => *profile_id,
        }
    }
}

/// Something assigned to a student.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Its id: that of the redemption that made it.
    pub id: Uuid,
    /// What.
    pub assigned: Assigned,
    /// The organization that owns the pool or profile.
    pub organization_id: Uuid,
    /// The student.
    pub student_id: Uuid,
    /// The key.
    pub key_id: Uuid,
    /// The generation of its code.
    pub generation: i32,
    /// Where it stands.
    pub status: Status,
    /// When it was redeemed.
    pub assigned_at: DateTime<Utc>,
    /// The first instant at which it is not open any more.
    pub expires_at: DateTime<Utc>,
    /// When the student launched something of it first; `None` before.
    pub launched_at: Option<DateTime<Utc>>,
}

impl Assignment {
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

/// Until when the courses of `profile` are open to whoever redeems a key with these `terms` at `now`.
pub fn subscription_expiry(
    terms: &SubscriptionTerms,
    profile: &Profile,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    terms
        .content_expires_at
        .unwrap_or(now + profile.settings.duration)
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
    assignment: Option<&Assignment>,
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
    pub(crate) fn assignment() -> Assignment {
        let terms = terms();
        Assignment {
            id: Uuid::from_u128(0xa5),
            organization_id: Uuid::from_u128(2),
            student_id: Uuid::from_u128(100),
            key_id: Uuid::from_u128(30),
            generation: 1,
            status: Status::Assigned,
            assigned_at: terms.starts_at,
            expires_at: expiry(&terms, terms.starts_at),
            launched_at: None,
            assigned: Assigned::Course {
                pool_id: terms.pool_id,
                course: terms.course(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sample::{assignment, terms};
    use super::*;
    use crate::domain::key::RecordedUses;
    use crate::domain::profile::sample::profile;

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
    fn a_subscription_lasts_as_its_profile_says_unless_the_key_names_a_time() {
        let profile = profile();
        let now = profile.created_at;
        let mut terms = SubscriptionTerms {
            profile_id: profile.id,
            max_uses: Some(1),
            expires_at: None,
            content_expires_at: None,
            recorded: RecordedUses::default(),
        };
        let expiry = |terms: &SubscriptionTerms| subscription_expiry(terms, &profile, now);
        assert_eq!(expiry(&terms), now + TimeDelta::days(90));
        let fixed = now + TimeDelta::days(400);
        terms.content_expires_at = Some(fixed);
        assert_eq!(expiry(&terms), fixed, "also later than the profile says");
    }

    #[test]
    fn it_can_be_cancelled_for_a_day_as_long_as_nothing_was_launched() {
        let mut assignment = assignment();
        let end = assignment.assigned_at + TimeDelta::hours(24);
        assert_eq!(assignment.judge_cancellation(end - MOMENT), Ok(()));
        let reason =
            |assignment: &Assignment, at| assignment.judge_cancellation(at).unwrap_err().reason();
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
