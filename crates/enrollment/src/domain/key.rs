//! What this service knows of training keys: their kinds.

use serde::{Deserialize, Serialize};

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
