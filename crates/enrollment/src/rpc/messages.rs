//! What messages of several services have in common.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use latchkey_proto::errors::v1 as errors;
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
    violations.line(field, text);
    if text.trim().is_empty() && !violations.has(field) {
        violations.add(field, "must not be empty");
    }
    text.to_owned()
}

/// What a text is to begin with; `None` if it may begin with anything.
pub(super) fn prefix(violations: &mut Violations, field: &str, text: &str) -> Option<Prefix> {
    violations.line(field, text);
    let prefix = Prefix::new(text);
    let blank = prefix.is_none() && !text.is_empty();
    violations.check(field, !blank, "must not be blank");
    prefix
}

/// The fields that an update names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mask(BTreeSet<String>);

impl Mask {
    /// Whether `field` is to be changed.
    pub(super) fn has(&self, field: &str) -> bool {
        self.0.contains(field)
    }
}

/// Reads an `update_mask`, which must name at least one field and only some of `fields`.
pub(super) fn mask(violations: &mut Violations, mask: Option<&FieldMask>, fields: &[&str]) -> Mask {
    const FIELD: &str = "update_mask";
    let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    if paths.is_empty() && !violations.has(FIELD) {
        violations.add(FIELD, "must name at least one field");
    }
    if paths.iter().any(|path| !fields.contains(&path.as_str())) {
        let known = fields.join("`, `");
        violations.add(FIELD, format!("must name only fields of `{known}`"));
    }
    Mask(paths.iter().cloned().collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(paths: &[&str]) -> (Mask, Violations) {
        let mut violations = Violations::default();
        let message = FieldMask {
            paths: paths.iter().map(ToString::to_string).collect(),
        };
        let read = mask(&mut violations, Some(&message), &["name", "status"]);
        (read, violations)
    }

    #[test]
    fn a_mask_names_known_fields_and_at_least_one() {
        let (mask, violations) = read(&["status", "status"]);
        assert!(violations.is_empty());
        assert!(mask.has("status") && !mask.has("name"));
        for wrong in [&[][..], &["nonsense"], &["name", "status.x"], &["*"]] {
            assert!(read(wrong).1.has("update_mask"), "{wrong:?}");
        }
    }

    #[test]
    fn a_name_is_a_line_that_is_not_blank() {
        for (text, good) in [("Žofie's class", true), (" \u{a0}", false), ("a\nb", false)] {
            let mut violations = Violations::default();
            name(&mut violations, "name", text);
            assert_eq!(violations.is_empty(), good, "{text:?}");
        }
    }
}
