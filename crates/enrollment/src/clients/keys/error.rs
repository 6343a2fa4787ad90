//! How a call to the keys service fails.

use std::time::Duration;

use chrono::{DateTime, Utc};
use latchkey_service_kit::status::{ErrorReason, may_be_repeated, reason_of, retry_after_of};
use tonic::Status;
use tonic_types::StatusExt;

/// Why the keys service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It could not be reached, or not in time, or is overloaded. The outcome is unknown.
    #[error("the keys service is unavailable")]
    Unavailable(#[source] Box<Status>),
    /// No key is what was asked for.
    #[error("there is no such key")]
    KeyNotFound,
    /// The key was revoked, or is an event key that is off.
    #[error("the key was revoked")]
    KeyRevoked,
    /// The key was used by a student.
    #[error("the key was used")]
    KeyAlreadyRedeemed,
    /// Another key has the code.
    #[error("the code is taken")]
    CodeTaken,
    /// Too many codes that the caller chose were those of other keys.
    #[error("too many attempts")]
    TooManyAttempts {
        /// After how long one may try again.
        retry_after: Duration,
    },
    /// The request id was used before with other content.
    #[error("the request id was used before")]
    RequestIdReused,
    /// No pool is what was asked for, or it is beyond reach.
    #[error("there is no such pool")]
    KeyPoolNotFound,
    /// The key cannot be redeemed any more.
    #[error("the key cannot be redeemed any more")]
    WindowClosed {
        /// Since when.
        closed_at: DateTime<Utc>,
    },
    /// The class was cancelled.
    #[error("the class was cancelled")]
    ClassCancelled,
    /// Fields of the request break rules that only the keys service knows: path and description of each.
    #[error("the keys service finds the request invalid")]
    Invalid(Vec<(String, String)>),
    /// It refused what it never should have been asked.
    #[error("the keys service refused")]
    Refused(#[source] Box<Status>),
    /// Its answer makes no sense.
    #[error("the answer of {method} makes no sense: {field}")]
    Senseless {
        /// The method.
        method: &'static str,
        /// The field at fault.
        field: &'static str,
    },
}

impl KeysError {
    pub(super) fn senseless(method: &'static str, field: &'static str) -> Self {
        Self::Senseless { method, field }
    }
}

/// Since when a window is closed, as the status says.
fn closed_at_of(status: &Status) -> Option<DateTime<Utc>> {
    let info = status.get_details_error_info()?;
    info.metadata.get("closed_at")?.parse().ok()
}

impl From<Status> for KeysError {
    fn from(status: Status) -> Self {
        match reason_of(&status) {
            Some(ErrorReason::KeyNotFound) => return Self::KeyNotFound,
            Some(ErrorReason::KeyRevoked) => return Self::KeyRevoked,
            Some(ErrorReason::KeyAlreadyRedeemed) => return Self::KeyAlreadyRedeemed,
            Some(ErrorReason::CodeTaken) => return Self::CodeTaken,
            Some(ErrorReason::TooManyAttempts) => {
                let retry_after = retry_after_of(&status).unwrap_or_default();
                return Self::TooManyAttempts { retry_after };
            }
            Some(ErrorReason::RequestIdReused) => return Self::RequestIdReused,
            Some(ErrorReason::ClassCancelled) => return Self::ClassCancelled,
            Some(ErrorReason::KeyPoolNotFound) => return Self::KeyPoolNotFound,
            Some(ErrorReason::WindowClosed) => {
                if let Some(closed_at) = closed_at_of(&status) {
                    return Self::WindowClosed { closed_at };
                }
            }
            Some(ErrorReason::FieldInvalid) => {
                let violations = status
                    .get_details_bad_request()
                    .map(|found| found.field_violations);
                if let Some(violations) = violations {
                    let pairs = violations
                        .into_iter()
                        .map(|violation| (violation.field, violation.description));
                    return Self::Invalid(pairs.collect());
                }
            }
            _ => {}
        }
        if may_be_repeated(&status) {
            Self::Unavailable(Box::new(status))
        } else {
            Self::Refused(Box::new(status))
        }
    }
}
