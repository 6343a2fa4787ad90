//! The audit trail: who did what, for whom, when, from where; and who was refused.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

/// What was done. The names are part of the contract: audit lists are filtered by them. A redemption has no action: its
/// own row is its audit row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// An organization was created.
    CreateOrganization,
    /// An organization's settings were changed.
    UpdateOrganization,
    /// Self-registration was turned on or off.
    SetSelfRegistration,
    /// A class was created.
    CreateClass,
    /// A class was changed.
    UpdateClass,
    /// A class was cancelled; its enrollments have an event each.
    CancelClass,
    /// A student's account was created by staff or the platform.
    CreateStudent,
    /// A student's account was changed.
    UpdateStudent,
    /// A student's account was deactivated.
    DeactivateStudent,
    /// A student's account was activated again.
    ActivateStudent,
    /// The personal data of a student's account was erased.
    EraseStudent,
    /// A student was enrolled without a key.
    EnrollStudent,
    /// The status of an enrollment was changed, other than by a cancellation.
    ChangeStatus,
    /// A student who waited was given a seat that came free.
    PromoteStudent,
    /// How far a student came was recorded.
    SetCompletion,
    /// An enrollment was moved to another class.
    MoveEnrollment,
    /// An enrollment was cancelled: one event per enrollment, whoever cancelled it.
    CancelEnrollment,
    /// An earlier removal by staff was lifted, so that the class's event key lets the student in again.
    LiftBlock,
    /// A period was closed; one event for an organization and all below it.
    ClosePeriod,
    /// An export of billing lines began.
    ExportBilling,
    /// It ended, or broke off.
    EndBillingExport,
    /// A subscription profile was created.
    CreateProfile,
    /// A subscription profile was changed.
    UpdateProfile,
    /// An assignment was cancelled.
    CancelAssignment,
    /// Something of an assignment was launched for the first time.
    LaunchAssignment,
    /// A notification plan was made.
    CreateNotificationPlan,
    /// A notification plan got other settings.
    ReplaceNotificationPlan,
    /// A notification plan was deleted.
    DeleteNotificationPlan,
    /// How an organization writes to people was changed, or whether it does. The resource is the organization.
    SetNotificationSettings,
    /// The notifications of one class were turned on or off, or left to its organization. The resource is the class.
    SetClassNotifications,
    /// A student opted out of being written to, or in again.
    SetOptOut,
}

impl Action {
    /// The action's name, for example `class.update`.
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateOrganization => "organization.create",
            Self::UpdateOrganization => "organization.update",
            Self::SetSelfRegistration => "organization.set_self_registration",
            Self::CreateClass => "class.create",
            Self::UpdateClass => "class.update",
            Self::CancelClass => "class.cancel",
            Self::CreateStudent => "student.create",
            Self::UpdateStudent => "student.update",
            Self::DeactivateStudent => "student.deactivate",
            Self::ActivateStudent => "student.activate",
            Self::EraseStudent => "student.erase",
            Self::EnrollStudent => "enrollment.enroll",
            Self::ChangeStatus => "enrollment.change_status",
            Self::PromoteStudent => "enrollment.promote",
            Self::SetCompletion => "enrollment.set_completion",
            Self::MoveEnrollment => "enrollment.move",
            Self::CancelEnrollment => "enrollment.cancel",
            Self::LiftBlock => "enrollment.lift_block",
            Self::ClosePeriod => "billing_period.close",
            Self::ExportBilling => "billing.export",
            Self::EndBillingExport => "billing.export_end",
            Self::CreateProfile => "subscription_profile.create",
            Self::UpdateProfile => "subscription_profile.update",
            Self::CancelAssignment => "assignment.cancel",
            Self::LaunchAssignment => "assignment.launch",
            Self::CreateNotificationPlan => "notification_plan.create",
            Self::ReplaceNotificationPlan => "notification_plan.replace",
            Self::DeleteNotificationPlan => "notification_plan.delete",
            Self::SetNotificationSettings => "notification_settings.set",
            Self::SetClassNotifications => "class_notifications.set",
            Self::SetOptOut => "notification_opt_out.set",
        }
    }

    /// The type of what it is done to.
    pub fn resource_type(self) -> &'static str {
        self.name()
            .split_once('.')
            .map_or(self.name(), |(kind, _)| kind)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How what was tried ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done.
    Done,
    /// The caller is not allowed to.
    Refused,
    /// It is beyond the caller's reach: the caller was told that it does not exist.
    BeyondReach,
    /// The caller tried too often.
    Limited,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Done, Self::Refused, Self::BeyondReach, Self::Limited];

    /// The name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::BeyondReach => "beyond_reach",
            Self::Limited => "limited",
        }
    }

    /// The one with this stored name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == name)
    }
}

/// What happened to one resource, still without who did it.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// What was done.
    pub action: Action,
    /// The organization that owns the resource.
    pub organization_id: Uuid,
    /// The resource.
    pub resource_id: Uuid,
    /// The student it was done for, if it concerns one.
    pub student_id: Option<Uuid>,
    /// What changed, as a JSON object; never a code, a password or a token.
    pub details: Value,
}

/// One row of the trail.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its id.
    pub event_id: Uuid,
    /// When it happened, by the database's clock.
    pub occurred_at: DateTime<Utc>,
    /// The subject of who did it.
    pub actor_subject: String,
    /// The issuer of that token.
    pub actor_issuer: String,
    /// The roles the token carried, by name.
    pub actor_roles: Vec<String>,
    /// The organization the token carried, if any.
    pub actor_organization_id: Option<Uuid>,
    /// Whose event it is: of a deed, the owner of what was changed. `None`: of nobody but the operators.
    pub organization_id: Option<Uuid>,
    /// What was done, by name: also of actions that this release does not know. Of a refused call: the method.
    pub action: String,
    /// The type of what was changed, or of what a refused call was about.
    pub resource_type: Option<String>,
    /// Its id.
    pub resource_id: Option<Uuid>,
    /// The student it was done for, if it concerns one.
    pub student_id: Option<Uuid>,
    /// From where.
    pub peer: String,
    /// The id of the call.
    pub request_id: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The name of the reason that a refused caller was given.
    pub reason: Option<String>,
    /// What changed.
    pub details: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_as_they_are_stored() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
        }
        assert_eq!(Outcome::parse("unknown"), None);
    }
}
