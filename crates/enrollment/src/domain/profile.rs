//! Subscription profiles: courses that a student may take together, for a time.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::organization::is_or_is_below;

/// The longest that the courses of a profile stay open after a redemption: a duration that was mistyped should not pass.
pub const LONGEST: TimeDelta = TimeDelta::days(3650);

/// The most courses of a profile.
pub const MOST_COURSES: usize = 200;

/// A course.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Course {
    /// The platform's id of it.
    pub course_id: String,
    /// Its name.
    pub course_name: String,
}

/// What is decided about a profile when it is created, and may be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileSettings {
    /// Its name.
    pub name: String,
    /// Its courses.
    pub courses: Vec<Course>,
    /// For how long they stay open after a redemption: whole seconds, [`LONGEST`] at most.
    pub duration: TimeDelta,
    /// The organizations to which it is available, with all below them; empty: to the owner and all below it.
    pub available_to: Vec<Uuid>,
    /// Whether its keys can be redeemed.
    pub enabled: bool,
}

/// A setting that breaks a rule: its name in the contract, and what is wrong with it, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The setting.
    pub field: String,
    /// What is wrong with it.
    pub description: &'static str,
}

impl ProfileSettings {
    /// Everything that is wrong with them. Empty when they may be so.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut add = |field: String, description| faults.push(Fault { field, description });
        if self.courses.is_empty() || self.courses.len() > MOST_COURSES {
            add(
                "courses".to_owned(),
                "must be at least one and at most 200 courses",
            );
        }
        let mut seen = HashSet::new();
        for (place, course) in self.courses.iter().enumerate() {
            if !seen.insert(&course.course_id) {
                let field = format!("courses[{place}].course_id");
                add(field, "must not be that of an earlier course");
            }
        }
        let duration = self.duration;
        if duration.subsec_nanos() != 0 || duration < TimeDelta::seconds(1) || duration > LONGEST {
            add(
                "duration".to_owned(),
                "must be of whole seconds, at least 1 second and at most 3650 days",
            );
        }
        faults
    }
}

/// What an edit changes; `None` leaves a setting as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// Its name.
    pub name: Option<String>,
    /// Its courses, all of them.
    pub courses: Option<Vec<Course>>,
    /// For how long they stay open after a redemption.
    pub duration: Option<TimeDelta>,
    /// The organizations to which it is available, all of them.
    pub available_to: Option<Vec<Uuid>>,
    /// Whether its keys can be redeemed.
    pub enabled: Option<bool>,
}

impl ProfileChange {
    /// The settings after the change.
    pub fn apply(&self, present: &ProfileSettings) -> ProfileSettings {
        let this = self.clone();
        let present = present.clone();
        ProfileSettings {
            name: this.name.unwrap_or(present.name),
            courses: this.courses.unwrap_or(present.courses),
            duration: this.duration.unwrap_or(present.duration),
            available_to: this.available_to.unwrap_or(present.available_to),
            enabled: this.enabled.unwrap_or(present.enabled),
        }
    }
}

/// A subscription profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its id.
    pub id: Uuid,
    /// The organization that owns it and its keys.
    pub organization_id: Uuid,
    /// Its settings.
    pub settings: ProfileSettings,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Who created it: a token's subject.
    pub created_by: String,
    /// One more with each change.
    pub version: i64,
}

impl Profile {
    /// Whether students of the organization `home`, which stands below `ancestors`, may redeem its keys.
    pub fn is_available_to(&self, home: Uuid, ancestors: &[Uuid]) -> bool {
        let within = |organization_id| is_or_is_below(home, ancestors, organization_id);
        let available_to = &self.settings.available_to;
        within(self.organization_id)
            && (available_to.is_empty() || available_to.iter().any(|id| within(*id)))
    }
}

/// About how many bytes these courses take in a message.
pub fn bytes(courses: &[Course]) -> usize {
    let course = |one: &Course| one.course_id.len() + one.course_name.len() + 16;
    courses.iter().map(course).sum()
}

/// The settings by their names in the contract, for fingerprints.
pub fn described(settings: &ProfileSettings) -> Map<String, Value> {
    let all = json!({
        "name": settings.name,
        "courses": settings.courses,
        "duration_seconds": settings.duration.num_seconds(),
        "available_organization_ids": settings.available_to,
        "enabled": settings.enabled,
    });
    match all {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The settings for the audit trail: of courses the ids alone.
pub fn told(settings: &ProfileSettings) -> Value {
    let mut told = described(settings);
    let ids: Vec<&str> = settings.courses.iter().map(|one| &*one.course_id).collect();
    told.insert("courses".to_owned(), json!(ids));
    Value::Object(told)
}

/// What differs between two versions of a profile, for the audit trail: each changed setting with its old and new value; of
/// courses, the ids of those that were added, removed and renamed.
pub fn difference(before: &ProfileSettings, after: &ProfileSettings) -> Value {
    let courses = (before.courses != after.courses).then(|| {
        let name = |of: &ProfileSettings, id: &str| {
            let found = of.courses.iter().find(|one| one.course_id == id);
            found.map(|one| one.course_name.clone())
        };
        let ids = |of: &ProfileSettings, which: &dyn Fn(&str) -> bool| -> Vec<String> {
            let ids = of.courses.iter().map(|one| one.course_id.clone());
            ids.filter(|id| which(id)).collect()
        };
        let renamed = |id: &str| {
            let (old, new) = (name(before, id), name(after, id));
            old.is_some() && old != new
        };
        json!({
            "added": ids(after, &|id| name(before, id).is_none()),
            "removed": ids(before, &|id| name(after, id).is_none()),
            "renamed": ids(after, &renamed),
        })
    });
    let (mut before, mut after) = (described(before), described(after));
    before.remove("courses");
    after.remove("courses");
    let changed = after.into_iter().filter_map(|(name, new)| {
        let old = before.get(&name).cloned().unwrap_or_default();
        (old != new).then(|| (name, json!({ "from": old, "to": new })))
    });
    let courses = courses.map(|courses| ("courses".to_owned(), courses));
    Value::Object(changed.chain(courses).collect())
}

#[cfg(test)]
pub(crate) mod sample {
    use super::*;

    /// A profile of two courses for 90 days, of the organization with the id 2, available to all below it.
    pub(crate) fn profile() -> Profile {
        let course = |id: &str, name: &str| Course {
            course_id: id.to_owned(),
            course_name: name.to_owned(),
        };
        Profile {
            id: Uuid::from_u128(0x50),
            organization_id: Uuid::from_u128(2),
            settings: ProfileSettings {
                name: "Administration".to_owned(),
                courses: vec![course("linux-101", "Linux"), course("net-101", "Networks")],
                duration: TimeDelta::days(90),
                available_to: Vec::new(),
                enabled: true,
            },
            created_at: DateTime::UNIX_EPOCH,
            created_by: "ada".to_owned(),
            version: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sample::profile;
    use super::*;

    fn faulty(change: &ProfileChange) -> Vec<String> {
        let faults = change.apply(&profile().settings).faults();
        faults.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn each_course_stands_in_a_profile_once_and_there_is_one() {
        assert_eq!(profile().settings.faults(), []);
        let mut courses = profile().settings.courses;
        courses.push(courses[0].clone());
        let change = |courses| ProfileChange {
            courses: Some(courses),
            ..ProfileChange::default()
        };
        assert_eq!(faulty(&change(courses)), ["courses[2].course_id"]);
        assert_eq!(faulty(&change(Vec::new())), ["courses"]);
    }

    #[test]
    fn its_duration_is_of_whole_seconds_and_ten_years_at_most() {
        let change = |duration| ProfileChange {
            duration: Some(duration),
            ..ProfileChange::default()
        };
        let second = TimeDelta::seconds(1);
        for good in [second, LONGEST] {
            assert!(faulty(&change(good)).is_empty(), "{good}");
        }
        for bad in [
            TimeDelta::zero(),
            LONGEST + second,
            TimeDelta::milliseconds(1500),
        ] {
            assert_eq!(faulty(&change(bad)), ["duration"], "{bad}");
        }
    }

    #[test]
    fn it_is_available_below_its_owner_or_where_it_says() {
        let [root, owner, child, grandchild, other] = [1, 2, 3, 4, 5].map(Uuid::from_u128);
        let mut profile = profile();
        let is =
            |profile: &Profile, home, ancestors: &[Uuid]| profile.is_available_to(home, ancestors);
        assert!(is(&profile, owner, &[root]));
        assert!(is(&profile, grandchild, &[child, owner, root]));
        assert!(!is(&profile, root, &[]), "above its owner");
        assert!(!is(&profile, other, &[root]), "beside its owner");
        profile.settings.available_to = vec![child];
        assert!(is(&profile, child, &[owner, root]));
        assert!(is(&profile, grandchild, &[child, owner, root]));
        assert!(!is(&profile, owner, &[root]), "not named");
        profile.settings.available_to = vec![other];
        assert!(!is(&profile, other, &[root]), "never beside its owner");
    }

    #[test]
    fn the_trail_names_courses_by_their_ids() {
        let before = profile().settings;
        assert_eq!(told(&before)["courses"], json!(["linux-101", "net-101"]));
        let mut courses = before.courses.clone();
        courses[0].course_name = "Linux for All".to_owned();
        courses[1].course_id = "net-201".to_owned();
        let change = ProfileChange {
            courses: Some(courses),
            ..ProfileChange::default()
        };
        assert_eq!(
            difference(&before, &change.apply(&before)),
            json!({ "courses": { "added": ["net-201"], "removed": ["net-101"], "renamed": ["linux-101"] } })
        );
    }

    #[test]
    fn the_trail_is_told_what_changed_and_nothing_else() {
        let change = ProfileChange {
            enabled: Some(false),
            name: Some("Administration".to_owned()),
            ..ProfileChange::default()
        };
        let before = profile().settings;
        assert_eq!(
            difference(&before, &change.apply(&before)),
            json!({ "enabled": { "from": true, "to": false } })
        );
    }
}
