//! The values that templates can name.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use secrecy::SecretString;
use uuid::Uuid;

use crate::domain::calendar::in_words;
use crate::domain::class::settings::Settings;
use crate::domain::class::{Class, ClassStatus, EventKeyWindow};
use crate::domain::organization::ClassDefaults;

/// The field that holds a code.
pub const EVENT_KEY: &str = "event_key";

/// The names of all fields.
pub const NAMES: [&str; 13] = [
    "student_given_name",
    "student_family_name",
    "organization_name",
    "course_id",
    "course_name",
    "class_name",
    "class_start",
    "class_end",
    "class_time_zone",
    "access_until",
    "enrollment_status",
    "login_page",
    EVENT_KEY,
];

/// What a letter is about. What is personal or secret is not shown by `Debug`.
#[derive(Clone)]
pub struct Facts {
    /// The student's names, if it is about one.
    pub student: Option<(String, String)>,
    /// The organization's name.
    pub organization_name: String,
    /// The class.
    pub class: Class,
    /// Where the enrollment stands, in words, if it is about one.
    pub enrollment_status: Option<String>,
    /// Where students sign in, if that is known.
    pub login_page: Option<String>,
    /// The code of the class's event key, if the letter names it.
    pub event_key: Option<SecretString>,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts")
            .field("class", &self.class.id)
            .finish_non_exhaustive()
    }
}

impl Facts {
    /// The value of the field `name`; empty if it has none.
    pub(super) fn value(&self, name: &str) -> String {
        use secrecy::ExposeSecret;
        let class = &self.class;
        let at = |instant| in_words(instant, class.time_zone);
        let known = |text: &Option<String>| text.clone().unwrap_or_default();
        match name {
            "student_given_name" => self.student.as_ref().map(|(given, _)| given.clone()),
            "student_family_name" => self.student.as_ref().map(|(_, family)| family.clone()),
            "organization_name" => Some(self.organization_name.clone()),
            "course_id" => Some(class.course_id.clone()),
            "course_name" => Some(class.course_name.clone()),
            "class_name" => Some(class.name.clone()),
            "class_start" => Some(at(class.starts_at)),
            "class_end" => Some(at(class.ends_at)),
            "class_time_zone" => Some(class.time_zone.name().to_owned()),
            "access_until" => Some(at(class.access_until())),
            "enrollment_status" => Some(known(&self.enrollment_status)),
            "login_page" => Some(known(&self.login_page)),
            EVENT_KEY => self
                .event_key
                .as_ref()
                .map(|code| code.expose_secret().to_owned()),
            _ => None,
        }
        .unwrap_or_default()
    }

    /// Facts for a preview: of `class`, or of a made-up one; with words in the place of the code.
    pub fn sample(
        class: Option<Class>,
        organization_name: String,
        login_page: Option<String>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            student: Some(("Sam".to_owned(), "Sample".to_owned())),
            organization_name,
            class: class.unwrap_or_else(|| made_up(now)),
            enrollment_status: Some("enrolled".to_owned()),
            login_page,
            event_key: Some("EVENT-KEY".into()),
        }
    }
}

fn made_up(now: DateTime<Utc>) -> Class {
    let settings = Settings {
        course_id: "sample-101".to_owned(),
        course_name: "A sample course".to_owned(),
        name: "A sample class".to_owned(),
        instructors: Vec::new(),
        starts_at: now + TimeDelta::days(7),
        ends_at: now + TimeDelta::days(9),
        time_zone: Tz::UTC,
        minimum_students: None,
        maximum_students: None,
        post_class_days: None,
        status: Some(ClassStatus::Scheduled),
        event_key_window: EventKeyWindow::UntilClassEnds,
    };
    settings.class(Uuid::nil(), Uuid::nil(), &ClassDefaults::default(), now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::class::tests::class;

    #[test]
    fn every_field_has_a_value_with_dates_in_the_zone_of_the_class() {
        let facts = Facts::sample(
            Some(class()),
            "Acme".to_owned(),
            Some("https://learn.example.com".to_owned()),
            DateTime::default(),
        );
        for name in NAMES {
            assert!(!facts.value(name).is_empty(), "{name}");
        }
        assert_eq!(
            facts.value("class_start"),
            "1 June 2026, 09:00 (Europe/Berlin)"
        );
        assert_eq!(facts.value("event_key"), "EVENT-KEY");
        assert!(!format!("{facts:?}").contains("Sam"));
    }
}
