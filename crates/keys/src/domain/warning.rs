//! What a caller should know although the call succeeded.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// A warning, with the figures to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "warning")]
pub enum Warning {
    /// An event key is on while its class's maximum is only a default.
    MaximumIsDefault,
    /// The own code is easy to guess.
    CodeGuessable,
    /// The class is about to end: enrollment keys are not meant for late-comers who want post-class access only.
    ClassNearEnd {
        /// When it ends.
        ends_at: DateTime<Utc>,
        /// The class's time zone.
        zone: Tz,
    },
}
