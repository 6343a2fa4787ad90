//! The values that templates can name.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::Trigger;
use super::expiry::Expiring;
use crate::domain::calendar::in_words;
use crate::domain::class::settings::Settings;
use crate::domain::class::{Class, ClassStatus, EventKeyWindow};
use crate::domain::organization::ClassDefaults;

/// The field that holds a code.
pub const EVENT_KEY: &str = "event_key";

/// The names of the fields of letters about classes.
pub const OF_CLASSES: [&str; 13] = [
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

/// The names of the fields of letters about assignments, which have no class.
pub const OF_ASSIGNMENTS: [&str; 7] = [
    "student_given_name",
    "student_family_name",
    "organization_name",
    "course_id",
    "course_name",
    "access_until",
    "login_page",
];

impl Trigger {
    /// The names of the fields that templates of its plans can name.
    pub fn fields(self) -> &'static [&'static str] {
        if self.is_about_assignments() {
            &OF_ASSIGNMENTS
        } else {
            &OF_CLASSES
        }
    }
}

/// What is written into a letter. What is personal or secret is not shown by `Debug`.
#[derive(Clone)]
pub struct Facts {
    /// The student's names, if it is about one.
    pub student: Option<(String, String)>,
    /// The organization's name.
    pub organization_name: String,
    /// Where students sign in, if that is known.
    pub login_page: Option<String>,
    /// What it is about.
    pub topic: Topic,
}

/// What a letter is about, as it is now.
#[derive(Clone)]
pub enum Topic {
    /// A class, or an enrollment in it. Boxed: it is much larger than the other.
    Class(Box<ClassTopic>),
    /// An assignment.
    Assignment(Expiring),
}

/// A class, or an enrollment in it.
#[derive(Clone)]
pub struct ClassTopic {
    /// The class.
    pub class: Class,
    /// Where the enrollment stands, in words, if it is about one.
    pub enrollment_status: Option<String>,
    /// The code of the class's event key, if the letter names it.
    pub event_key: Option<SecretString>,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let about = match &self.topic {
            Topic::Class(topic) => topic.class.id,
            Topic::Assignment(assignment) => assignment.assignment_id,
        };
        f.debug_struct("Facts")
            .field("about", &about)
            .finish_non_exhaustive()
    }
}

impl Facts {
    /// The value of the field `name`; empty if it has none.
    pub(super) fn value(&self, name: &str) -> String {
        match name {
            "student_given_name" => self.student.as_ref().map(|(given, _)| given.clone()),
            "student_family_name" => self.student.as_ref().map(|(_, family)| family.clone()),
            "organization_name" => Some(self.organization_name.clone()),
            "login_page" => self.login_page.clone(),
            _ => match &self.topic {
                Topic::Class(topic) => topic.value(name),
                Topic::Assignment(assignment) => assignment.value(name),
            },
        }
        .unwrap_or_default()
    }

    /// Facts for a preview of a plan with this trigger: of `class`, or made-up ones; with words in the place of the code.
    pub fn sample(
        trigger: Trigger,
        class: Option<Class>,
        organization_name: String,
        login_page: Option<String>,
        now: DateTime<Utc>,
    ) -> Self {
        let topic = if trigger.is_about_assignments() {
            Topic::Assignment(made_up_assignment(now))
        } else {
            Topic::Class(Box::new(ClassTopic {
                class: class.unwrap_or_else(|| made_up_class(now)),
                enrollment_status: Some("enrolled".to_owned()),
                event_key: Some("EVENT-KEY".into()),
            }))
        };
        Self {
            student: Some(("Sam".to_owned(), "Sample".to_owned())),
            organization_name,
            login_page,
            topic,
        }
    }
}

impl ClassTopic {
    fn value(&self, name: &str) -> Option<String> {
        let class = &self.class;
        let at = |instant| Some(in_words(instant, class.time_zone));
        match name {
            "course_id" => Some(class.course_id.clone()),
            "course_name" => Some(class.course_name.clone()),
            "class_name" => Some(class.name.clone()),
            "class_start" => at(class.starts_at),
            "class_end" => at(class.ends_at),
            "class_time_zone" => Some(class.time_zone.name().to_owned()),
            "access_until" => at(class.access_until()),
            "enrollment_status" => self.enrollment_status.clone(),
            EVENT_KEY => {
                let code = self.event_key.as_ref();
                code.map(|code| code.expose_secret().to_owned())
            }
            _ => None,
        }
    }
}

impl Expiring {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "course_id" => self.course_id.clone(),
            "course_name" => self.course_name.clone(),
            // It takes place nowhere.
            "access_until" => Some(in_words(self.expires_at, Tz::UTC)),
            _ => None,
        }
    }
}

fn made_up_class(now: DateTime<Utc>) -> Class {
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

fn made_up_assignment(now: DateTime<Utc>) -> Expiring {
    Expiring {
        assignment_id: Uuid::nil(),
        student_id: Uuid::nil(),
        organization_id: Uuid::nil(),
        ancestors: Vec::new(),
        on_since: None,
        course_id: Some("sample-101".to_owned()),
        course_name: Some("A sample course".to_owned()),
        live: true,
        expires_at: now + TimeDelta::days(7),
    }
}

#[cfg(test)]
mod tests {
    use super::super::expiry::tests::expiring;
    use super::*;
    use crate::domain::class::tests::class;

    fn sample(trigger: Trigger) -> Facts {
        let page = Some("https://learn.example.com".to_owned());
        let now = DateTime::default();
        Facts::sample(trigger, Some(class()), "Acme".to_owned(), page, now)
    }

    #[test]
    fn every_field_has_a_value_with_dates_in_the_zone_of_the_class() {
        for trigger in Trigger::ALL {
            let facts = sample(trigger);
            for name in trigger.fields() {
                assert!(!facts.value(name).is_empty(), "{name} of {trigger:?}");
            }
            assert!(!format!("{facts:?}").contains("Sam"));
        }
        let facts = sample(Trigger::Enrolled);
        assert_eq!(
            facts.value("class_start"),
            "1 June 2026, 09:00 (Europe/Berlin)"
        );
        assert_eq!(facts.value("event_key"), "EVENT-KEY");
    }

    #[test]
    fn an_assignment_has_no_class_and_expires_in_utc() {
        let mut facts = sample(Trigger::AssignmentExpiring);
        facts.topic = Topic::Assignment(expiring());
        assert_eq!(facts.value("access_until"), "15 June 2026, 12:00 (UTC)");
        assert_eq!(facts.value("course_name"), "Linux");
        let gone = OF_CLASSES
            .into_iter()
            .filter(|name| !OF_ASSIGNMENTS.contains(name));
        for name in gone {
            assert!(facts.value(name).is_empty(), "{name}");
        }
    }
}
