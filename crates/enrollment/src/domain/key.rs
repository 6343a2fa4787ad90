//! What this service knows of training keys: their kinds.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a training key opens, and for how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Enrolls one student in one class.
    Enrollment,
    /// Enrolls everyone who has its code in one class, up to the class's maximum students.
    Event,
}

impl KeyKind {
    /// The name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enrollment => "enrollment",
            Self::Event => "event",
        }
    }

    /// The kind with this stored name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "enrollment" => Some(Self::Enrollment),
            "event" => Some(Self::Event),
            _ => None,
        }
    }
}

/// What the keys service says of one code. Never kept beyond the request it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedKey {
    /// The key.
    pub key_id: Uuid,
    /// Its kind.
    pub kind: KeyKind,
    /// The organization that owns it.
    pub organization_id: Uuid,
    /// The class it opens.
    pub class_id: Uuid,
    /// The generation this code belongs to.
    pub generation: i32,
    /// Until when this code is accepted, if a newer one replaced it. To be judged by the database's clock.
    pub code_valid_until: Option<DateTime<Utc>>,
    /// Whether the key was revoked, or is an event key that is turned off.
    pub revoked: bool,
    /// The live use of an enrollment key as the keys service has it: a copy, milliseconds late.
    pub live_use: Option<KeyUse>,
}

/// A recorded use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    /// The redemption, which is also the enrollment's id.
    pub redemption_id: Uuid,
    /// The student.
    pub student_id: Uuid,
}

/// A use of a key, as the keys service keeps a copy of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The redemption that used the key.
    pub redemption_id: Uuid,
    /// The key.
    pub key_id: Uuid,
    /// The student.
    pub student_id: Uuid,
    /// The generation of the code.
    pub generation: i32,
    /// When it was decided.
    pub redeemed_at: DateTime<Utc>,
    /// When it was given up; `None` while live.
    pub released_at: Option<DateTime<Utc>>,
}

/// Enrollment keys of one class by state. `generated` is the sum of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCount {
    /// The class.
    pub class_id: Uuid,
    /// All that were ever generated.
    pub generated: i64,
    /// Used by a student.
    pub redeemed: i64,
    /// Not used, revoked.
    pub revoked: i64,
    /// Not used, not revoked, out of time.
    pub expired: i64,
    /// Can be used.
    pub available: i64,
}
