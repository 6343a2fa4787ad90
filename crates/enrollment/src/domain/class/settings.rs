//! The settings of a class: what create takes and an edit changes.

use std::collections::HashSet;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Class, ClassStatus, EventKeyWindow};
use crate::domain::organization::ClassDefaults;

/// The longest class: one with a date that was mistyped should not pass.
pub const MAXIMUM_LENGTH: TimeDelta = TimeDelta::days(366);

/// The years that a class may lie in: within every calendar and time zone table in use, with room for post-class
/// access after them.
pub const YEARS: std::ops::RangeInclusive<i32> = 1970..=8999;

/// A setting that breaks a rule: its name, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The setting, by its name in the contract.
    pub field: &'static str,
    /// What is wrong with it, for people.
    pub description: String,
}

/// What is decided about a class when it is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The platform's id of its course.
    pub course_id: String,
    /// The course's name.
    pub course_name: String,
    /// Its name.
    pub name: String,
    /// Token subjects of its instructors.
    pub instructors: Vec<String>,
    /// When it starts.
    pub starts_at: DateTime<Utc>,
    /// When it ends.
    pub ends_at: DateTime<Utc>,
    /// Where it takes place.
    pub time_zone: Tz,
    /// Below this many students it may not take place; `None` for the default.
    pub minimum_students: Option<i32>,
    /// Never more enrolled students than this; `None` for the default.
    pub maximum_students: Option<i32>,
    /// Days of lab access after it; `None` for the default.
    pub post_class_days: Option<i32>,
    /// Tentative, scheduled or guaranteed to run; `None` for the default.
    pub status: Option<ClassStatus>,
    /// How long its event key can be redeemed.
    pub event_key_window: EventKeyWindow,
}

impl Settings {
    /// The class with these settings, as it will be once created at `now`: at version 1, with all seats free. What is not
    /// set is as `defaults` say, else as for everybody. A maximum that nobody set for this class is only a default, whoever
    /// laid it down.
    pub fn class(
        self,
        id: Uuid,
        organization_id: Uuid,
        defaults: &ClassDefaults,
        now: DateTime<Utc>,
    ) -> Class {
        let maximum_students = self
            .maximum_students
            .or(defaults.maximum_students)
            .unwrap_or(super::DEFAULT_MAXIMUM_STUDENTS);
        let minimum_by_default = || {
            defaults
                .minimum_students
                .map(|one| one.min(maximum_students))
        };
        Class {
            id,
            organization_id,
            course_id: self.course_id,
            course_name: self.course_name,
            name: self.name,
            instructors: self.instructors,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            time_zone: self.time_zone,
            minimum_students: self
                .minimum_students
                .or_else(minimum_by_default)
                .unwrap_or_default(),
            maximum_students,
            maximum_is_default: self.maximum_students.is_none(),
            post_class_days: self
                .post_class_days
                .or(defaults.post_class_days)
                .unwrap_or(super::DEFAULT_POST_CLASS_DAYS),
            status: self
                .status
                .or(defaults.status)
                .unwrap_or(ClassStatus::Scheduled),
            event_key_window: self.event_key_window,
            seats_taken: 0,
            created_at: now,
            version: 1,
        }
    }
}

/// What an edit changes; `None` leaves a setting as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The platform's id of its course.
    pub course_id: Option<String>,
    /// The course's name.
    pub course_name: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// All its instructors.
    pub instructors: Option<Vec<String>>,
    /// When it starts.
    pub starts_at: Option<DateTime<Utc>>,
    /// When it ends.
    pub ends_at: Option<DateTime<Utc>>,
    /// Where it takes place.
    pub time_zone: Option<Tz>,
    /// Below this many students it may not take place.
    pub minimum_students: Option<i32>,
    /// Never more enrolled students than this.
    pub maximum_students: Option<i32>,
    /// Days of lab access after it.
    pub post_class_days: Option<i32>,
    /// Tentative, scheduled or guaranteed to run.
    pub status: Option<ClassStatus>,
    /// How long its event key can be redeemed.
    pub event_key_window: Option<EventKeyWindow>,
}

impl Change {
    /// The class after the change; its version is left alone. A maximum that is set is no default any more, even if the
    /// number is the same.
    pub fn apply(&self, class: &Class) -> Class {
        let mut changed = class.clone();
        let this = self.clone();
        set(&mut changed.course_id, this.course_id);
        set(&mut changed.course_name, this.course_name);
        set(&mut changed.name, this.name);
        set(&mut changed.instructors, this.instructors);
        set(&mut changed.starts_at, this.starts_at);
        set(&mut changed.ends_at, this.ends_at);
        set(&mut changed.time_zone, this.time_zone);
        set(&mut changed.minimum_students, this.minimum_students);
        if let Some(maximum) = this.maximum_students {
            changed.maximum_students = maximum;
            changed.maximum_is_default = false;
        }
        set(&mut changed.post_class_days, this.post_class_days);
        set(&mut changed.status, this.status);
        set(&mut changed.event_key_window, this.event_key_window);
        changed
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Every rule about settings, and about how they fit each other, that `class` breaks.
pub fn faults(class: &Class) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut check = |holds: bool, field, description: String| {
        if !holds {
            faults.push(Fault { field, description });
        }
    };
    for (field, text) in [
        ("course_id", &class.course_id),
        ("course_name", &class.course_name),
        ("name", &class.name),
    ] {
        check(!text.trim().is_empty(), field, "must not be empty".into());
    }
    let distinct: HashSet<&String> = class.instructors.iter().collect();
    check(
        distinct.len() == class.instructors.len(),
        "instructors",
        "must not name anybody twice".into(),
    );
    for (field, time) in [("start_time", class.starts_at), ("end_time", class.ends_at)] {
        let (first, last) = (YEARS.start(), YEARS.end());
        check(
            YEARS.contains(&time.year()),
            field,
            format!("must be in the years {first} to {last}"),
        );
    }
    check(
        class.starts_at < class.ends_at,
        "end_time",
        "must be after `start_time`".into(),
    );
    check(
        class.ends_at.signed_duration_since(class.starts_at) <= MAXIMUM_LENGTH,
        "end_time",
        format!(
            "must be at most {} days after `start_time`",
            MAXIMUM_LENGTH.num_days()
        ),
    );
    check(
        class.maximum_students >= 1,
        "maximum_students",
        "must be at least 1".into(),
    );
    check(
        (0..=class.maximum_students).contains(&class.minimum_students),
        "minimum_students",
        format!(
            "must be 0 to the maximum students, {}",
            class.maximum_students
        ),
    );
    faults
}

/// The settings that differ between two states of a class, as audit rows keep them: `{"name": {"from": .., "to": ..}}`.
pub fn difference(before: &Class, after: &Class) -> Value {
    let (before, after) = (described(before), described(after));
    let changed: Map<String, Value> = before
        .into_iter()
        .filter_map(|(field, from)| {
            let to = after.get(&field)?;
            (from != *to).then(|| (field, json!({ "from": from, "to": to })))
        })
        .collect();
    Value::Object(changed)
}

/// The settings of a class by their names in the contract, as audit rows keep them.
pub fn described(class: &Class) -> Map<String, Value> {
    let value = json!({
        "course_id": class.course_id,
        "course_name": class.course_name,
        "name": class.name,
        "instructors": class.instructors,
        "start_time": class.starts_at,
        "end_time": class.ends_at,
        "time_zone": class.time_zone.name(),
        "minimum_students": class.minimum_students,
        "maximum_students": class.maximum_students,
        "maximum_is_default": class.maximum_is_default,
        "post_class_days": class.post_class_days,
        "status": class.status,
        "event_key_window": class.event_key_window,
    });
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::class;
    use super::*;

    fn fields(class: &Class) -> Vec<&'static str> {
        faults(class).into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn a_usual_class_has_no_faults() {
        assert_eq!(faults(&class()), []);
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let mut wrong = class();
        wrong.name = " ".into();
        wrong.instructors = vec!["ann".into(), "ann".into()];
        wrong.ends_at = wrong.starts_at;
        wrong.minimum_students = 31;
        assert_eq!(
            fields(&wrong),
            ["name", "instructors", "end_time", "minimum_students"]
        );
    }

    #[test]
    fn a_class_is_at_most_a_year_long_and_in_sane_years() {
        let mut long = class();
        long.ends_at = long.starts_at + MAXIMUM_LENGTH;
        assert_eq!(fields(&long), [""; 0]);
        long.ends_at += TimeDelta::microseconds(1);
        assert_eq!(fields(&long), ["end_time"]);
        let mut old = class();
        old.starts_at = "1969-12-31T23:00:00Z".parse().unwrap();
        old.ends_at = "1970-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(fields(&old), ["start_time"]);
    }

    #[test]
    fn only_what_is_named_changes() {
        let before = class();
        assert_eq!(Change::default().apply(&before), before);
        let change = Change {
            name: Some("Clusters again".into()),
            post_class_days: Some(0),
            ..Change::default()
        };
        let after = change.apply(&before);
        assert_eq!(
            difference(&before, &after),
            json!({
                "name": { "from": "Clusters in June", "to": "Clusters again" },
                "post_class_days": { "from": 180, "to": 0 },
            })
        );
    }

    #[test]
    fn a_maximum_that_is_set_is_no_default_any_more() {
        let mut before = class();
        before.maximum_is_default = true;
        let change = Change {
            maximum_students: Some(before.maximum_students),
            ..Change::default()
        };
        assert!(!change.apply(&before).maximum_is_default);
        let other = Change {
            minimum_students: Some(1),
            ..Change::default()
        };
        assert!(other.apply(&before).maximum_is_default);
    }

    fn silent() -> Settings {
        Settings {
            course_id: "K8S-1".into(),
            course_name: "Clusters".into(),
            name: "Clusters in June".into(),
            instructors: vec![],
            starts_at: class().starts_at,
            ends_at: class().ends_at,
            time_zone: Tz::Europe__Berlin,
            minimum_students: None,
            maximum_students: None,
            post_class_days: None,
            status: None,
            event_key_window: EventKeyWindow::UntilClassEnds,
        }
    }

    fn made(settings: Settings, defaults: &ClassDefaults) -> Class {
        let (id, organization_id) = (Uuid::from_u128(1), Uuid::from_u128(2));
        settings.class(id, organization_id, defaults, class().created_at)
    }

    #[test]
    fn a_new_class_is_at_its_first_version_and_empty() {
        let made = made(silent(), &ClassDefaults::default());
        assert_eq!((made.version, made.seats_taken), (1, 0));
        assert_eq!((made.maximum_students, made.maximum_is_default), (30, true));
        assert_eq!((made.minimum_students, made.post_class_days), (0, 180));
        assert_eq!(made.status, ClassStatus::Scheduled);
    }

    #[test]
    fn what_is_not_set_is_as_the_organization_lays_down_and_what_is_set_is_not() {
        let defaults = ClassDefaults {
            maximum_students: Some(12),
            minimum_students: Some(4),
            status: Some(ClassStatus::Tentative),
            event_key: true,
            post_class_days: Some(30),
            notifications: None,
        };
        let by_default = made(silent(), &defaults);
        assert_eq!(
            (by_default.minimum_students, by_default.maximum_students),
            (4, 12)
        );
        assert!(
            by_default.maximum_is_default,
            "nobody set it for this class"
        );
        assert_eq!(by_default.post_class_days, 30);
        assert_eq!(by_default.status, ClassStatus::Tentative);
        let set = Settings {
            minimum_students: Some(0),
            maximum_students: Some(3),
            post_class_days: Some(0),
            status: Some(ClassStatus::GuaranteedToRun),
            ..silent()
        };
        let as_set = made(set.clone(), &defaults);
        assert_eq!((as_set.minimum_students, as_set.maximum_students), (0, 3));
        assert!(!as_set.maximum_is_default);
        assert_eq!(as_set.post_class_days, 0);
        assert_eq!(as_set.status, ClassStatus::GuaranteedToRun);
        // A default minimum never makes a class impossible.
        let minimum_students = None;
        let small = Settings {
            minimum_students,
            ..set
        };
        assert_eq!(made(small, &defaults).minimum_students, 3);
    }
}
