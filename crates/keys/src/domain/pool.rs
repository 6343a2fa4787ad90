//! Pools: keys for one course, to be taken at the student's own pace.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::grant::{Dates, Grant, GrantKind, GrantStatus};

/// The longest that what a pool key opens stays open after its redemption; a pool that says nothing has it.
pub const MAXIMUM_AVAILABILITY: TimeDelta = TimeDelta::days(180);

/// What is decided about a pool when it is created, and may be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// Its name.
    pub name: String,
    /// The platform's id of its course.
    pub course_id: String,
    /// The course's name.
    pub course_name: String,
    /// From when on its keys can be redeemed.
    pub starts_at: DateTime<Utc>,
    /// The first instant at which they can be redeemed no more.
    pub expires_at: DateTime<Utc>,
    /// For how long the course stays open after a redemption: whole seconds, [`MAXIMUM_AVAILABILITY`] at most.
    pub availability: TimeDelta,
    /// Whether students of the organizations below may redeem its keys too.
    pub open_to_descendants: bool,
}

/// A setting that breaks a rule: its name in the contract, and what is wrong with it, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The setting.
    pub field: &'static str,
    /// What is wrong with it.
    pub description: &'static str,
}

impl PoolSettings {
    /// Everything that is wrong with them together. Empty when they may be so.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.expires_at <= self.starts_at {
            faults.push(Fault {
                field: "expire_time",
                description: "must be after start_time",
            });
        }
        let availability = self.availability;
        if availability.subsec_nanos() != 0
            || availability < TimeDelta::seconds(1)
            || availability > MAXIMUM_AVAILABILITY
        {
            faults.push(Fault {
                field: "availability",
                description: "must be of whole seconds, at least 1 second and at most 180 days",
            });
        }
        faults
    }
}

/// What an edit changes; `None` leaves a setting as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolChange {
    /// Its name.
    pub name: Option<String>,
    /// The platform's id of its course.
    pub course_id: Option<String>,
    /// The course's name.
    pub course_name: Option<String>,
    /// From when on its keys can be redeemed.
    pub starts_at: Option<DateTime<Utc>>,
    /// The first instant at which they can be redeemed no more.
    pub expires_at: Option<DateTime<Utc>>,
    /// For how long the course stays open after a redemption.
    pub availability: Option<TimeDelta>,
    /// Whether students of the organizations below may redeem its keys too.
    pub open_to_descendants: Option<bool>,
}

impl PoolChange {
    /// The settings after the change.
    pub fn apply(&self, present: &PoolSettings) -> PoolSettings {
        let this = self.clone();
        let present = present.clone();
        PoolSettings {
            name: this.name.unwrap_or(present.name),
            course_id: this.course_id.unwrap_or(present.course_id),
            course_name: this.course_name.unwrap_or(present.course_name),
            starts_at: this.starts_at.unwrap_or(present.starts_at),
            expires_at: this.expires_at.unwrap_or(present.expires_at),
            availability: this.availability.unwrap_or(present.availability),
            open_to_descendants: this
                .open_to_descendants
                .unwrap_or(present.open_to_descendants),
        }
    }
}

/// A pool of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPool {
    /// Its id.
    pub pool_id: Uuid,
    /// The organization that owns it.
    pub organization_id: Uuid,
    /// Its settings.
    pub settings: PoolSettings,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Who created it: a token's subject.
    pub created_by: String,
    /// One more with each change.
    pub version: i64,
}

impl KeyPool {
    /// What its keys open, as all kinds have it in common.
    pub fn grant(&self) -> Grant {
        Grant {
            grant_id: self.pool_id,
            kind: GrantKind::Pool,
            organization_id: self.organization_id,
            name: self.settings.name.clone(),
            instructors: Vec::new(),
            dates: Some(Dates {
                starts_at: self.settings.starts_at,
                ends_at: self.settings.expires_at,
                event_key_until: self.settings.expires_at,
            }),
            // Courses that are taken at one's own pace take place nowhere.
            zone: chrono_tz::UTC,
            status: GrantStatus::Open,
            maximum_keys: None,
            maximum_is_default: false,
            version: self.version,
        }
    }
}

/// The settings of a pool for the audit trail.
pub fn described(settings: &PoolSettings) -> Map<String, Value> {
    let all = json!({
        "name": settings.name,
        "course_id": settings.course_id,
        "course_name": settings.course_name,
        "start_time": settings.starts_at,
        "expire_time": settings.expires_at,
        "availability_seconds": settings.availability.num_seconds(),
        "open_to_descendants": settings.open_to_descendants,
    });
    match all {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::audit::difference;
    use super::*;

    fn settings() -> PoolSettings {
        let at = |text: &str| text.parse().expect("a time");
        PoolSettings {
            name: "Autumn".to_owned(),
            course_id: "linux-101".to_owned(),
            course_name: "Linux".to_owned(),
            starts_at: at("2030-09-01T00:00:00Z"),
            expires_at: at("2030-12-01T00:00:00Z"),
            availability: TimeDelta::days(30),
            open_to_descendants: false,
        }
    }

    fn faulty(change: &PoolChange) -> Vec<&'static str> {
        let faults = change.apply(&settings()).faults();
        faults.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn a_pool_expires_after_it_starts() {
        assert_eq!(settings().faults(), []);
        let change = |expires_at| PoolChange {
            expires_at: Some(expires_at),
            ..PoolChange::default()
        };
        let start = settings().starts_at;
        assert_eq!(faulty(&change(start)), ["expire_time"]);
        assert!(faulty(&change(start + TimeDelta::microseconds(1))).is_empty());
    }

    #[test]
    fn content_is_available_for_180_days_at_most() {
        let change = |availability| PoolChange {
            availability: Some(availability),
            ..PoolChange::default()
        };
        let second = TimeDelta::seconds(1);
        for good in [second, MAXIMUM_AVAILABILITY] {
            assert!(faulty(&change(good)).is_empty(), "{good}");
        }
        for bad in [
            TimeDelta::zero(),
            MAXIMUM_AVAILABILITY + second,
            TimeDelta::milliseconds(1500),
        ] {
            assert_eq!(faulty(&change(bad)), ["availability"], "{bad}");
        }
    }

    #[test]
    fn the_trail_is_told_what_changed_and_nothing_else() {
        let change = PoolChange {
            name: Some("Winter".to_owned()),
            open_to_descendants: Some(false),
            ..PoolChange::default()
        };
        let changed = change.apply(&settings());
        assert_eq!(
            difference(&described(&settings()), &described(&changed)),
            json!({ "name": { "from": "Autumn", "to": "Winter" } })
        );
    }
}
