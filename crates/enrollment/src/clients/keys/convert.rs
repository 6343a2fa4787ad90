//! Messages of the keys service to types of the domain and back.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_proto::errors::v1::{Warning as WarningMessage, WarningReason};
use latchkey_proto::keys::v1 as proto;
use prost_types::Timestamp;
use uuid::Uuid;

use super::KeysError;
use crate::domain::event_key::{EventKey, EventKeyChange};
use crate::domain::grant::{Grant, GrantStatus};
use crate::domain::key::{
    KeyCount, KeyKind, KeyUse, Mark, Opens, PoolTerms, RecordedUses, ResolvedKey, SubscriptionTerms,
};
use crate::domain::organization::Organization;
use crate::domain::profile::Profile;
use crate::domain::warning::Warning;

fn stamp(time: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0);
    Timestamp {
        seconds: time.timestamp(),
        nanos,
    }
}

fn time(
    method: &'static str,
    field: &'static str,
    stamp: &Timestamp,
) -> Result<DateTime<Utc>, KeysError> {
    u32::try_from(stamp.nanos)
        .ok()
        .and_then(|nanos| DateTime::from_timestamp(stamp.seconds, nanos))
        .ok_or_else(|| KeysError::senseless(method, field))
}

fn optional_time(
    method: &'static str,
    field: &'static str,
    stamp: Option<&Timestamp>,
) -> Result<Option<DateTime<Utc>>, KeysError> {
    stamp.map(|stamp| time(method, field, stamp)).transpose()
}

pub(super) fn id(method: &'static str, field: &'static str, text: &str) -> Result<Uuid, KeysError> {
    Uuid::parse_str(text).map_err(|_| KeysError::senseless(method, field))
}

pub(super) fn ids(
    method: &'static str,
    field: &'static str,
    texts: &[String],
) -> Result<Vec<Uuid>, KeysError> {
    texts.iter().map(|text| id(method, field, text)).collect()
}

fn span(duration: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration {
        seconds,
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

pub(super) fn resolved_key(key: proto::ResolvedKey) -> Result<ResolvedKey, KeysError> {
    const METHOD: &str = "ResolveCodes";
    let of_class = |kind| {
        let class_id = id(METHOD, "class_id", &key.class_id)?;
        Ok::<_, KeysError>(Opens::Class { class_id, kind })
    };
    let live_use = match &key.r#use {
        Some(found) => Some(KeyUse {
            redemption_id: id(METHOD, "use.redemption_id", &found.redemption_id)?,
            student_id: id(METHOD, "use.student_id", &found.student_id)?,
        }),
        None => None,
    };
    Ok(ResolvedKey {
        key_id: id(METHOD, "key_id", &key.key_id)?,
        organization_id: id(METHOD, "organization_id", &key.organization_id)?,
        generation: key.generation,
        code_valid_until: optional_time(METHOD, "code_valid_until", key.code_valid_until.as_ref())?,
        revoked: key.revoked,
        live_use,
        opens: match key.kind() {
            proto::KeyKind::Enrollment => of_class(KeyKind::Enrollment)?,
            proto::KeyKind::Event => of_class(KeyKind::Event)?,
            proto::KeyKind::Pool => Opens::Pool(Box::new(pool_terms(METHOD, key.pool)?)),
            proto::KeyKind::Subscription => {
                Opens::Subscription(subscription_terms(METHOD, key.subscription)?)
            }
            proto::KeyKind::Unspecified => return Err(KeysError::senseless(METHOD, "kind")),
        },
    })
}

pub(super) fn pool_terms(
    method: &'static str,
    pool: Option<proto::PoolTerms>,
) -> Result<PoolTerms, KeysError> {
    let senseless = |field| KeysError::senseless(method, field);
    let pool = pool.ok_or_else(|| senseless("pool"))?;
    let at = |field, stamp: Option<Timestamp>| {
        let stamp = stamp.ok_or_else(|| senseless(field))?;
        time(method, field, &stamp)
    };
    let span = pool.availability.unwrap_or_default();
    let availability =
        TimeDelta::try_seconds(span.seconds).filter(|span| *span > TimeDelta::zero());
    Ok(PoolTerms {
        pool_id: id(method, "pool.pool_id", &pool.pool_id)?,
        course_id: pool.course_id,
        course_name: pool.course_name,
        starts_at: at("pool.start_time", pool.start_time)?,
        expires_at: at("pool.expire_time", pool.expire_time)?,
        availability: availability.ok_or_else(|| senseless("pool.availability"))?,
        open_to_descendants: pool.open_to_descendants,
    })
}

pub(super) fn subscription_terms(
    method: &'static str,
    subscription: Option<proto::SubscriptionTerms>,
) -> Result<SubscriptionTerms, KeysError> {
    let terms = subscription.ok_or_else(|| KeysError::senseless(method, "subscription"))?;
    if terms.max_uses.is_some_and(|uses| uses < 1) {
        return Err(KeysError::senseless(method, "subscription.max_uses"));
    }
    let at = |field, stamp: Option<Timestamp>| optional_time(method, field, stamp.as_ref());
    Ok(SubscriptionTerms {
        profile_id: id(method, "subscription.profile_id", &terms.profile_id)?,
        max_uses: terms.max_uses,
        expires_at: at("subscription.expire_time", terms.expire_time)?,
        content_expires_at: at(
            "subscription.content_expire_time",
            terms.content_expire_time,
        )?,
        recorded: RecordedUses {
            ever: terms.recorded_uses,
            live: terms.recorded_live_uses,
        },
    })
}

pub(super) fn mark(mark: &Mark) -> proto::Mark {
    proto::Mark {
        redemption_id: mark.redemption_id.to_string(),
        key_id: mark.key_id.to_string(),
        student_id: mark.student_id.to_string(),
        generation: mark.generation,
        redeem_time: Some(stamp(mark.redeemed_at)),
        release_time: None,
    }
}

pub(super) fn release(given_up: &Mark) -> Option<proto::Release> {
    let released_at = given_up.released_at?;
    Some(proto::Release {
        mark: Some(mark(given_up)),
        release_time: Some(stamp(released_at)),
    })
}

pub(super) fn held(
    method: &'static str,
    held: &[proto::HeldCopy],
) -> Result<Vec<(Uuid, i64)>, KeysError> {
    let read = |one: &proto::HeldCopy| Ok((id(method, "held.id", &one.id)?, one.version));
    held.iter().map(read).collect()
}

/// A number of things: never negative.
pub(super) fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}

pub(super) fn read_mark(mark: &proto::Mark) -> Result<Mark, KeysError> {
    const METHOD: &str = "ListMarks";
    let redeemed = mark
        .redeem_time
        .as_ref()
        .ok_or_else(|| KeysError::senseless(METHOD, "redeem_time"))?;
    Ok(Mark {
        redemption_id: id(METHOD, "redemption_id", &mark.redemption_id)?,
        key_id: id(METHOD, "key_id", &mark.key_id)?,
        student_id: id(METHOD, "student_id", &mark.student_id)?,
        generation: mark.generation,
        redeemed_at: time(METHOD, "redeem_time", redeemed)?,
        released_at: optional_time(METHOD, "release_time", mark.release_time.as_ref())?,
    })
}

pub(super) fn key_count(count: &proto::KeyCount) -> Result<KeyCount, KeysError> {
    Ok(KeyCount {
        class_id: id("CountKeys", "class_id", &count.class_id)?,
        generated: count.generated,
        redeemed: count.redeemed,
        revoked: count.revoked,
        expired: count.expired,
        available: count.available,
    })
}

pub(super) fn organization(organization: &Organization) -> proto::OrganizationCopy {
    proto::OrganizationCopy {
        organization_id: organization.id.to_string(),
        ancestor_ids: organization
            .ancestor_ids
            .iter()
            .map(Uuid::to_string)
            .collect(),
        version: organization.version,
    }
}

pub(super) fn profile(profile: &Profile) -> proto::ProfileCopy {
    proto::ProfileCopy {
        profile_id: profile.id.to_string(),
        organization_id: profile.organization_id.to_string(),
        name: profile.settings.name.clone(),
        version: profile.version,
    }
}

pub(super) fn grant(grant: &Grant) -> proto::Grant {
    let status = match grant.status {
        GrantStatus::Creating => proto::GrantStatus::Creating,
        GrantStatus::Open => proto::GrantStatus::Open,
        GrantStatus::Cancelled => proto::GrantStatus::Cancelled,
    };
    proto::Grant {
        class_id: grant.class_id.to_string(),
        organization_id: grant.organization_id.to_string(),
        name: grant.name.clone(),
        instructors: grant.instructors.clone(),
        start_time: Some(stamp(grant.starts_at)),
        end_time: Some(stamp(grant.ends_at)),
        event_key_until: Some(stamp(grant.event_key_until)),
        time_zone: grant.time_zone.name().to_owned(),
        status: status.into(),
        maximum_keys: grant.maximum_keys,
        maximum_is_default: grant.maximum_is_default,
        version: grant.version,
    }
}

pub(super) fn event_key_change(change: &EventKeyChange) -> proto::EventKeyChange {
    let mut message = proto::EventKeyChange::default();
    match change {
        EventKeyChange::Off => message.off = Some(proto::EventKeyOff {}),
        EventKeyChange::Generated { grace } => {
            message.generated = Some(proto::EventKeyGenerated {
                grace: Some(span(*grace)),
            });
        }
        EventKeyChange::OwnCode { text, grace } => {
            message.own_code = Some(proto::EventKeyOwnCode {
                text: text.to_string(),
                grace: Some(span(*grace)),
            });
        }
    }
    message
}

pub(super) fn event_key(key: proto::EventKey) -> Result<EventKey, KeysError> {
    const METHOD: &str = "PutEventKey";
    Ok(EventKey {
        class_id: id(METHOD, "class_id", &key.class_id)?,
        key_id: id(METHOD, "key_id", &key.key_id)?,
        enabled: key.enabled,
        generation: key.generation,
        masked_code: key.masked_code,
        own_code: key.own_code,
        previous_code_valid_until: optional_time(
            METHOD,
            "previous_code_valid_until",
            key.previous_code_valid_until.as_ref(),
        )?,
        redeemable_until: optional_time(METHOD, "redeemable_until", key.redeemable_until.as_ref())?,
        use_count: key.use_count,
        etag: key.etag,
    })
}

/// The warnings of a new event key that this service passes on.
pub(super) fn warning(warning: &WarningMessage) -> Option<Warning> {
    match warning.reason() {
        WarningReason::MaximumIsDefault => Some(Warning::MaximumIsDefault),
        WarningReason::CodeGuessable => Some(Warning::CodeGuessable),
        WarningReason::ClassNearEnd
        | WarningReason::KeysExceedSeats
        | WarningReason::Unspecified => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved() -> proto::ResolvedKey {
        proto::ResolvedKey {
            key_id: Uuid::from_u128(1).to_string(),
            kind: proto::KeyKind::Event.into(),
            organization_id: Uuid::from_u128(2).to_string(),
            class_id: Uuid::from_u128(3).to_string(),
            generation: 2,
            code_valid_until: Some(Timestamp {
                seconds: 7,
                nanos: 5_000,
            }),
            revoked: false,
            r#use: None,
            pool: None,
            subscription: None,
        }
    }

    #[test]
    fn a_resolved_key_is_read_whole() {
        let key = resolved_key(resolved()).unwrap();
        let opens = Opens::Class {
            class_id: Uuid::from_u128(3),
            kind: KeyKind::Event,
        };
        assert_eq!((key.opens, key.generation, key.live_use), (opens, 2, None));
        assert_eq!(key.code_valid_until, DateTime::from_timestamp(7, 5_000));
    }

    /// The key of a pool, open for an hour from the beginning of 1970 on.
    fn of_pool() -> proto::ResolvedKey {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        proto::ResolvedKey {
            kind: proto::KeyKind::Pool.into(),
            class_id: String::new(),
            pool: Some(proto::PoolTerms {
                pool_id: Uuid::from_u128(4).to_string(),
                course_id: "linux-101".to_owned(),
                course_name: "Linux".to_owned(),
                start_time: at(0),
                expire_time: at(3600),
                availability: Some(prost_types::Duration {
                    seconds: 60,
                    nanos: 0,
                }),
                open_to_descendants: true,
            }),
            ..resolved()
        }
    }

    #[test]
    fn the_key_of_a_pool_comes_with_its_terms() {
        let Opens::Pool(terms) = resolved_key(of_pool()).unwrap().opens else {
            panic!("it is of a pool");
        };
        assert_eq!(terms.pool_id, Uuid::from_u128(4));
        assert_eq!(terms.availability, TimeDelta::minutes(1));
        assert_eq!(terms.expires_at - terms.starts_at, TimeDelta::hours(1));
    }

    /// A subscription key for two students, redeemable for an hour from the beginning of 1970 on.
    fn of_profile() -> proto::ResolvedKey {
        proto::ResolvedKey {
            kind: proto::KeyKind::Subscription.into(),
            class_id: String::new(),
            subscription: Some(proto::SubscriptionTerms {
                profile_id: Uuid::from_u128(5).to_string(),
                max_uses: Some(2),
                expire_time: Some(Timestamp {
                    seconds: 3600,
                    nanos: 0,
                }),
                content_expire_time: None,
                recorded_uses: 2,
                recorded_live_uses: 1,
            }),
            ..resolved()
        }
    }

    #[test]
    fn a_subscription_key_comes_with_its_terms() {
        let Opens::Subscription(terms) = resolved_key(of_profile()).unwrap().opens else {
            panic!("it is of a profile");
        };
        assert_eq!(terms.profile_id, Uuid::from_u128(5));
        let recorded = RecordedUses { ever: 2, live: 1 };
        assert_eq!((terms.max_uses, terms.recorded), (Some(2), recorded));
        assert_eq!(terms.redeemable_until(), DateTime::from_timestamp(3600, 0));
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_refused_by_field() {
        let mut no_kind = resolved();
        no_kind.kind = 0;
        let mut no_time = resolved();
        no_time.code_valid_until = Some(Timestamp {
            seconds: 0,
            nanos: -1,
        });
        let mut no_terms = of_pool();
        no_terms.pool = None;
        let mut no_span = of_pool();
        no_span.pool.as_mut().unwrap().availability = None;
        let mut no_subscription = of_profile();
        no_subscription.subscription = None;
        let mut no_uses = of_profile();
        no_uses.subscription.as_mut().unwrap().max_uses = Some(0);
        for (message, wanted) in [
            (no_subscription, "subscription"),
            (no_uses, "subscription.max_uses"),
            (no_kind, "kind"),
            (no_time, "code_valid_until"),
            (no_terms, "pool"),
            (no_span, "pool.availability"),
        ] {
            let error = resolved_key(message).unwrap_err();
            assert!(
                matches!(error, KeysError::Senseless { field, .. } if field == wanted),
                "{error}"
            );
        }
    }

    #[test]
    fn a_mark_comes_back_the_same() {
        let made = Mark {
            redemption_id: Uuid::from_u128(1),
            key_id: Uuid::from_u128(2),
            student_id: Uuid::from_u128(3),
            generation: 4,
            redeemed_at: DateTime::from_timestamp(1_700_000_000, 123_456_000).unwrap(),
            released_at: None,
        };
        assert_eq!(read_mark(&mark(&made)).unwrap(), made);
        assert!(release(&made).is_none(), "nothing was given up");
        let given_up = Mark {
            released_at: DateTime::from_timestamp(1_700_000_001, 0),
            ..made
        };
        assert!(release(&given_up).is_some());
    }
}
