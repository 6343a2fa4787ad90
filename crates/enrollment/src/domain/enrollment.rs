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
}

impl CancelledBy {
    /// The name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Staff => "staff",
            Self::Class => "class",
            Self::Erasure => "erasure",
        }
    }

    /// The one with this stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Student, Self::Staff, Self::Class, Self::Erasure]
            .into_iter()
            .find(|by| by.as_str() == name)
    }
}

/// Where an enrollment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// In the class; takes a seat.
    Enrolled,
    /// No longer in the class.
    Cancelled {
        /// Since when.
        at: DateTime<Utc>,
        /// By whom.
        by: CancelledBy,
    },
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
    /// How the student came.
    pub origin: Origin,
    /// When the student came.
    pub enrolled_at: DateTime<Utc>,
}

impl Enrollment {
    /// Whether the student is in.
    pub fn is_live(&self) -> bool {
        self.status == Status::Enrolled
    }
}
