//! The terms of subscription keys, as they are asked for.

use latchkey_proto::keys::v1 as proto;
use latchkey_service_kit::update_mask::Mask;
use latchkey_service_kit::validation::Violations;

use crate::domain::subscription::{Edit, Terms, TermsChange};

/// How many students may use a key of which nothing is said.
const USUAL_USES: i32 = 1;

/// The fields of a key that an update can change.
const FIELDS: &[&str] = &["max_uses", "expire_time", "content_expire_time"];

/// The terms of new keys.
pub(super) fn terms(
    message: Option<&proto::SubscriptionKeyTerms>,
    violations: &mut Violations,
) -> Terms {
    let none = proto::SubscriptionKeyTerms::default();
    let message = message.unwrap_or(&none);
    Terms {
        max_uses: limit(message, violations).of(Some(USUAL_USES)),
        ..times(message, violations)
    }
}

/// What an update asks for. What is not in its mask must be no nonsense all the same.
pub(super) fn change(
    request: &proto::UpdateSubscriptionKeyRequest,
    violations: &mut Violations,
) -> TermsChange {
    let mask = Mask::read(violations, request.update_mask.as_ref(), FIELDS);
    let none = proto::SubscriptionKeyTerms::default();
    let message = request.terms.as_ref().unwrap_or(&none);
    let limit = limit(message, violations);
    if mask.has("max_uses") && limit == Edit::Kept && !violations.has("terms.max_uses") {
        violations.add(
            "terms.max_uses",
            "must be set, or `unlimited`, because it is in `update_mask`",
        );
    }
    let times = times(message, violations);
    let time = |field, time| {
        if mask.has(field) {
            Edit::Set(time)
        } else {
            Edit::Kept
        }
    };
    TermsChange {
        max_uses: if mask.has("max_uses") {
            limit
        } else {
            Edit::Kept
        },
        expires_at: time("expire_time", times.expires_at),
        content_expires_at: time("content_expire_time", times.content_expires_at),
    }
}

/// What the message says of how many students may use a key, if it says something.
fn limit(message: &proto::SubscriptionKeyTerms, violations: &mut Violations) -> Edit<i32> {
    let both = message.unlimited && message.max_uses.is_some();
    violations.check(
        "terms.max_uses",
        !both,
        "must not be set together with `unlimited`",
    );
    if message.unlimited || message.max_uses.is_some() {
        Edit::Set(message.max_uses)
    } else {
        Edit::Kept
    }
}

/// Terms without a limit.
fn times(message: &proto::SubscriptionKeyTerms, violations: &mut Violations) -> Terms {
    let mut time = |field, time| violations.optional_timestamp(field, time);
    Terms {
        max_uses: None,
        expires_at: time("terms.expire_time", message.expire_time.as_ref()),
        content_expires_at: time(
            "terms.content_expire_time",
            message.content_expire_time.as_ref(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use prost_types::{FieldMask, Timestamp};

    use super::*;

    fn said(max_uses: Option<i32>, unlimited: bool) -> proto::SubscriptionKeyTerms {
        proto::SubscriptionKeyTerms {
            max_uses,
            unlimited,
            expire_time: Some(Timestamp {
                seconds: 60,
                nanos: 0,
            }),
            content_expire_time: None,
        }
    }

    fn update(paths: &[&str], terms: proto::SubscriptionKeyTerms) -> (TermsChange, Violations) {
        let request = proto::UpdateSubscriptionKeyRequest {
            update_mask: Some(FieldMask {
                paths: paths.iter().map(ToString::to_string).collect(),
            }),
            terms: Some(terms),
            ..proto::UpdateSubscriptionKeyRequest::default()
        };
        let mut violations = Violations::default();
        (change(&request, &mut violations), violations)
    }

    #[test]
    fn without_a_word_a_key_is_for_one_student_and_for_ever() {
        let mut violations = Violations::default();
        let usual = Terms {
            max_uses: Some(1),
            expires_at: None,
            content_expires_at: None,
        };
        assert_eq!(terms(None, &mut violations), usual);
        let unlimited = terms(Some(&said(None, true)), &mut violations);
        assert_eq!(unlimited.max_uses, None);
        assert_eq!(unlimited.expires_at, DateTime::from_timestamp(60, 0));
        violations.finish().unwrap();
    }

    #[test]
    fn a_limit_and_none_exclude_each_other() {
        let mut violations = Violations::default();
        terms(Some(&said(Some(3), true)), &mut violations);
        assert!(violations.has("terms.max_uses"));
        let (_, violations) = update(&["expire_time"], said(Some(3), true));
        assert!(violations.has("terms.max_uses"), "whatever the mask says");
    }

    #[test]
    fn a_change_is_of_what_the_mask_names() {
        let (change, violations) = update(&["max_uses", "content_expire_time"], said(None, true));
        violations.finish().unwrap();
        let expected = TermsChange {
            max_uses: Edit::Set(None),
            expires_at: Edit::Kept,
            content_expires_at: Edit::Set(None),
        };
        assert_eq!(change, expected);
        let (_, violations) = update(&["max_uses"], said(None, false));
        assert!(violations.has("terms.max_uses"), "neither is named");
        let (_, violations) = update(&["unlimited"], said(None, true));
        assert!(violations.has("update_mask"));
    }
}
