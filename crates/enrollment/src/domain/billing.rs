//! Who is billed, and why: what is due of an enrollment, given what was booked of it.
//!
//! An organization's time is closed up to some instant. What was booked before it never changes; whatever differs between
//! that and what is so now is due, and is booked after it. So nothing is lost by coming late, and nothing is billed twice.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::enrollment::{CancelledBy, Origin, Status};

/// By how much what is due may have happened before the end of closed time: longer than any transaction lasts from the
/// reading of its clock to its commit, and than a clock is ever set back.
pub const LATE: TimeDelta = TimeDelta::hours(1);

/// Why an enrollment is charged, or a charge is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The student is enrolled.
    Enrolled,
    /// The student cancelled.
    CancelledByStudent,
    /// Staff cancelled.
    CancelledByStaff,
    /// The class was cancelled.
    ClassCancelled,
    /// The student's account was erased.
    StudentErased,
    /// The student is in the class without a seat.
    MadeAudit,
    /// The student waits again: requested, wait-listed or approved.
    PutBack,
    /// The student was denied.
    Denied,
    /// The student was put back, and came in by another enrollment.
    Replaced,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Enrolled,
        Self::CancelledByStudent,
        Self::CancelledByStaff,
        Self::ClassCancelled,
        Self::StudentErased,
        Self::MadeAudit,
        Self::PutBack,
        Self::Denied,
        Self::Replaced,
    ];

    /// The name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::CancelledByStudent => "cancelled_by_student",
            Self::CancelledByStaff => "cancelled_by_staff",
            Self::ClassCancelled => "class_cancelled",
            Self::StudentErased => "student_erased",
            Self::MadeAudit => "made_audit",
            Self::PutBack => "put_back",
            Self::Denied => "denied",
            Self::Replaced => "replaced",
        }
    }

    /// The one with this stored name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// Whether it charges; else it takes a charge back.
    pub fn charges(self) -> bool {
        self == Self::Enrolled
    }
}

/// What a line tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The enrollment.
    pub enrollment_id: Uuid,
    /// The organization that is billed.
    pub organization_id: Uuid,
    /// The student.
    pub student_id: Uuid,
    /// The class.
    pub class_id: Uuid,
    /// Its name.
    pub class_name: String,
    /// The id of its course.
    pub course_id: String,
    /// The name of its course.
    pub course_name: String,
    /// How the student came.
    pub origin: Origin,
}

/// Where a line stands in a statement: by organization, then by what happened first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The organization.
    pub organization_id: Uuid,
    /// When what the line tells of happened.
    pub occurred_at: DateTime<Utc>,
    /// The enrollment.
    pub enrollment_id: Uuid,
    /// Which of the enrollment's lines it is.
    pub entry: i32,
}

/// A line of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it tells of.
    pub item: Item,
    /// Which of the enrollment's lines it is, from 1 on: odd ones charge, even ones take that back.
    pub entry: i32,
    /// Why.
    pub reason: Reason,
    /// To which instant it belongs.
    pub booked_at: DateTime<Utc>,
    /// When what it tells of happened.
    pub occurred_at: DateTime<Utc>,
    /// Whether it is closed, and never changes again.
    pub closed: bool,
}

impl Line {
    /// Where it stands.
    pub fn place(&self) -> Place {
        Place {
            organization_id: self.item.organization_id,
            occurred_at: self.occurred_at,
            enrollment_id: self.item.enrollment_id,
            entry: self.entry,
        }
    }
}

/// An enrollment as it is now, and what was booked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What its lines tell of.
    pub item: Item,
    /// Where it stands.
    pub status: Status,
    /// Since when it stands there.
    pub status_since: DateTime<Utc>,
    /// Who cancelled it; `None` unless it is cancelled.
    pub cancelled_by: Option<CancelledBy>,
    /// How many closed lines it has.
    pub entries: i32,
    /// Up to where the organization's time is closed, not included; `None` if none of it is.
    pub closed_until: Option<DateTime<Utc>>,
}

impl Account {
    /// The line that is due: a charge if the student is enrolled and not charged, the taking back of a charge if they are
    /// not enrolled any more. It is booked when that happened, or at the end of closed time if that is later.
    ///
    /// Nobody is enrolled in a class that is cancelled: it takes its enrollments along.
    pub fn due(&self) -> Option<Line> {
        let charged = self.entries % 2 == 1;
        let reason = self.reason();
        if charged == reason.charges() {
            return None;
        }
        let occurred_at = self.status_since;
        let closed_until = self.closed_until.unwrap_or(occurred_at);
        Some(Line {
            item: self.item.clone(),
            entry: self.entries + 1,
            reason,
            booked_at: occurred_at.max(closed_until),
            occurred_at,
            closed: false,
        })
    }

    /// Why it is billable as it is now, or why not.
    fn reason(&self) -> Reason {
        match self.status {
            Status::Enrolled => Reason::Enrolled,
            Status::Audit => Reason::MadeAudit,
            Status::Requested | Status::WaitListed | Status::Approved => Reason::PutBack,
            Status::Denied => Reason::Denied,
            Status::Cancelled => match self.cancelled_by {
                Some(CancelledBy::Student) => Reason::CancelledByStudent,
                Some(CancelledBy::Staff) | None => Reason::CancelledByStaff,
                Some(CancelledBy::Class) => Reason::ClassCancelled,
                Some(CancelledBy::Erasure) => Reason::StudentErased,
                Some(CancelledBy::Redemption) => Reason::Replaced,
            },
        }
    }
}

#[cfg(test)]
mod tests;
