//! What the keys service must know of a class: a small versioned copy.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use uuid::Uuid;

use super::class::{Class, ClassStatus};

/// Where the thing stands that a grant is the copy of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GrantStatus {
    /// The class is being created.
    Creating,
    /// The class is tentative, scheduled or guaranteed to run.
    Open,
    /// The class was cancelled.
    Cancelled,
}

/// The copy of a class in the keys service. Never used for admitting a student.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The class.
    pub class_id: Uuid,
    /// The organization that owns it.
    pub organization_id: Uuid,
    /// Its name.
    pub name: String,
    /// Subjects of its instructors.
    pub instructors: Vec<String>,
    /// When it starts.
    pub starts_at: DateTime<Utc>,
    /// When it ends: until then its enrollment keys can be redeemed.
    pub ends_at: DateTime<Utc>,
    /// Until when its event key can be redeemed.
    pub event_key_until: DateTime<Utc>,
    /// Its zone.
    pub time_zone: Tz,
    /// Where it stands.
    pub status: GrantStatus,
    /// The most live enrollment keys it may have.
    pub maximum_keys: i32,
    /// Whether the maximum students is only a default.
    pub maximum_is_default: bool,
    /// The class's version; 0 while it is being created. The newer version wins.
    pub version: i64,
}

impl Grant {
    /// The copy of a class that exists.
    pub fn of(class: &Class) -> Self {
        let status = match class.status {
            ClassStatus::Cancelled => GrantStatus::Cancelled,
            ClassStatus::Tentative | ClassStatus::Scheduled | ClassStatus::GuaranteedToRun => {
                GrantStatus::Open
            }
        };
        Self::with(class, status, class.version)
    }

    /// The copy of a class that is about to be created: it opens nothing, and every version of the class is newer.
    pub fn creating(class: &Class) -> Self {
        Self::with(class, GrantStatus::Creating, 0)
    }

    fn with(class: &Class, status: GrantStatus, version: i64) -> Self {
        Self {
            class_id: class.id,
            organization_id: class.organization_id,
            name: class.name.clone(),
            instructors: class.instructors.clone(),
            starts_at: class.starts_at,
            ends_at: class.ends_at,
            event_key_until: class.windows().event_key_until,
            time_zone: class.time_zone,
            status,
            maximum_keys: class.maximum_students,
            maximum_is_default: class.maximum_is_default,
            version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::class::EventKeyWindow;
    use crate::domain::class::tests::class;

    #[test]
    fn the_copy_carries_the_windows_and_the_limit() {
        let mut class = class();
        class.event_key_window = EventKeyWindow::UntilAccessExpires;
        let grant = Grant::of(&class);
        assert_eq!(
            (grant.ends_at, grant.event_key_until),
            (class.ends_at, class.access_until())
        );
        assert_eq!(
            (grant.maximum_keys, grant.status, grant.version),
            (30, GrantStatus::Open, 1)
        );
    }

    #[test]
    fn every_version_of_a_class_is_newer_than_its_creation() {
        let mut class = class();
        assert_eq!(Grant::creating(&class).version, 0);
        assert_eq!(Grant::creating(&class).status, GrantStatus::Creating);
        class.status = ClassStatus::Cancelled;
        assert_eq!(Grant::of(&class).status, GrantStatus::Cancelled);
    }
}
