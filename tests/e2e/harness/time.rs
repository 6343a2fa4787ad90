//! The present time and new identifiers. The services and Postgres run on this machine, so its clock is theirs.

use chrono::{DateTime, SubsecRound, Utc};
use latchkey_service_kit::clock::{Clock, SystemClock};
use latchkey_service_kit::ids::{Ids, RandomIds};
use prost_types::Timestamp;

/// The present time, as the database keeps it: in microseconds.
pub(crate) fn now() -> DateTime<Utc> {
    SystemClock.now().trunc_subsecs(6)
}

/// A new identifier, as callers make them for their requests.
pub(crate) fn new_id() -> String {
    RandomIds::default().new_id().to_string()
}

/// Several new identifiers.
pub(crate) fn ids(count: usize) -> Vec<String> {
    (0..count).map(|_| new_id()).collect()
}

/// The time as messages have it.
#[expect(clippy::unnecessary_wraps, reason = "message fields are optional")]
pub(crate) fn at(time: DateTime<Utc>) -> Option<Timestamp> {
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).expect("below a billion");
    Some(Timestamp {
        seconds: time.timestamp(),
        nanos,
    })
}

/// The time that a message has.
pub(crate) fn read(time: Option<&Timestamp>) -> DateTime<Utc> {
    let time = time.expect("the time is set");
    let nanos = u32::try_from(time.nanos).expect("not negative");
    DateTime::from_timestamp(time.seconds, nanos).expect("a time of the calendar")
}
