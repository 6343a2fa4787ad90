//! What messages of several services have in common.

use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use uuid::Uuid;

/// An instant as messages carry it.
pub(super) fn stamp(time: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0);
    Timestamp {
        seconds: time.timestamp(),
        nanos,
    }
}

/// An id that may be missing, as messages carry it: empty when it is.
pub(super) fn optional_id(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}
