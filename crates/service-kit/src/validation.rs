//! Collects every violation of a request, so that one answer names them all.

use chrono::{DateTime, TimeDelta, Utc};
use prost_protovalidate::Validate;
use prost_types::{Duration, Timestamp};
use uuid::Uuid;

use crate::status::{ApiError, FieldViolation};

/// The instants that a `google.protobuf.Timestamp` may name: years 1 to 9999, in seconds since 1970.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// The largest `google.protobuf.Duration`, about 10 000 years, in seconds.
const DURATION_MAX_SECONDS: i64 = 315_576_000_000;

/// The violations found so far.
///
/// Readers such as [`Violations::uuid`] return a placeholder for a value they refuse, so that the rest of the request
/// is read too; [`Violations::finish`] then fails, and the placeholder is never used.
#[derive(Debug, Default)]
#[must_use = "violations are refused by `finish`"]
pub struct Violations {
    found: Vec<FieldViolation>,
}

impl Violations {
    /// The violations of the field rules that stand in the contract of `message`.
    pub fn of(message: &impl Validate) -> Self {
        let mut violations = Self::default();
        if let Err(error) = message.validate() {
            for violation in error.violations() {
                violations.add(
                    violation.field_path(),
                    describe(violation.rule_id(), violation.message()),
                );
            }
        }
        violations
    }

    /// Adds a violation, unless `field` is already said to break the same rule.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        let violation = FieldViolation {
            field: field.into(),
            description: description.into(),
        };
        if !self.found.contains(&violation) {
            self.found.push(violation);
        }
    }

    /// Adds a violation of `field` unless `holds`.
    pub fn check(&mut self, field: &str, holds: bool, description: impl Into<String>) {
        if !holds {
            self.add(field, description);
        }
    }

    /// Whether nothing was found so far.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether `field` is already at fault.
    pub fn has(&self, field: &str) -> bool {
        self.found.iter().any(|violation| violation.field == field)
    }

    /// A UUID that must be there, in any of its usual spellings.
    pub fn uuid(&mut self, field: &str, text: &str) -> Uuid {
        self.optional_uuid(field, text).unwrap_or_else(|| {
            self.add_once(field, "must be a UUID");
            Uuid::nil()
        })
    }

    /// A UUID of the caller's making. Not the one of zeros: it is what a client sends that makes none, for each of its wishes.
    pub fn own_id(&mut self, field: &str, text: &str) -> Uuid {
        let id = self.uuid(field, text);
        if id.is_nil() {
            self.add_once(field, "must be a UUID of your making, and not all zeros");
        }
        id
    }

    /// A UUID, or `None` when the field is empty.
    pub fn optional_uuid(&mut self, field: &str, text: &str) -> Option<Uuid> {
        if text.is_empty() {
            return None;
        }
        let parsed = Uuid::parse_str(text).ok();
        if parsed.is_none() {
            self.add_once(field, "must be a UUID");
        }
        parsed
    }

    /// A moment that must be there.
    pub fn timestamp(&mut self, field: &str, value: Option<&Timestamp>) -> DateTime<Utc> {
        if value.is_none() {
            self.add_once(field, "must be set");
        }
        self.optional_timestamp(field, value).unwrap_or_default()
    }

    /// A moment, or `None` when it is unset. Kept to the microsecond, as the database keeps it.
    pub fn optional_timestamp(
        &mut self,
        field: &str,
        value: Option<&Timestamp>,
    ) -> Option<DateTime<Utc>> {
        let value = value?;
        let parsed = u32::try_from(value.nanos)
            .ok()
            .filter(|nanos| *nanos < 1_000_000_000 && TIMESTAMP_SECONDS.contains(&value.seconds))
            .and_then(|nanos| DateTime::from_timestamp(value.seconds, nanos / 1_000 * 1_000));
        if parsed.is_none() {
            self.add_once(field, "must be a time between the years 1 and 9999");
        }
        parsed
    }

    /// A span that must be there and not be negative.
    pub fn duration(&mut self, field: &str, value: Option<&Duration>) -> TimeDelta {
        if value.is_none() {
            self.add_once(field, "must be set");
        }
        self.optional_duration(field, value).unwrap_or_default()
    }

    /// A span that is not negative, or `None` when it is unset.
    pub fn optional_duration(
        &mut self,
        field: &str,
        value: Option<&Duration>,
    ) -> Option<TimeDelta> {
        let value = value?;
        let parsed = u32::try_from(value.nanos)
            .ok()
            .filter(|nanos| {
                *nanos < 1_000_000_000 && (0..=DURATION_MAX_SECONDS).contains(&value.seconds)
            })
            .and_then(|nanos| TimeDelta::new(value.seconds, nanos));
        if parsed.is_none() {
            self.add_once(field, "must be a span of time that is not negative");
        }
        parsed
    }

    /// A message that must be there.
    pub fn required<T: Default>(&mut self, field: &str, value: Option<T>) -> T {
        value.unwrap_or_else(|| {
            self.add_once(field, "must be set");
            T::default()
        })
    }

    /// A value of an enumeration that is known and not its zero, which always means *unspecified*.
    pub fn enumeration<E: TryFrom<i32>>(&mut self, field: &str, number: i32) -> Option<E> {
        let parsed = if number == 0 {
            None
        } else {
            E::try_from(number).ok()
        };
        if parsed.is_none() {
            self.add_once(field, "must be one of the values that the contract names");
        }
        parsed
    }

    /// Text that a database can keep and a terminal can show: no control characters (line breaks included), and none
    /// of the invisible characters that turn the direction of writing.
    pub fn line<'t>(&mut self, field: &str, text: &'t str) -> &'t str {
        let hidden = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if text.chars().any(|c| c.is_control() || hidden(c)) {
            self.add(field, "must not contain control characters");
        }
        text
    }

    /// A name, for people: one line that is not blank.
    pub fn name(&mut self, field: &str, text: &str) -> String {
        self.line(field, text);
        if text.trim().is_empty() && !self.has(field) {
            self.add(field, "must not be empty");
        }
        text.to_owned()
    }

    /// Fails with `FIELD_INVALID` and every violation, if there is one.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.found.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(self.found))
        }
    }

    /// Adds a violation unless the field is at fault already: a value that breaks its rule in the contract is not
    /// reported again because it could not be read either.
    fn add_once(&mut self, field: &str, description: &str) {
        if !self.has(field) {
            self.add(field, description);
        }
    }
}

/// A rule in words. The generated checks of well-known formats carry no text of their own.
fn describe(rule: &str, message: &str) -> String {
    if !message.is_empty() {
        return message.to_owned();
    }
    let rule = rule.strip_suffix("_empty").unwrap_or(rule);
    match rule {
        "required" => "must be set",
        "string.uuid" | "string.tuuid" => "must be a UUID",
        "string.email" => "must be an e-mail address",
        "string.uri" => "must be an absolute URI",
        "string.hostname" | "string.address" => "must be a host name",
        "enum.defined_only" => "must be one of the values that the contract names",
        "timestamp.gt" | "duration.gt" => "is too early or too short",
        _ => return format!("breaks the rule {rule}"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_proto::audit::v1::ListAuditEventsRequest;
    use latchkey_proto::errors::v1::ErrorReason;

    fn fields(violations: Violations) -> Vec<String> {
        violations
            .finish()
            .unwrap_err()
            .violations()
            .iter()
            .map(|v| v.field.clone())
            .collect()
    }

    #[test]
    fn all_violations_of_the_contract_and_of_the_reader_come_at_once() {
        let request = ListAuditEventsRequest {
            organization_id: "not a uuid".into(),
            page_size: -1,
            action: "x".repeat(129),
            ..Default::default()
        };
        let mut violations = Violations::of(&request);
        violations.uuid("organization_id", &request.organization_id);
        violations.check("until", false, "must be after `from`");
        violations.check("until", false, "must be after `from`");
        let error = violations.finish().unwrap_err();
        assert_eq!(error.reason(), ErrorReason::FieldInvalid);
        let mut fields: Vec<&str> = error
            .violations()
            .iter()
            .map(|v| v.field.as_str())
            .collect();
        fields.sort_unstable();
        assert_eq!(fields, ["action", "organization_id", "page_size", "until"]);
        assert!(error.violations().iter().all(|v| !v.description.is_empty()));
        let uuid = error
            .violations()
            .iter()
            .find(|v| v.field == "organization_id")
            .unwrap();
        assert_eq!(uuid.description, "must be a UUID");
    }

    #[test]
    fn a_good_request_has_no_violations() {
        let mut violations = Violations::of(&ListAuditEventsRequest::default());
        assert_eq!(violations.optional_uuid("a", ""), None);
        let id = violations.uuid("a", "0190a0b0-c0d0-7000-8000-000000000001");
        assert_eq!(id.to_string(), "0190a0b0-c0d0-7000-8000-000000000001");
        violations.finish().unwrap();
    }

    #[test]
    fn an_id_of_ones_own_making_is_not_all_zeros() {
        let mut violations = Violations::default();
        violations.own_id("good", "0190a0b0-c0d0-7000-8000-000000000001");
        violations.own_id("zeros", "00000000-0000-0000-0000-000000000000");
        violations.own_id("empty", "");
        let error = violations.finish().unwrap_err();
        let said = error
            .violations()
            .iter()
            .map(|one| (one.field.as_str(), one.description.as_str()));
        let expected = [
            ("zeros", "must be a UUID of your making, and not all zeros"),
            ("empty", "must be a UUID"),
        ];
        assert_eq!(said.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn times_outside_the_calendar_are_refused_and_kept_to_the_microsecond() {
        let mut violations = Violations::default();
        let stamp = |seconds, nanos| Timestamp { seconds, nanos };
        let read = violations.timestamp("t", Some(&stamp(1, 123_456_789)));
        assert_eq!(read.timestamp_subsec_nanos(), 123_456_000);
        assert!(violations.is_empty());
        for (index, bad) in [
            stamp(i64::MAX, 0),
            stamp(i64::MIN, 0),
            stamp(0, -1),
            stamp(0, 1_000_000_000),
        ]
        .iter()
        .enumerate()
        {
            violations.timestamp(&format!("t{index}"), Some(bad));
        }
        violations.timestamp("missing", None);
        assert_eq!(fields(violations), ["t0", "t1", "t2", "t3", "missing"]);
    }

    #[test]
    fn spans_must_not_be_negative_or_endless() {
        let mut violations = Violations::default();
        let span = |seconds, nanos| Duration { seconds, nanos };
        assert_eq!(
            violations.duration("d", Some(&span(2, 500_000_000))),
            TimeDelta::milliseconds(2_500)
        );
        violations.duration("d0", Some(&span(-1, 0)));
        violations.duration("d1", Some(&span(i64::MAX, 0)));
        violations.duration("d2", None);
        assert_eq!(violations.optional_duration("d3", None), None);
        assert_eq!(fields(violations), ["d0", "d1", "d2"]);
    }

    #[test]
    fn enumerations_messages_and_lines_are_checked() {
        let mut violations = Violations::default();
        assert_eq!(
            violations.enumeration::<ErrorReason>("e", 16),
            Some(ErrorReason::ClassFull)
        );
        violations.enumeration::<ErrorReason>("e0", 0);
        violations.enumeration::<ErrorReason>("e1", 9_999);
        violations.required::<Timestamp>("m", None);
        for good in ["Žluťoučký kůň", "a-b_c", ""] {
            assert_eq!(violations.line("good", good), good);
        }
        violations.line("l0", "a\0b");
        violations.line("l1", "a\nb");
        violations.line("l2", "a\u{202e}b");
        assert_eq!(fields(violations), ["e0", "e1", "m", "l0", "l1", "l2"]);
    }

    #[test]
    fn a_name_is_a_line_that_is_not_blank() {
        for (text, good) in [("Žofie's class", true), (" \u{a0}", false), ("a\nb", false)] {
            let mut violations = Violations::default();
            violations.name("name", text);
            assert_eq!(violations.is_empty(), good, "{text:?}");
        }
    }
}
