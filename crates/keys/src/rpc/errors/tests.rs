use std::collections::BTreeMap;
use std::sync::Arc;

use tonic::Code;

use super::*;

const ID: Uuid = Uuid::from_u128(7);

fn refused_as(refusal: Refusal) -> (ErrorReason, Code, BTreeMap<String, String>) {
    let error = api_error(refusal.into());
    (error.reason(), error.code(), error.metadata().clone())
}

fn is_told(refusal: Refusal, reason: ErrorReason, code: Code) {
    let text = refusal.to_string();
    let (found_reason, found_code, _) = refused_as(refusal);
    assert_eq!((found_reason, found_code), (reason, code), "{text}");
}

#[test]
fn refusals_about_keys_have_their_reasons_and_codes() {
    use ErrorReason as Reason;

    is_told(
        Refusal::KeyMalformed,
        Reason::KeyMalformed,
        Code::InvalidArgument,
    );
    for missing in [
        Refusal::CodeNotFound,
        Refusal::KeyNotFound { key_id: ID },
        Refusal::NoEventKey { class_id: ID },
    ] {
        is_told(missing, Reason::KeyNotFound, Code::NotFound);
    }
    let off = Refusal::EventKeyOff { class_id: ID };
    is_told(off, Reason::KeyRevoked, Code::FailedPrecondition);
    is_told(Refusal::CodeTaken, Reason::CodeTaken, Code::AlreadyExists);
    let reused = Refusal::RequestIdReused { request_id: ID };
    is_told(reused, Reason::RequestIdReused, Code::AlreadyExists);
    let missing = Refusal::OrganizationNotFound {
        organization_id: ID,
    };
    is_told(missing, Reason::OrganizationNotFound, Code::NotFound);
    let stale = Refusal::EtagMismatch {
        resource_type: "event_key",
        id: ID,
    };
    is_told(stale, Reason::EtagMismatch, Code::Aborted);
}

#[test]
fn refusals_about_pools_have_their_reasons_and_codes() {
    use ErrorReason as Reason;

    let missing = Refusal::PoolNotFound { pool_id: ID };
    is_told(missing, Reason::KeyPoolNotFound, Code::NotFound);
    let expired = Refusal::PoolExpired {
        pool_id: ID,
        expired_at: "2026-06-02T15:00:00Z".parse().unwrap(),
    };
    let (reason, code, metadata) = refused_as(expired);
    assert_eq!(
        (reason, code),
        (Reason::WindowClosed, Code::FailedPrecondition)
    );
    assert_eq!(metadata["closed_at"], "2026-06-02T15:00:00+00:00");
    assert_eq!(metadata["time_zone"], "UTC");
}

#[test]
fn refusals_about_subscriptions_have_their_reasons_and_codes() {
    use ErrorReason as Reason;

    let missing = Refusal::ProfileNotFound { profile_id: ID };
    is_told(missing, Reason::SubscriptionProfileNotFound, Code::NotFound);
    let below = Refusal::MaxUsesBelowUses {
        key_id: ID,
        uses: 3,
        max_uses: 2,
    };
    let (reason, code, metadata) = refused_as(below);
    let expected = (Reason::MaxUsesBelowUses, Code::FailedPrecondition);
    assert_eq!((reason, code), expected);
    assert_eq!((&*metadata["uses"], &*metadata["max_uses"]), ("3", "2"));
}

#[test]
fn refusals_about_classes_have_their_reasons_and_codes() {
    use ErrorReason as Reason;

    let missing = Refusal::ClassNotFound { class_id: ID };
    is_told(missing, Reason::ClassNotFound, Code::NotFound);
    let cancelled = Refusal::ClassCancelled { class_id: ID };
    is_told(cancelled, Reason::ClassCancelled, Code::FailedPrecondition);
    let closed = Refusal::WindowClosed {
        class_id: ID,
        closed_at: "2026-06-02T15:00:00Z".parse().unwrap(),
        zone: Tz::UTC,
    };
    is_told(closed, Reason::WindowClosed, Code::FailedPrecondition);
    let limit = Refusal::KeyLimitExceeded {
        class_id: ID,
        maximum_keys: 1,
        live_keys: 1,
        reserved_keys: 0,
        can_generate: 0,
    };
    is_told(limit, Reason::KeyLimitExceeded, Code::FailedPrecondition);
}

#[test]
fn a_closed_window_is_told_in_the_time_of_the_class() {
    let refusal = Refusal::WindowClosed {
        class_id: ID,
        closed_at: "2026-06-02T15:00:00Z".parse().unwrap(),
        zone: Tz::Europe__Berlin,
    };
    let error = api_error(refusal.into());
    assert_eq!(error.metadata()["closed_at"], "2026-06-02T17:00:00+02:00");
    assert_eq!(error.metadata()["time_zone"], "Europe/Berlin");
    assert!(
        error
            .message()
            .contains("2 June 2026, 17:00 (Europe/Berlin)"),
        "{error}"
    );
}

#[test]
fn a_limit_is_told_with_its_figures() {
    let limit = |reserved_keys| Refusal::KeyLimitExceeded {
        class_id: ID,
        maximum_keys: 30,
        live_keys: 20,
        reserved_keys,
        can_generate: 10 - reserved_keys,
    };
    let (_, _, metadata) = refused_as(limit(8));
    let expected = [
        ("can_generate", "2"),
        ("live_keys", "20"),
        ("maximum_keys", "30"),
        ("reserved_keys", "8"),
    ];
    let expected: BTreeMap<_, _> = expected
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(metadata, expected);
    let words = |refusal: Refusal| api_error(refusal.into()).message().to_owned();
    let told =
        "The class may have 30 live keys and has 20, and 8 more are being generated: 2 more can";
    assert!(words(limit(8)).starts_with(told), "{}", words(limit(8)));
    assert!(words(limit(0)).starts_with("The class may have 30 live keys and has 20: 10 more can"));
}

#[test]
fn a_fault_shows_nothing_of_its_source() {
    for error in [
        Error::bug("keys.training_keys holds nonsense"),
        Error::internal(std::io::Error::other("the secret cause")),
    ] {
        let status = Status::from(error);
        assert_eq!(status.code(), Code::Internal);
        for hidden in ["keys.training_keys", "secret cause"] {
            assert!(!status.message().contains(hidden));
            assert!(!String::from_utf8_lossy(status.details()).contains(hidden));
        }
    }
}

#[test]
fn an_outage_says_that_the_call_may_be_repeated() {
    let source = std::io::Error::from(std::io::ErrorKind::TimedOut);
    let error = api_error(Error::DependencyUnavailable(Arc::new(source)));
    assert_eq!(error.reason(), ErrorReason::DependencyUnavailable);
    assert_eq!(error.code(), Code::Unavailable);
}
