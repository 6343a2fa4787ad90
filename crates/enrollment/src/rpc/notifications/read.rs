//! Plans and settings, read from messages with all their violations at once.

use std::collections::{BTreeMap, BTreeSet};

use latchkey_proto::enrollment::v1 as proto;
use latchkey_service_kit::paging::PageRequest;
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::validation::Violations;
use uuid::Uuid;

use crate::app::notifications::read_letters::LetterFilter;
use crate::app::notifications::render_invitation::{InvitationWish, InvitingKey};
use crate::domain::notification::template::faults;
use crate::domain::notification::{Letterhead, PlanSettings, Recipient, Trigger, is_page};
use crate::rpc::classes::read::status as read_class_status;
use crate::rpc::enrollments::read_status;
use crate::rpc::messages::{name, optional_id, optional_text};

/// Which invitation is wished for.
pub(super) fn invitation(
    message: &proto::RenderInvitationRequest,
) -> Result<InvitationWish, ApiError> {
    let mut violations = Violations::of(message);
    let key_id = violations.optional_uuid("key_id", &message.key_id);
    let class_id = violations.optional_uuid("class_id", &message.class_id);
    let pool_id = violations.optional_uuid("pool_id", &message.pool_id);
    let profile_id = violations.optional_uuid("profile_id", &message.profile_id);
    let student_id = violations.optional_uuid("student_id", &message.student_id);
    if pool_id.or(profile_id).is_some() && !violations.has("key_id") {
        let description = "must be set, because only a class has an event key";
        violations.check("key_id", key_id.is_some(), description);
    }
    violations.finish()?;
    let key = match (pool_id, profile_id, key_id) {
        (Some(pool_id), _, Some(key_id)) => InvitingKey::OfPool { pool_id, key_id },
        (_, Some(profile_id), Some(key_id)) => InvitingKey::OfProfile { profile_id, key_id },
        _ => InvitingKey::OfClass {
            class_id: class_id.unwrap_or_default(),
            key_id,
        },
    };
    Ok(InvitationWish { key, student_id })
}

/// The settings of a plan.
pub(super) fn plan_settings(
    message: Option<proto::NotificationPlanSettings>,
    violations: &mut Violations,
) -> PlanSettings {
    let message = violations.required("settings", message);
    // Without a trigger the violation is noted already.
    let trigger = trigger(message.trigger).unwrap_or(Trigger::Enrolled);
    timing(&message, trigger, violations);
    if trigger.is_about_assignments() {
        no_class(&message, violations);
    }
    violations.line("settings.subject", &message.subject);
    violations.line("settings.course_id", &message.course_id);
    several_lines(violations, "settings.text", &message.text);
    several_lines(violations, "settings.html", &message.html);
    let distinct: BTreeSet<&i32> = message.recipients.iter().collect();
    violations.check(
        "settings.recipients",
        distinct.len() == message.recipients.len(),
        "must not name anybody twice",
    );
    let settings = PlanSettings {
        display_name: name(violations, "settings.display_name", &message.display_name),
        trigger,
        hours: message.hours,
        days: message.days,
        class_statuses: read_all(&message.class_statuses, read_class_status),
        enrollment_statuses: read_all(&message.enrollment_statuses, read_status),
        course_id: optional_text(&message.course_id).map(str::to_owned),
        only_organization_id: violations.optional_uuid(
            "settings.only_organization_id",
            &message.only_organization_id,
        ),
        recipients: read_all(&message.recipients, recipient),
        from: optional_text(&message.from).map(str::to_owned),
        cc: message.cc,
        subject: message.subject,
        text: message.text,
        html: message.html,
    };
    for fault in faults(&settings) {
        let field = format!("settings.{}", fault.field);
        if !violations.has(&field) {
            violations.add(field, fault.description);
        }
    }
    settings
}

/// That it says how long before or after, where that makes sense: hours around a class, days before an expiry.
fn timing(
    message: &proto::NotificationPlanSettings,
    trigger: Trigger,
    violations: &mut Violations,
) {
    if !violations.has("settings.hours") {
        let good = trigger.is_around_class() || message.hours == 0;
        let description = "must be 0, because the trigger is no time around a class";
        violations.check("settings.hours", good, description);
    }
    if !violations.has("settings.days") {
        let (good, description) = if trigger.is_about_assignments() {
            (message.days > 0, "must be at least 1")
        } else {
            (message.days == 0, "must be 0, because nothing expires")
        };
        violations.check("settings.days", good, description);
    }
}

/// That it names nothing that only classes have.
fn no_class(message: &proto::NotificationPlanSettings, violations: &mut Violations) {
    const EMPTY: &str = "must be empty, because assignments have no class";
    let instructors = i32::from(proto::NotificationRecipient::Instructors);
    for (field, good, description) in [
        ("class_statuses", message.class_statuses.is_empty(), EMPTY),
        (
            "enrollment_statuses",
            message.enrollment_statuses.is_empty(),
            EMPTY,
        ),
        (
            "recipients",
            !message.recipients.contains(&instructors),
            "must not name instructors, because assignments have none",
        ),
    ] {
        violations.check(&format!("settings.{field}"), good, description);
    }
}

/// How an organization writes, and whether it does.
pub(super) fn notification_settings(
    message: Option<proto::NotificationSettings>,
    violations: &mut Violations,
) -> (bool, Letterhead) {
    let message = violations.required("settings", message);
    let page = optional_text(&message.login_page);
    violations.check(
        "settings.login_page",
        page.is_none_or(is_page),
        "must be an address that begins with `https://` (or `http://localhost`)",
    );
    let mut instructors = BTreeMap::new();
    for (place, one) in message.instructors.into_iter().enumerate() {
        let field = format!("settings.instructors[{place}].subject");
        violations.line(&field, &one.subject);
        if instructors.insert(one.subject, one.email).is_some() {
            violations.add(field, "must not name anybody twice");
        }
    }
    let letterhead = Letterhead {
        login_page: page.map(str::to_owned),
        operations_managers_email: optional_text(&message.operations_managers_email)
            .map(str::to_owned),
        instructors,
    };
    (message.enabled, letterhead)
}

/// A list that is wanted.
pub(super) struct List {
    pub(super) filter: LetterFilter,
    pub(super) page: PageRequest<Uuid>,
}

/// Which letters to list.
pub(super) fn list(message: &proto::ListNotificationsRequest) -> Result<List, ApiError> {
    let mut violations = Violations::of(message);
    let filter = LetterFilter {
        organization_id: violations.optional_uuid("organization_id", &message.organization_id),
        plan_id: violations.optional_uuid("plan_id", &message.plan_id),
        class_id: violations.optional_uuid("class_id", &message.class_id),
        state: state(message.state),
    };
    let query = vec![
        "ListNotifications".to_owned(),
        optional_id(filter.organization_id),
        optional_id(filter.plan_id),
        optional_id(filter.class_id),
        filter.state.unwrap_or_default().to_owned(),
    ];
    let page = PageRequest::read(
        message.page_size,
        &message.page_token,
        &query,
        &mut violations,
    );
    violations.finish()?;
    Ok(List { filter, page })
}

fn state(number: i32) -> Option<&'static str> {
    match proto::NotificationState::try_from(number).ok()? {
        proto::NotificationState::Unspecified => None,
        proto::NotificationState::Waiting => Some("waiting"),
        proto::NotificationState::Sent => Some("sent"),
        proto::NotificationState::Dropped => Some("dropped"),
        proto::NotificationState::Dead => Some("dead"),
    }
}

/// Text that may have line breaks, and no other control characters.
fn several_lines(violations: &mut Violations, field: &str, text: &str) {
    let breaks = ['\n', '\r', '\t'];
    let rest: String = text.chars().filter(|c| !breaks.contains(c)).collect();
    violations.line(field, &rest);
}

/// What the contract names among `numbers`. Those that it does not name are found by its rules.
fn read_all<T>(numbers: &[i32], read: fn(i32) -> Option<T>) -> Vec<T> {
    numbers.iter().filter_map(|number| read(*number)).collect()
}

fn trigger(number: i32) -> Option<Trigger> {
    match proto::NotificationTrigger::try_from(number).ok()? {
        proto::NotificationTrigger::Unspecified => None,
        proto::NotificationTrigger::Enrolled => Some(Trigger::Enrolled),
        proto::NotificationTrigger::WaitListed => Some(Trigger::WaitListed),
        proto::NotificationTrigger::Promoted => Some(Trigger::Promoted),
        proto::NotificationTrigger::Cancelled => Some(Trigger::Cancelled),
        proto::NotificationTrigger::BeforeStart => Some(Trigger::BeforeStart),
        proto::NotificationTrigger::AfterStart => Some(Trigger::AfterStart),
        proto::NotificationTrigger::BeforeEnd => Some(Trigger::BeforeEnd),
        proto::NotificationTrigger::AfterEnd => Some(Trigger::AfterEnd),
        proto::NotificationTrigger::AssignmentExpiring => Some(Trigger::AssignmentExpiring),
    }
}

fn recipient(number: i32) -> Option<Recipient> {
    match proto::NotificationRecipient::try_from(number).ok()? {
        proto::NotificationRecipient::Unspecified => None,
        proto::NotificationRecipient::Student => Some(Recipient::Student),
        proto::NotificationRecipient::Instructors => Some(Recipient::Instructors),
        proto::NotificationRecipient::OperationsManagers => Some(Recipient::OperationsManagers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> proto::NotificationPlanSettings {
        proto::NotificationPlanSettings {
            display_name: "Reminder".to_owned(),
            trigger: proto::NotificationTrigger::BeforeStart.into(),
            hours: 24,
            recipients: vec![proto::NotificationRecipient::Student.into()],
            subject: "{{ class_name }}".to_owned(),
            text: "It begins\non {{ class_start }}.".to_owned(),
            ..proto::NotificationPlanSettings::default()
        }
    }

    fn fields(message: proto::NotificationPlanSettings) -> Vec<String> {
        let mut violations = Violations::default();
        plan_settings(Some(message), &mut violations);
        match violations.finish() {
            Ok(()) => Vec::new(),
            Err(error) => error
                .violations()
                .iter()
                .map(|violation| violation.field.clone())
                .collect(),
        }
    }

    #[test]
    fn a_plan_is_read_whole() {
        let mut violations = Violations::default();
        let read = plan_settings(Some(message()), &mut violations);
        violations.finish().unwrap();
        assert_eq!((read.trigger, read.hours), (Trigger::BeforeStart, 24));
        assert_eq!(read.recipients, [Recipient::Student]);
        assert_eq!((read.from, read.course_id), (None, None));
    }

    #[test]
    fn every_field_at_fault_is_named() {
        let bad = proto::NotificationPlanSettings {
            display_name: " ".to_owned(),
            trigger: proto::NotificationTrigger::Enrolled.into(),
            recipients: vec![1, 1],
            subject: "a\nb".to_owned(),
            text: "a\0b".to_owned(),
            html: "{{ nothing }}".to_owned(),
            ..message()
        };
        let mut found = fields(bad);
        found.sort();
        found.dedup();
        let expected = [
            "display_name",
            "hours",
            "html",
            "recipients",
            "subject",
            "text",
        ];
        assert_eq!(found, expected.map(|field| format!("settings.{field}")));
        assert!(fields(message()).is_empty());
    }

    #[test]
    fn a_plan_about_assignments_names_days_and_nothing_of_a_class() {
        let expiring = proto::NotificationPlanSettings {
            trigger: proto::NotificationTrigger::AssignmentExpiring.into(),
            hours: 0,
            days: 7,
            course_id: "linux-101".to_owned(),
            subject: "{{ course_name }}".to_owned(),
            text: "Until {{ access_until }}.".to_owned(),
            ..message()
        };
        assert!(fields(expiring.clone()).is_empty());
        let bad = proto::NotificationPlanSettings {
            hours: 1,
            days: 0,
            class_statuses: vec![proto::ClassStatus::Scheduled.into()],
            enrollment_statuses: vec![proto::EnrollmentStatus::Enrolled.into()],
            recipients: vec![proto::NotificationRecipient::Instructors.into()],
            text: "{{ class_name }}".to_owned(),
            ..expiring
        };
        let mut found = fields(bad);
        found.sort();
        let expected = [
            "class_statuses",
            "days",
            "enrollment_statuses",
            "hours",
            "recipients",
            "text",
        ];
        assert_eq!(found, expected.map(|field| format!("settings.{field}")));
        let around_a_class = proto::NotificationPlanSettings {
            days: 1,
            ..message()
        };
        assert_eq!(fields(around_a_class), ["settings.days"]);
    }

    #[test]
    fn an_instructor_has_one_address_and_a_page_is_one() {
        let ann = proto::InstructorAddress {
            subject: "ann".to_owned(),
            email: "ann@example.com".to_owned(),
        };
        let message = proto::NotificationSettings {
            login_page: "learn.example.com".to_owned(),
            instructors: vec![ann.clone(), ann],
            ..proto::NotificationSettings::default()
        };
        let mut violations = Violations::default();
        notification_settings(Some(message), &mut violations);
        assert!(violations.has("settings.login_page"));
        assert!(violations.has("settings.instructors[1].subject"));
    }
}
