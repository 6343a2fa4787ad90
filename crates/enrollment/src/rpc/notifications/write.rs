//! Plans and settings as messages.

use latchkey_proto::enrollment::v1 as proto;
use latchkey_service_kit::etag;

use crate::app::notifications::read_letters::Letter;
use crate::domain::class::ClassStatus;
use crate::domain::notification::{
    OrganizationNotifications, Plan, PlanSettings, Recipient, Trigger,
};
use crate::rpc::enrollments::write_status;
use crate::rpc::messages::{optional_id, stamp};

/// A plan.
pub(super) fn plan(plan: Plan) -> proto::NotificationPlan {
    proto::NotificationPlan {
        plan_id: plan.id.to_string(),
        organization_id: plan.organization_id.to_string(),
        settings: Some(plan_settings(plan.settings)),
        create_time: Some(stamp(plan.created_at)),
        etag: etag::format(plan.id, plan.version),
    }
}

fn plan_settings(settings: PlanSettings) -> proto::NotificationPlanSettings {
    let class_statuses = settings.class_statuses.into_iter();
    let enrollment_statuses = settings.enrollment_statuses.into_iter();
    let recipients = settings.recipients.into_iter();
    proto::NotificationPlanSettings {
        display_name: settings.display_name,
        trigger: trigger(settings.trigger).into(),
        hours: settings.hours,
        days: settings.days,
        class_statuses: class_statuses.map(|one| class_status(one).into()).collect(),
        enrollment_statuses: enrollment_statuses
            .map(|one| write_status(one).into())
            .collect(),
        course_id: settings.course_id.unwrap_or_default(),
        only_organization_id: optional_id(settings.only_organization_id),
        recipients: recipients.map(|one| recipient(one).into()).collect(),
        from: settings.from.unwrap_or_default(),
        cc: settings.cc,
        subject: settings.subject,
        text: settings.text,
        html: settings.html,
    }
}

/// How an organization writes, and whether it does.
pub(super) fn notification_settings(
    notifications: OrganizationNotifications,
) -> proto::NotificationSettings {
    let letterhead = notifications.letterhead;
    proto::NotificationSettings {
        enabled: notifications.enabled_since.is_some(),
        login_page: letterhead.login_page.unwrap_or_default(),
        operations_managers_email: letterhead.operations_managers_email.unwrap_or_default(),
        instructors: letterhead
            .instructors
            .into_iter()
            .map(|(subject, email)| proto::InstructorAddress { subject, email })
            .collect(),
    }
}

/// A letter.
pub(super) fn letter(letter: Letter) -> proto::Notification {
    let state = match letter.state.as_str() {
        "waiting" => proto::NotificationState::Waiting,
        "sent" => proto::NotificationState::Sent,
        "dropped" => proto::NotificationState::Dropped,
        "dead" => proto::NotificationState::Dead,
        _ => proto::NotificationState::Unspecified,
    };
    proto::Notification {
        notification_id: letter.letter_id.to_string(),
        plan_id: letter.plan_id.to_string(),
        class_id: optional_id(letter.class_id),
        enrollment_id: optional_id(letter.enrollment_id),
        assignment_id: optional_id(letter.assignment_id),
        occur_time: Some(stamp(letter.occurred_at)),
        recipient: letter.recipient,
        state: state.into(),
        attempts: letter.attempts,
        next_attempt_time: letter.next_attempt_at.map(stamp),
        problem: letter.problem.unwrap_or_default(),
        create_time: Some(stamp(letter.created_at)),
        finish_time: letter.finished_at.map(stamp),
    }
}

fn trigger(trigger: Trigger) -> proto::NotificationTrigger {
    match trigger {
        Trigger::Enrolled => proto::NotificationTrigger::Enrolled,
        Trigger::WaitListed => proto::NotificationTrigger::WaitListed,
        Trigger::Promoted => proto::NotificationTrigger::Promoted,
        Trigger::Cancelled => proto::NotificationTrigger::Cancelled,
        Trigger::BeforeStart => proto::NotificationTrigger::BeforeStart,
        Trigger::AfterStart => proto::NotificationTrigger::AfterStart,
        Trigger::BeforeEnd => proto::NotificationTrigger::BeforeEnd,
        Trigger::AfterEnd => proto::NotificationTrigger::AfterEnd,
        Trigger::AssignmentExpiring => proto::NotificationTrigger::AssignmentExpiring,
    }
}

fn recipient(recipient: Recipient) -> proto::NotificationRecipient {
    match recipient {
        Recipient::Student => proto::NotificationRecipient::Student,
        Recipient::Instructors => proto::NotificationRecipient::Instructors,
        Recipient::OperationsManagers => proto::NotificationRecipient::OperationsManagers,
    }
}

fn class_status(status: ClassStatus) -> proto::ClassStatus {
    match status {
        ClassStatus::Tentative => proto::ClassStatus::Tentative,
        ClassStatus::Scheduled => proto::ClassStatus::Scheduled,
        ClassStatus::GuaranteedToRun => proto::ClassStatus::GuaranteedToRun,
        ClassStatus::Cancelled => proto::ClassStatus::Cancelled,
    }
}
