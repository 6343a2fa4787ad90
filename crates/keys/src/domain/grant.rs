//! Grants: what keys open. A copy of a class or a subscription profile that the enrollment service owns, or a pool, which is kept
//! here.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use uuid::Uuid;

/// What a grant stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GrantKind {
    /// A class of the enrollment service's.
    Class,
    /// A pool of keys for one course.
    Pool,
    /// A subscription profile of the enrollment service's.
    Profile,
}

impl GrantKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Class, Self::Pool, Self::Profile];

    /// The kind as the database keeps it.
    pub fn as_text(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Pool => "pool",
            Self::Profile => "profile",
        }
    }

    /// The kind that the database keeps as `text`.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_text() == text)
    }

    /// What such a resource is called in the audit trail.
    pub fn resource_type(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Pool => "key_pool",
            Self::Profile => "subscription_profile",
        }
    }

    /// The field by which details of the audit trail name it.
    pub fn id_field(self) -> &'static str {
        match self {
            Self::Class => "class_id",
            Self::Pool => "pool_id",
            Self::Profile => "profile_id",
        }
    }
}

/// The state of what a grant stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GrantStatus {
    /// The class is being created: its event key may be set, and for everybody else it does not exist.
    Creating,
    /// The class is tentative, scheduled or guaranteed to run; a pool and a profile always are.
    Open,
    /// The class was cancelled.
    Cancelled,
}

impl GrantStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Creating, Self::Open, Self::Cancelled];

    /// The status as the database keeps it.
    pub fn as_text(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Open => "open",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status that the database keeps as `text`.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_text() == text)
    }
}

/// When keys open what they open, as far as that lays it down for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dates {
    /// When it starts.
    pub starts_at: DateTime<Utc>,
    /// When it ends; of a pool, when its keys expire.
    pub ends_at: DateTime<Utc>,
    /// Until when its event key can be redeemed.
    pub event_key_until: DateTime<Utc>,
}

/// What keys open, as far as all kinds have it in common: for visibility, for the generation limit, and for showing keys as
/// expired. Of a class or a profile it is a copy, and never for admitting a student.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The class, pool or profile.
    pub grant_id: Uuid,
    /// Which of them it is.
    pub kind: GrantKind,
    /// The organization that owns it.
    pub organization_id: Uuid,
    /// Its name.
    pub name: String,
    /// Subjects of its instructors.
    pub instructors: Vec<String>,
    /// Its dates; `None` for a profile, whose keys have times of their own.
    pub dates: Option<Dates>,
    /// Its time zone.
    pub zone: Tz,
    /// Its state.
    pub status: GrantStatus,
    /// The most live keys for one student each that it may have; `None` for as many as are wanted.
    pub maximum_keys: Option<i32>,
    /// True while the maximum is only a default.
    pub maximum_is_default: bool,
    /// Grows with every change; 0 while the class is being created.
    pub version: i64,
}

#[cfg(test)]
pub(crate) mod sample {
    use super::*;

    /// A class in Berlin on 1 March 2030, 8:00 to 16:00 UTC, with 30 seats.
    pub(crate) fn grant() -> Grant {
        let at = |text: &str| text.parse().expect("a time");
        Grant {
            grant_id: Uuid::from_u128(0xc1),
            kind: GrantKind::Class,
            organization_id: Uuid::from_u128(0x01),
            name: "Rust in a day".to_owned(),
            instructors: vec!["ann".to_owned()],
            dates: Some(Dates {
                starts_at: at("2030-03-01T08:00:00Z"),
                ends_at: at("2030-03-01T16:00:00Z"),
                event_key_until: at("2030-08-28T15:00:00Z"),
            }),
            zone: chrono_tz::Europe::Berlin,
            status: GrantStatus::Open,
            maximum_keys: Some(30),
            maximum_is_default: false,
            version: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_comes_back_from_its_text() {
        for status in GrantStatus::ALL {
            assert_eq!(GrantStatus::from_text(status.as_text()), Some(status));
        }
        assert_eq!(GrantStatus::from_text("Open"), None);
    }

    #[test]
    fn a_kind_comes_back_from_its_text() {
        for kind in GrantKind::ALL {
            assert_eq!(GrantKind::from_text(kind.as_text()), Some(kind));
        }
        assert_eq!(GrantKind::from_text("key_pool"), None);
    }
}
