//! A student's place in a class.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::key::KeyKind;

/// Who ended an enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelledBy {
    /// The student.
    Student,
    /// An administrator or operations manager.
    Staff,
    /// The class was cancelled.
    Class,
    /// The student's account was erased.
    Erasure,
    /// The student was waiting, and redeemed a key into a free seat: another enrollment took the place of this one.
    Redemption,
}

impl CancelledBy {
    /// The name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Staff => "staff",
            Self::Class => "class",
            Self::Erasure => "erasure",
            Self::Redemption => "redemption",
        }
    }

    /// The one with this stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Student,
            Self::Staff,
            Self::Class,
            Self::Erasure,
            Self::Redemption,
        ]
        .into_iter()
        .find(|by| by.as_str() == name)
    }
}

/// Where an enrollment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The student asks to be let in.
    Requested,
    /// The student waits for a seat.
    WaitListed,
    /// The student may come, and has no seat yet.
    Approved,
    /// The student may not come.
    Denied,
    /// In the class, without a seat.
    Audit,
    /// In the class, with a seat.
    Enrolled,
    /// No longer in the class.
    Cancelled,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Requested,
        Self::WaitListed,
        Self::Approved,
        Self::Denied,
        Self::Audit,
        Self::Enrolled,
        Self::Cancelled,
    ];

    /// The name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::WaitListed => "wait_listed",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Audit => "audit",
            Self::Enrolled => "enrolled",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status with this stored name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether it counts: a student has one live enrollment in a class at most, and only a live one holds a key.
    pub fn is_live(self) -> bool {
        !matches!(self, Self::Denied | Self::Cancelled)
    }

    /// Whether it takes one of the class's seats.
    pub fn takes_seat(self) -> bool {
        self == Self::Enrolled
    }

    /// Whether the student may open the class.
    pub fn opens_class(self) -> bool {
        matches!(self, Self::Audit | Self::Enrolled)
    }

    /// Whether the student is not in the class yet and may still come in.
    pub fn is_waiting(self) -> bool {
        self.is_live() && !self.opens_class()
    }
}

/// How far a student came in a class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Completion {
    /// Nobody has said.
    #[default]
    Unknown,
    /// The student attends.
    Attending,
    /// The student has completed it.
    Complete,
    /// The student has not completed it.
    Incomplete,
    /// The student did not come.
    NoShow,
    /// The student has failed.
    Failed,
}

impl Completion {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Unknown,
        Self::Attending,
        Self::Complete,
        Self::Incomplete,
        Self::NoShow,
        Self::Failed,
    ];

    /// The name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Attending => "attending",
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::NoShow => "no_show",
            Self::Failed => "failed",
        }
    }

    /// The one with this stored name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// How a student came into a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Staff enrolled the student.
    Direct,
    /// The student redeemed a key.
    Key {
        /// The key.
        key_id: Uuid,
        /// Its kind.
        kind: KeyKind,
        /// The generation of the code that was typed.
        generation: i32,
    },
}

impl Origin {
    /// The key, if it was one.
    pub fn key_id(self) -> Option<Uuid> {
        match self {
            Self::Direct => None,
            Self::Key { key_id, .. } => Some(key_id),
        }
    }
}

/// A student's place in a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrollment {
    /// Its id: that of the redemption or of the direct request that made it.
    pub id: Uuid,
    /// The class.
    pub class_id: Uuid,
    /// The organization that owns the class.
    pub organization_id: Uuid,
    /// The student.
    pub student_id: Uuid,
    /// Where it stands.
    pub status: Status,
    /// Since when it stands there.
    pub status_since: DateTime<Utc>,
    /// Who cancelled it; `None` unless it is cancelled.
    pub cancelled_by: Option<CancelledBy>,
    /// Whether a seat was given up so shortly before the class began that it counts as late.
    pub late_cancellation: bool,
    /// How far the student came.
    pub completion: Completion,
    /// How the student came.
    pub origin: Origin,
    /// When the student came, in whatever status.
    pub enrolled_at: DateTime<Utc>,
    /// Grows with every change.
    pub version: i64,
}

impl Enrollment {
    /// Whether it counts; see [`Status::is_live`].
    pub fn is_live(&self) -> bool {
        self.status.is_live()
    }

    /// It as it is once it is of another class of the same organization: in the same status, since then as ever.
    pub fn in_class(&self, class_id: Uuid) -> Self {
        Self {
            class_id,
            completion: Completion::Unknown,
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// It as it is once it stands in the status `to`, from `now` on.
    pub fn in_status(
        &self,
        to: Status,
        cancelled_by: Option<CancelledBy>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            status: to,
            status_since: now,
            cancelled_by,
            late_cancellation: false,
            version: self.version + 1,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_as_they_are_stored() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(Status::parse("unknown"), None);
        for completion in Completion::ALL {
            assert_eq!(Completion::parse(completion.as_str()), Some(completion));
        }
        assert_eq!(Completion::parse("enrolled"), None);
    }

    #[test]
    fn live_is_all_but_denied_and_cancelled_a_seat_is_for_the_enrolled_and_access_for_auditors_too()
    {
        let those = |which: fn(Status) -> bool| {
            let all = Status::ALL.into_iter();
            all.filter(|status| which(*status)).collect::<Vec<_>>()
        };
        let dead = those(|status| !status.is_live());
        assert_eq!(dead, [Status::Denied, Status::Cancelled]);
        assert_eq!(those(Status::takes_seat), [Status::Enrolled]);
        assert_eq!(
            those(Status::opens_class),
            [Status::Audit, Status::Enrolled]
        );
        assert_eq!(
            those(Status::is_waiting),
            [Status::Requested, Status::WaitListed, Status::Approved]
        );
    }
}
