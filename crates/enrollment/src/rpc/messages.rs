//! What messages of several services have in common.

use chrono::{DateTime, Utc};
use latchkey_proto::errors::v1 as errors;
use latchkey_service_kit::update_mask::Mask;
use latchkey_service_kit::validation::Violations;
use prost_types::{FieldMask, Timestamp};
use uuid::Uuid;

use crate::domain::prefix::Prefix;
use crate::domain::warning::Warning;

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

/// A text that may be missing, as messages carry it: empty when it is.
pub(super) fn optional_text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// A name, for people: one line that is not blank.
pub(super) fn name(violations: &mut Violations, field: &str, text: &str) -> String {
    violations.name(field, text)
}

/// What a text is to begin with; `None` if it may begin with anything.
pub(super) fn prefix(violations: &mut Violations, field: &str, text: &str) -> Option<Prefix> {
    violations.line(field, text);
    let prefix = Prefix::new(text);
    let blank = prefix.is_none() && !text.is_empty();
    violations.check(field, !blank, "must not be blank");
    prefix
}

/// Reads an `update_mask`, which must name at least one field and only some of `fields`.
pub(super) fn mask(violations: &mut Violations, mask: Option<&FieldMask>, fields: &[&str]) -> Mask {
    Mask::read(violations, mask, fields)
}

/// A warning as messages carry it.
pub(super) fn warning(warning: &Warning) -> errors::Warning {
    let (reason, message) = match warning {
        Warning::MaximumIsDefault => (
            errors::WarningReason::MaximumIsDefault,
            "The event key lets everybody in who has its code, up to the class's maximum students, which is still the \
             default: set it on purpose."
                .to_owned(),
        ),
        Warning::CodeGuessable => (
            errors::WarningReason::CodeGuessable,
            "The code is easy to guess: choose a longer, less regular one.".to_owned(),
        ),
        Warning::KeysExceedSeats { keys_without_seat } => (
            errors::WarningReason::KeysExceedSeats,
            format!(
                "More enrollment keys are handed out than seats are left: {keys_without_seat} of them can no longer be \
                 used. Raise the maximum or revoke keys."
            ),
        ),
    };
    let mut message = errors::Warning {
        reason: reason.into(),
        message,
        ..errors::Warning::default()
    };
    if let Warning::KeysExceedSeats { keys_without_seat } = warning {
        let figure = keys_without_seat.to_string();
        message
            .metadata
            .insert("keys_without_seat".to_owned(), figure);
    }
    message
}
