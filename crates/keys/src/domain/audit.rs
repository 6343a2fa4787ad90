//! The audit trail: who did what, for whom, when, from where; and who was refused.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::grant::GrantKind;

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
    /// Keys were admitted for generation: one event per request, when its first keys are made; the resource is what they open.
    Generate(GrantKind),
    /// Codes of one's own were looked up for new keys, and none was added: one event per call. It was told which of them other
    /// keys have. The resource is what the keys would open.
    TryOwnCodes(GrantKind),
    /// The code of a key that is no event key was shown: one event per key.
    Reveal,
    /// An export of the keys of a class, a pool, a profile or (`None`) an organization began: one event per call, before the
    /// first code leaves. The resource is that class, pool, profile or organization.
    Export(Option<GrantKind>),
    /// That export ended: how many keys it gave away, and whether they were all. Without this event it may have been any.
    ExportEnd(Option<GrantKind>),
    /// A key was found by its code.
    LookUp,
    /// A key that is no event key was revoked: one event per key.
    Revoke,
    /// An event key was turned on or off, or got a new code.
    SetEventKey,
    /// The code of an event key was shown.
    RevealEventKey,
    /// An event key was removed with what an abandoned creation of a class left behind.
    RetireEventKey,
    /// A pool was created.
    CreatePool,
    /// A pool was changed.
    UpdatePool,
    /// The terms of a subscription key were changed.
    UpdateSubscriptionKey,
    /// A key of the keyring became the one that everything new is made with.
    MakeKeyCurrent,
    /// All that can be made anew with a current key of the keyring was.
    CompleteRotation,
    /// A key of the keyring was taken out of use.
    TakeKeyOut,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 25] = [
        Self::Generate(GrantKind::Class),
        Self::Generate(GrantKind::Pool),
        Self::Generate(GrantKind::Profile),
        Self::TryOwnCodes(GrantKind::Pool),
        Self::TryOwnCodes(GrantKind::Profile),
        Self::Reveal,
        Self::Export(None),
        Self::Export(Some(GrantKind::Class)),
        Self::Export(Some(GrantKind::Pool)),
        Self::Export(Some(GrantKind::Profile)),
        Self::ExportEnd(None),
        Self::ExportEnd(Some(GrantKind::Class)),
        Self::ExportEnd(Some(GrantKind::Pool)),
        Self::ExportEnd(Some(GrantKind::Profile)),
        Self::LookUp,
        Self::Revoke,
        Self::SetEventKey,
        Self::RevealEventKey,
        Self::RetireEventKey,
        Self::CreatePool,
        Self::UpdatePool,
        Self::UpdateSubscriptionKey,
        Self::MakeKeyCurrent,
        Self::CompleteRotation,
        Self::TakeKeyOut,
    ];

    /// The action's name, for example `training_key.reveal`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generate(_) => "training_key.generate",
            Self::TryOwnCodes(_) => "training_key.try_own_codes",
            Self::Reveal => "training_key.reveal",
            Self::Export(_) => "training_key.export",
            Self::ExportEnd(_) => "training_key.export_end",
            Self::LookUp => "training_key.look_up",
            Self::Revoke => "training_key.revoke",
            Self::SetEventKey => "event_key.set",
            Self::RevealEventKey => "event_key.reveal",
            Self::RetireEventKey => "event_key.retire",
            Self::CreatePool => "key_pool.create",
            Self::UpdatePool => "key_pool.update",
            Self::UpdateSubscriptionKey => "subscription_key.update",
            Self::MakeKeyCurrent => "keyring.make_current",
            Self::CompleteRotation => "keyring.complete_rotation",
            Self::TakeKeyOut => "keyring.take_out",
        }
    }

    /// The type of what it is done to.
    pub fn resource_type(self) -> &'static str {
        match self {
            Self::Generate(kind)
            | Self::TryOwnCodes(kind)
            | Self::Export(Some(kind))
            | Self::ExportEnd(Some(kind)) => kind.resource_type(),
            Self::Export(None) | Self::ExportEnd(None) => "organization",
            Self::CreatePool | Self::UpdatePool => GrantKind::Pool.resource_type(),
            Self::UpdateSubscriptionKey => "subscription_key",
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
    /// The resource: the nil id for the keyring, what the keys open for [`Action::Generate`] and [`Action::TryOwnCodes`], that or
    /// the organization for an export, a pool for what is done to it, else a key.
    pub resource_id: Uuid,
    /// What changed, as a JSON object; never a code.
    pub details: Value,
}

impl Deed {
    /// The type of the resource.
    pub fn resource_type(&self) -> &'static str {
        self.action.resource_type()
    }
}

/// What differs between two descriptions of a resource: each changed field with its old and new value.
pub fn difference(before: &Map<String, Value>, after: &Map<String, Value>) -> Value {
    let changed = after.iter().filter_map(|(name, new)| {
        let old = before.get(name).unwrap_or(&Value::Null);
        (old != new).then(|| (name.clone(), json!({ "from": old, "to": new })))
    });
    Value::Object(changed.collect())
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
        let names: HashSet<(&str, &str)> = Action::ALL
            .iter()
            .map(|action| (action.name(), action.resource_type()))
            .collect();
        assert_eq!(names.len(), Action::ALL.len());
        for action in Action::ALL {
            let (kind, _) = action.name().split_once('.').unwrap();
            let of_many = matches!(
                action,
                Action::Generate(_)
                    | Action::TryOwnCodes(_)
                    | Action::Export(_)
                    | Action::ExportEnd(_)
            );
            assert!(kind == action.resource_type() || of_many, "{action}");
        }
    }

    #[test]
    fn an_export_is_of_a_class_a_pool_a_profile_or_an_organization() {
        for (of, resource_type) in [
            (None, "organization"),
            (Some(GrantKind::Class), "class"),
            (Some(GrantKind::Pool), "key_pool"),
            (Some(GrantKind::Profile), "subscription_profile"),
        ] {
            for action in [Action::Export(of), Action::ExportEnd(of)] {
                assert_eq!(action.resource_type(), resource_type);
            }
        }
    }
}
