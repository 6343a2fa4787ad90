//! Who is billed, and why: what is due of an enrollment or an assignment, given what was booked of it.
//!
//! An organization's time is closed up to some instant. What was booked before it never changes; whatever differs between
//! that and what is so now is due, and is booked after it. So nothing is lost by coming late, and nothing is billed twice.

use std::cmp::Ordering;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::assignment::EndedBy;
use super::enrollment::{CancelledBy, Origin, Status};
use super::profile::Course;

/// By how much what is due may have happened before the end of closed time: longer than any transaction lasts from the
/// reading of its clock to its commit, and than a clock is ever set back.
pub const LATE: TimeDelta = TimeDelta::hours(1);

/// The name of the kind of the keys of pools.
pub const POOL: &str = "pool";

/// The name of the kind of the keys of subscription profiles.
pub const SUBSCRIPTION: &str = "subscription";

/// Why something is charged, or a charge is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The student is enrolled.
    Enrolled,
    /// The student has what was assigned.
    Assigned,
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
    pub const ALL: [Self; 10] = [
        Self::Enrolled,
        Self::Assigned,
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
            Self::Assigned => "assigned",
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
        matches!(self, Self::Enrolled | Self::Assigned)
    }

    /// Why an enrollment in this status is billable, or why not. Nobody is enrolled in a class that is cancelled: it takes its
    /// enrollments along.
    pub fn of_enrollment(status: Status, cancelled_by: Option<CancelledBy>) -> Self {
        match status {
            Status::Enrolled => Self::Enrolled,
            Status::Audit => Self::MadeAudit,
            Status::Requested | Status::WaitListed | Status::Approved => Self::PutBack,
            Status::Denied => Self::Denied,
            Status::Cancelled => match cancelled_by {
                Some(CancelledBy::Student) => Self::CancelledByStudent,
                Some(CancelledBy::Staff) | None => Self::CancelledByStaff,
                Some(CancelledBy::Class) => Self::ClassCancelled,
                Some(CancelledBy::Erasure) => Self::StudentErased,
                Some(CancelledBy::Redemption) => Self::Replaced,
            },
        }
    }

    /// Why an assignment is billable, or why not: it is unless it was cancelled, whether or not it was used or has expired.
    pub fn of_assignment(ended_by: Option<EndedBy>) -> Self {
        match ended_by {
            None => Self::Assigned,
            Some(EndedBy::Student) => Self::CancelledByStudent,
            Some(EndedBy::Staff) => Self::CancelledByStaff,
        }
    }
}

/// What lines are of. Ids of the one may be ids of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// An assignment.
    Assignment,
    /// An enrollment.
    Enrollment,
}

impl ItemKind {
    /// Both, in their order.
    pub const ALL: [Self; 2] = [Self::Assignment, Self::Enrollment];

    /// The name, as it is stored: in the order of the kinds.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assignment => "assignment",
            Self::Enrollment => "enrollment",
        }
    }
}

/// What a line tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The id of the enrollment or assignment.
    pub id: Uuid,
    /// The organization that is billed.
    pub organization_id: Uuid,
    /// The student.
    pub student_id: Uuid,
    /// What the student got.
    pub got: Got,
}

/// What a student got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// A place in a class: the item is an enrollment.
    InClass {
        /// The class.
        class_id: Uuid,
        /// Its name.
        class_name: String,
        /// Its course.
        course: Course,
        /// How the student came.
        origin: Origin,
    },
    /// A course at their own pace, by the key of a pool: the item is an assignment.
    Course {
        /// The pool.
        pool_id: Uuid,
        /// The course.
        course: Course,
        /// The key.
        key_id: Uuid,
        /// The generation of its code.
        generation: i32,
    },
    /// The courses of a subscription profile: the item is an assignment.
    Subscription {
        /// The profile.
        profile_id: Uuid,
        /// Its name.
        profile_name: String,
        /// The key.
        key_id: Uuid,
        /// The generation of its code.
        generation: i32,
    },
}

/// By which key somebody got something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByKey {
    /// The key.
    pub id: Uuid,
    /// The name of its kind.
    pub kind: &'static str,
    /// The generation of its code.
    pub generation: i32,
}

impl Got {
    /// The kind of item that it is.
    pub fn kind(&self) -> ItemKind {
        match self {
            Self::InClass { .. } => ItemKind::Enrollment,
            Self::Course { .. } | Self::Subscription { .. } => ItemKind::Assignment,
        }
    }

    /// The class, by its id and name, if it is a place in one.
    pub fn class(&self) -> Option<(Uuid, &str)> {
        match self {
            Self::InClass {
                class_id,
                class_name,
                ..
            } => Some((*class_id, class_name)),
            Self::Course { .. } | Self::Subscription { .. } => None,
        }
    }

    /// The pool, if it came by the key of one.
    pub fn pool_id(&self) -> Option<Uuid> {
        match self {
            Self::InClass { .. } | Self::Subscription { .. } => None,
            Self::Course { pool_id, .. } => Some(*pool_id),
        }
    }

    /// The subscription profile, by its id and name, if it came by the key of one.
    pub fn profile(&self) -> Option<(Uuid, &str)> {
        match self {
            Self::InClass { .. } | Self::Course { .. } => None,
            Self::Subscription {
                profile_id,
                profile_name,
                ..
            } => Some((*profile_id, profile_name)),
        }
    }

    /// The course, if it is one only.
    pub fn course(&self) -> Option<&Course> {
        match self {
            Self::InClass { course, .. } | Self::Course { course, .. } => Some(course),
            Self::Subscription { .. } => None,
        }
    }

    /// The key, if it came by one.
    pub fn key(&self) -> Option<ByKey> {
        match *self {
            Self::InClass {
                origin: Origin::Direct,
                ..
            } => None,
            Self::InClass {
                origin:
                    Origin::Key {
                        key_id,
                        kind,
                        generation,
                    },
                ..
            } => Some(ByKey {
                id: key_id,
                kind: kind.as_str(),
                generation,
            }),
            Self::Course {
                key_id, generation, ..
            } => Some(ByKey {
                id: key_id,
                kind: POOL,
                generation,
            }),
            Self::Subscription {
                key_id, generation, ..
            } => Some(ByKey {
                id: key_id,
                kind: SUBSCRIPTION,
                generation,
            }),
        }
    }
}

/// Where a line stands in a statement: by organization, then by what happened first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The organization.
    pub organization_id: Uuid,
    /// When what the line tells of happened.
    pub occurred_at: DateTime<Utc>,
    /// The enrollment or assignment.
    pub item_id: Uuid,
    /// Which of the two it is.
    pub kind: ItemKind,
    /// Which of the item's lines it is.
    pub entry: i32,
}

impl Place {
    /// After which of its lines an item of `kind` goes on behind this place, if it has the same id, and what happened to it
    /// happened at the same time.
    pub fn entry_of(&self, kind: ItemKind) -> i32 {
        match kind.cmp(&self.kind) {
            Ordering::Less => i32::MAX,
            Ordering::Equal => self.entry,
            Ordering::Greater => 0,
        }
    }
}

/// A line of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it tells of.
    pub item: Item,
    /// Which of the item's lines it is, from 1 on: odd ones charge, even ones take that back.
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
            item_id: self.item.id,
            kind: self.item.got.kind(),
            entry: self.entry,
        }
    }
}

/// An enrollment or assignment as it is now, and what was booked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What its lines tell of.
    pub item: Item,
    /// Why it is billable as it is now, or why not.
    pub reason: Reason,
    /// Since when.
    pub since: DateTime<Utc>,
    /// How many closed lines it has.
    pub entries: i32,
    /// Up to where the organization's time is closed, not included; `None` if none of it is.
    pub closed_until: Option<DateTime<Utc>>,
}

impl Account {
    /// The line that is due: a charge if it is billable and not charged, the taking back of a charge if it is not billable any
    /// more. It is booked when that happened, or at the end of closed time if that is later.
    pub fn due(&self) -> Option<Line> {
        let charged = self.entries % 2 == 1;
        if charged == self.reason.charges() {
            return None;
        }
        let closed_until = self.closed_until.unwrap_or(self.since);
        Some(Line {
            item: self.item.clone(),
            entry: self.entries + 1,
            reason: self.reason,
            booked_at: self.since.max(closed_until),
            occurred_at: self.since,
            closed: false,
        })
    }
}

#[cfg(test)]
mod tests;
