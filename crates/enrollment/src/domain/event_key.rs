//! What this service passes on about a class's event key when it creates the class.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use zeroize::Zeroizing;

/// What to make of a class's event key.
#[derive(Clone, PartialEq, Eq)]
pub enum EventKeyChange {
    /// Turn it off.
    Off,
    /// Turn it on with a generated code.
    Generated {
        /// How long the code that is replaced stays valid.
        grace: Duration,
    },
    /// Turn it on with one's own text.
    OwnCode {
        /// The text: a secret.
        text: Zeroizing<String>,
        /// How long the code that is replaced stays valid.
        grace: Duration,
    },
}

/// A code never shows itself.
impl fmt::Debug for EventKeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Generated { .. } => "Generated",
            Self::OwnCode { .. } => "OwnCode([redacted])",
        })
    }
}

/// The event key of a class, as the keys service shows it: its code masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKey {
    /// The class.
    pub class_id: Uuid,
    /// The key.
    pub key_id: Uuid,
    /// Whether it is turned on.
    pub enabled: bool,
    /// How many codes it has had.
    pub generation: i32,
    /// The present code, masked.
    pub masked_code: String,
    /// Whether the present code is the administrator's own text.
    pub own_code: bool,
    /// Until when the code before this one is accepted.
    pub previous_code_valid_until: Option<DateTime<Utc>>,
    /// Until when it can be redeemed.
    pub redeemable_until: Option<DateTime<Utc>>,
    /// How many students came by it and are still in.
    pub use_count: i32,
    /// Its version as callers see it.
    pub etag: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_code_is_never_shown() {
        let change = EventKeyChange::OwnCode {
            text: Zeroizing::new("SESAME-1".into()),
            grace: Duration::ZERO,
        };
        assert_eq!(format!("{change:?}"), "OwnCode([redacted])");
    }
}
