//! What is written to people: by plan, about classes and assignments whose notifications are on.

pub mod expiry;
pub mod fields;
pub mod letter;
pub mod letters;
pub mod template;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::class::ClassStatus;
use super::enrollment::Status;

/// When something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A student was enrolled at once.
    Enrolled,
    /// A student was put on the wait list.
    WaitListed,
    /// A student who had come in another status was enrolled.
    Promoted,
    /// An enrollment was cancelled.
    Cancelled,
    /// Some hours before a class starts.
    BeforeStart,
    /// Some hours after a class has started.
    AfterStart,
    /// Some hours before a class ends.
    BeforeEnd,
    /// Some hours after a class has ended.
    AfterEnd,
    /// Some days before an assignment expires.
    AssignmentExpiring,
}

impl Trigger {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Enrolled,
        Self::WaitListed,
        Self::Promoted,
        Self::Cancelled,
        Self::BeforeStart,
        Self::AfterStart,
        Self::BeforeEnd,
        Self::AfterEnd,
        Self::AssignmentExpiring,
    ];

    /// The name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::WaitListed => "wait_listed",
            Self::Promoted => "promoted",
            Self::Cancelled => "cancelled",
            Self::BeforeStart => "before_start",
            Self::AfterStart => "after_start",
            Self::BeforeEnd => "before_end",
            Self::AfterEnd => "after_end",
            Self::AssignmentExpiring => "assignment_expiring",
        }
    }

    /// The one with this stored name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// Whether it is a time around a class.
    pub fn is_around_class(self) -> bool {
        matches!(
            self,
            Self::BeforeStart | Self::AfterStart | Self::BeforeEnd | Self::AfterEnd
        )
    }

    /// Whether it is about assignments, which have no class, and not about enrollments.
    pub fn is_about_assignments(self) -> bool {
        self == Self::AssignmentExpiring
    }

    /// Whether it is a time, and not something that happens to an enrollment.
    pub fn is_timed(self) -> bool {
        self.is_around_class() || self.is_about_assignments()
    }
}

/// To whom something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// The student.
    Student,
    /// The instructors of the class.
    Instructors,
    /// The operations managers.
    OperationsManagers,
}

/// What a plan does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSettings {
    /// Its name.
    pub display_name: String,
    /// When it writes.
    pub trigger: Trigger,
    /// How many hours before or after; 0 for triggers that are no times around a class.
    pub hours: i32,
    /// How many days before an assignment expires; 0 for other triggers.
    pub days: i32,
    /// Only of classes in these statuses; empty: all.
    pub class_statuses: Vec<ClassStatus>,
    /// Only of enrollments in these statuses; empty: all, and at a time those that are enrolled.
    pub enrollment_statuses: Vec<Status>,
    /// Only of classes or assignments of this course.
    pub course_id: Option<String>,
    /// Only of classes or pools that this organization owns.
    pub only_organization_id: Option<Uuid>,
    /// To whom.
    pub recipients: Vec<Recipient>,
    /// The address it is from; `None`: the service's own.
    pub from: Option<String>,
    /// Who gets a copy.
    pub cc: Vec<String>,
    /// The template of the subject.
    pub subject: String,
    /// The template of the text.
    pub text: String,
    /// The template of the HTML; empty if there is none.
    pub html: String,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its id.
    pub id: Uuid,
    /// The organization that owns it: it is about classes and pools of this one and of all below it.
    pub organization_id: Uuid,
    /// What it does.
    pub settings: PlanSettings,
    /// When it was made: it is about what happens from then on.
    pub created_at: DateTime<Utc>,
    /// Grows with every change.
    pub version: i64,
    /// Whether it was deleted, for good.
    pub deleted: bool,
}

/// How an organization writes to people, besides whether it does. Addresses of staff are not shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letterhead {
    /// Where students sign in and type their keys; `None`: the service's own.
    pub login_page: Option<String>,
    /// The mailbox of the operations managers.
    pub operations_managers_email: Option<String>,
    /// The addresses of instructors, by their token subjects.
    pub instructors: BTreeMap<String, String>,
}

impl std::fmt::Debug for Letterhead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letterhead")
            .field("login_page", &self.login_page)
            .finish_non_exhaustive()
    }
}

/// The notifications of an organization.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrganizationNotifications {
    /// Since when they are on; `None`: they are off.
    pub enabled_since: Option<DateTime<Utc>>,
    /// How it writes.
    pub letterhead: Letterhead,
    /// Grows with every change; 0 while nothing was ever set.
    pub version: i64,
}

/// Whether `text` is the address of a page, as it may stand in a letter.
pub fn is_page(text: &str) -> bool {
    let local = |rest: &&str| rest.starts_with("localhost");
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://").filter(local));
    let plain = |letter: char| letter.is_ascii_graphic() && !"<>\"".contains(letter);
    rest.is_some_and(|rest| !rest.is_empty() && text.len() <= 500 && rest.chars().all(plain))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A plan that writes to students who were enrolled.
    pub(crate) fn settings() -> PlanSettings {
        PlanSettings {
            display_name: "Welcome".into(),
            trigger: Trigger::Enrolled,
            hours: 0,
            days: 0,
            class_statuses: Vec::new(),
            enrollment_statuses: Vec::new(),
            course_id: None,
            only_organization_id: None,
            recipients: vec![Recipient::Student],
            from: None,
            cc: Vec::new(),
            subject: "Welcome to {{ class_name }}".into(),
            text: "Hello {{ student_given_name }}".into(),
            html: String::new(),
        }
    }

    /// The organization that owns [`plan`].
    pub(crate) const OWNER: Uuid = Uuid::from_u128(9);

    /// A plan of [`OWNER`], made at the beginning of May 2026.
    pub(crate) fn plan(settings: PlanSettings) -> Plan {
        Plan {
            id: Uuid::from_u128(7),
            organization_id: OWNER,
            settings,
            created_at: "2026-05-01T00:00:00Z".parse().unwrap(),
            version: 1,
            deleted: false,
        }
    }

    #[test]
    fn triggers_are_read_as_they_are_stored() {
        for trigger in Trigger::ALL {
            assert_eq!(Trigger::parse(trigger.as_str()), Some(trigger));
            let json = serde_json::to_value(trigger).unwrap();
            assert_eq!(json, trigger.as_str());
        }
        assert_eq!(Trigger::parse("unknown"), None);
    }

    #[test]
    fn a_page_is_one_that_can_be_trusted_and_stands_on_one_line() {
        for good in [
            "https://learn.example.com/keys?from=mail",
            "http://localhost:8080/",
        ] {
            assert!(is_page(good), "{good}");
        }
        for bad in [
            "",
            "https://",
            "http://learn.example.com",
            "https://a b",
            "https://a\nb",
            "javascript:x",
        ] {
            assert!(!is_page(bad), "{bad}");
        }
    }

    #[test]
    fn addresses_of_staff_are_not_shown_in_logs() {
        let letterhead = Letterhead {
            operations_managers_email: Some("mona@example.com".into()),
            instructors: [("ann".to_owned(), "ann@example.com".to_owned())].into(),
            ..Letterhead::default()
        };
        assert!(!format!("{letterhead:?}").contains("example"));
    }
}
