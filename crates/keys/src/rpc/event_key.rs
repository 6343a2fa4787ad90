//! Event keys as messages.

use latchkey_code::{OwnCode, OwnCodeError};
use latchkey_proto::keys::v1 as proto;
use latchkey_service_kit::etag;
use latchkey_service_kit::validation::Violations;
use uuid::Uuid;

use super::convert::{number, stamp};
use crate::app::set_event_key::Seen;
use crate::domain::event_key::{Change, EventKey};

/// An event key.
pub(super) fn event_key(key: EventKey) -> proto::EventKey {
    proto::EventKey {
        class_id: key.class_id.to_string(),
        key_id: key.key_id.map(|id| id.to_string()).unwrap_or_default(),
        enabled: key.enabled,
        generation: key.generation,
        masked_code: key.masked_code,
        own_code: key.own_code,
        previous_code_valid_until: key.previous_code_valid_until.map(stamp),
        redeemable_until: Some(stamp(key.redeemable_until)),
        use_count: number(key.use_count),
        etag: etag_of(key.class_id, key.version),
    }
}

/// The etag of a class's event key. Bound to the class, because a class that never had an event key has one too.
fn etag_of(class_id: Uuid, version: i64) -> String {
    etag::format(class_id, version)
}

/// What the caller takes the event key of a class to be, by the field `etag`.
pub(super) fn seen(class_id: Uuid, etag: &str) -> Seen {
    if etag.is_empty() {
        return Seen::Anything;
    }
    etag::parse(class_id, etag).map_or(Seen::Another, Seen::Version)
}

/// What the field `change` asks to make of an event key.
pub(super) fn change(
    message: Option<proto::EventKeyChange>,
    violations: &mut Violations,
) -> Change {
    let message = violations.required("change", message);
    let mut grace = |field, grace| {
        violations
            .optional_duration(field, grace)
            .unwrap_or_default()
    };
    match (message.off, message.generated, message.own_code) {
        (Some(proto::EventKeyOff {}), None, None) => Change::Off,
        (None, Some(generated), None) => Change::Generated {
            grace: grace("change.generated.grace", generated.grace.as_ref()),
        },
        (None, None, Some(own)) => {
            let grace = grace("change.own_code.grace", own.grace.as_ref());
            match OwnCode::parse(&own.text) {
                Ok(code) => Change::Own { grace, code },
                Err(error) => {
                    bad_text(error, violations);
                    Change::Off
                }
            }
        }
        _ => {
            if !violations.has("change") {
                violations.add("change", "must be exactly one of the changes");
            }
            Change::Off
        }
    }
}

/// The rules that the contract states too are not reported twice.
fn bad_text(error: OwnCodeError, violations: &mut Violations) {
    const FIELD: &str = "change.own_code.text";
    if !violations.has(FIELD) {
        violations.add(FIELD, error.to_string());
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use prost_types::Duration;

    use super::*;

    fn read(message: Option<proto::EventKeyChange>) -> Result<Change, Vec<String>> {
        let mut violations = Violations::default();
        let change = change(message, &mut violations);
        match violations.finish() {
            Ok(()) => Ok(change),
            Err(error) => Err(error
                .violations()
                .iter()
                .map(|violation| violation.field.clone())
                .collect()),
        }
    }

    fn own(text: &str) -> proto::EventKeyChange {
        proto::EventKeyChange {
            own_code: Some(proto::EventKeyOwnCode {
                text: text.to_owned(),
                grace: Some(Duration {
                    seconds: 60,
                    nanos: 0,
                }),
            }),
            ..Default::default()
        }
    }

    #[test]
    fn a_change_is_one_of_three() {
        let off = proto::EventKeyChange {
            off: Some(proto::EventKeyOff {}),
            ..Default::default()
        };
        assert!(matches!(read(Some(off)), Ok(Change::Off)));
        let generated = proto::EventKeyChange {
            generated: Some(proto::EventKeyGenerated { grace: None }),
            ..Default::default()
        };
        assert!(matches!(
            read(Some(generated)),
            Ok(Change::Generated { grace }) if grace == TimeDelta::zero()
        ));
        assert!(matches!(
            read(Some(own("Rust-2026"))),
            Ok(Change::Own { grace, code })
                if grace == TimeDelta::minutes(1) && code.expose_text() == "Rust-2026"
        ));
    }

    #[test]
    fn anything_but_one_of_three_is_refused_by_field() {
        let both = proto::EventKeyChange {
            off: Some(proto::EventKeyOff {}),
            ..own("Rust-2026")
        };
        for (message, field) in [
            (None, "change"),
            (Some(proto::EventKeyChange::default()), "change"),
            (Some(both), "change"),
            (Some(own("a-b-c-d")), "change.own_code.text"),
            (
                Some(own("EK-0000-0000-0000-0000-0000-0000")),
                "change.own_code.text",
            ),
        ] {
            assert_eq!(read(message).unwrap_err(), [field]);
        }
    }

    #[test]
    fn a_refused_text_is_not_repeated() {
        let mut violations = Violations::default();
        change(Some(own("hush hush!")), &mut violations);
        let error = violations.finish().unwrap_err();
        assert!(!format!("{error:?}").contains("hush"));
    }

    #[test]
    fn an_etag_names_a_version_of_its_own_class_only() {
        let [one, other] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        assert_eq!(seen(one, ""), Seen::Anything);
        assert_eq!(seen(one, &etag_of(one, 0)), Seen::Version(0));
        assert_eq!(seen(one, &etag_of(one, 3)), Seen::Version(3));
        assert_eq!(seen(one, &etag_of(other, 3)), Seen::Another);
        assert_eq!(seen(one, "v3"), Seen::Another);
    }
}
