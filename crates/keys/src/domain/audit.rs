//! The audit trail: who did what, for whom, when, from where; and who was refused.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The token's subject.
    pub subject: String,
    /// The token's issuer.
    pub issuer: String,
    /// The roles the token carried, by name.
    pub roles: Vec<String>,
    /// The organization the token carried, if any.
    pub organization_id: Option<Uuid>,
}

/// What was done. The names are part of the contract: audit lists are filtered by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Enrollment keys were admitted for generation: one event per request, when its first keys are made; the resource is the
    /// class.
    Generate,
    /// A code of an enrollment key was shown: one event per key.
    Reveal,
    /// An export of the keys of a class or an organization began: one event per call, before the first code leaves. The
    /// resource is the class or the organization.
    Export,
    /// That export ended: how many keys it gave away, and whether they were all. Without this event it may have been any.
    ExportEnd,
    /// A key was found by its code.
    LookUp,
    /// An enrollment key was revoked: one event per key.
    Revoke,
    /// An event key was turned on or off, or got a new code.
    SetEventKey,
    /// The code of an event key was shown.
    RevealEventKey,
    /// An event key was removed with what an abandoned creation of a class left behind.
    RetireEventKey,
    /// A key of the keyring became the one that everything new is made with.
    MakeKeyCurrent,
    /// All that can be made anew with a current key of the keyring was.
    CompleteRotation,
    /// A key of the keyring was taken out of use.
    TakeKeyOut,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 12] = [
        Self::Generate,
        Self::Reveal,
        Self::Export,
        Self::ExportEnd,
        Self::LookUp,
        Self::Revoke,
        Self::SetEventKey,
        Self::RevealEventKey,
        Self::RetireEventKey,
        Self::MakeKeyCurrent,
        Self::CompleteRotation,
        Self::TakeKeyOut,
    ];

    /// The action's name, for example `training_key.reveal`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generate => "training_key.generate",
            Self::Reveal => "training_key.reveal",
            Self::Export => "training_key.export",
            Self::ExportEnd => "training_key.export_end",
            Self::LookUp => "training_key.look_up",
            Self::Revoke => "training_key.revoke",
            Self::SetEventKey => "event_key.set",
            Self::RevealEventKey => "event_key.reveal",
            Self::RetireEventKey => "event_key.retire",
            Self::MakeKeyCurrent => "keyring.make_current",
            Self::CompleteRotation => "keyring.complete_rotation",
            Self::TakeKeyOut => "keyring.take_out",
        }
    }

    /// The type of what it is done to.
    fn resource_type(self) -> &'static str {
        match self {
            Self::Generate | Self::Export | Self::ExportEnd => "class",
            Self::Reveal | Self::LookUp | Self::Revoke => "training_key",
            Self::SetEventKey | Self::RevealEventKey | Self::RetireEventKey => "event_key",
            Self::MakeKeyCurrent | Self::CompleteRotation | Self::TakeKeyOut => "keyring",
        }
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
    /// The organization that owns the resource; the nil id for the keyring, which is the deployment's.
    pub organization_id: Uuid,
    /// The resource: the nil id for the keyring, a class for [`Action::Generate`], a class or the organization for an export,
    /// else a key.
    pub resource_id: Uuid,
    /// What changed, as a JSON object; never a code.
    pub details: Value,
}

impl Deed {
    /// The type of the resource.
    pub fn resource_type(&self) -> &'static str {
        let of_organization = self.resource_id == self.organization_id;
        match self.action {
            Action::Export | Action::ExportEnd if of_organization => "organization",
            action => action.resource_type(),
        }
    }
}

/// One row of the trail.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its id.
    pub event_id: Uuid,
    /// When it happened, by the database's clock.
    pub occurred_at: DateTime<Utc>,
    /// Who did it.
    pub actor: Actor,
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
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn outcomes_are_read_as_they_are_stored() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
        }
        assert_eq!(Outcome::parse("unknown"), None);
    }

    #[test]
    fn each_action_has_a_name_of_its_own_that_begins_with_its_kind_of_resource() {
        let names: HashSet<&str> = Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for action in Action::ALL {
            let (kind, _) = action.name().split_once('.').unwrap();
            let of_many = [Action::Generate, Action::Export, Action::ExportEnd];
            assert!(
                kind == action.resource_type() || of_many.contains(&action),
                "{action}"
            );
        }
    }

    #[test]
    fn an_export_is_of_a_class_or_of_an_organization() {
        let of = |action, resource| {
            let deed = Deed {
                action,
                organization_id: Uuid::from_u128(1),
                resource_id: Uuid::from_u128(resource),
                details: Value::Null,
            };
            deed.resource_type()
        };
        assert_eq!(of(Action::Export, 1), "organization");
        assert_eq!(of(Action::ExportEnd, 1), "organization");
        assert_eq!(of(Action::Export, 2), "class");
        assert_eq!(of(Action::Revoke, 2), "training_key");
    }
}
