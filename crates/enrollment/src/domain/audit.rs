//! The audit trail: who did what, for whom, when, from where.

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
    /// A student was enrolled without a key.
    EnrollStudent,
    /// An enrollment was cancelled: one event per enrollment, whoever cancelled it.
    CancelEnrollment,
    /// An earlier removal by staff was lifted, so that the class's event key lets the student in again.
    LiftBlock,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 13] = [
        Self::CreateOrganization,
        Self::UpdateOrganization,
        Self::SetSelfRegistration,
        Self::CreateClass,
        Self::UpdateClass,
        Self::CancelClass,
        Self::CreateStudent,
        Self::UpdateStudent,
        Self::DeactivateStudent,
        Self::ActivateStudent,
        Self::EnrollStudent,
        Self::CancelEnrollment,
        Self::LiftBlock,
    ];

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
            Self::EnrollStudent => "enrollment.enroll",
            Self::CancelEnrollment => "enrollment.cancel",
            Self::LiftBlock => "enrollment.lift_block",
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
    /// The organization that owns what was changed.
    pub organization_id: Uuid,
    /// What was done, by name: also of actions that this release does not know.
    pub action: String,
    /// The type of what was changed.
    pub resource_type: String,
    /// Its id.
    pub resource_id: Uuid,
    /// The student it was done for, if it concerns one.
    pub student_id: Option<Uuid>,
    /// From where.
    pub peer: String,
    /// The id of the call.
    pub request_id: String,
    /// What changed.
    pub details: Value,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_action_has_a_name_of_its_own_that_begins_with_its_kind_of_resource() {
        let names: HashSet<&str> = Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for action in Action::ALL {
            assert!(
                action.name().starts_with(action.resource_type()),
                "{action}"
            );
            assert_ne!(action.name(), action.resource_type());
        }
    }
}
