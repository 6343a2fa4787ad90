//! What keys are made for.

use serde_json::Value;
use uuid::Uuid;

use super::grant::GrantKind;
use super::subscription::Terms;

/// What keys are made for, and what the makers lay down for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// This class.
    Class(Uuid),
    /// This pool.
    Pool(Uuid),
    /// This subscription profile, each key with these terms.
    Profile(Uuid, Terms),
}

impl Target {
    /// Of which kind it is.
    pub fn kind(self) -> GrantKind {
        match self {
            Self::Class(_) => GrantKind::Class,
            Self::Pool(_) => GrantKind::Pool,
            Self::Profile(..) => GrantKind::Profile,
        }
    }

    /// The id of it.
    pub fn id(self) -> Uuid {
        match self {
            Self::Class(id) | Self::Pool(id) | Self::Profile(id, _) => id,
        }
    }

    /// The terms of each key, if it is to have some.
    pub fn terms(self) -> Option<Terms> {
        match self {
            Self::Class(_) | Self::Pool(_) => None,
            Self::Profile(_, terms) => Some(terms),
        }
    }

    /// Those terms for the audit trail, and for recognising a request for them; null if there are none.
    pub fn described_terms(self) -> Value {
        let terms = self.terms();
        terms.map_or(Value::Null, |terms| Value::Object(terms.described()))
    }
}
