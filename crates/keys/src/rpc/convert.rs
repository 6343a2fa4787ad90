//! Domain types as messages, and the scalars of messages.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_proto::errors::v1::{Warning as WarningMessage, WarningReason};
use latchkey_proto::keys::v1 as proto;
use latchkey_service_kit::etag;
use prost_types::{Duration, Timestamp};

use super::errors::in_words;
use crate::domain::grant::GrantKind;
use crate::domain::key::{KeyKind, KeyState, KeyUse, TrainingKey};
use crate::domain::subscription::Terms;
use crate::domain::warning::Warning;

/// An instant.
pub(super) fn stamp(time: DateTime<Utc>) -> Timestamp {
    // Only a leap second has more than 999 999 999 nanoseconds, and the database gives none.
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default();
    Timestamp {
        seconds: time.timestamp(),
        nanos,
    }
}

/// A span of whole seconds.
pub(super) fn span(span: TimeDelta) -> Duration {
    Duration {
        seconds: span.num_seconds(),
        nanos: 0,
    }
}

/// A number of students, which no class has two thousand millions of.
pub(super) fn number(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A kind of keys.
pub(super) fn kind(kind: KeyKind) -> proto::KeyKind {
    match kind {
        KeyKind::Enrollment => proto::KeyKind::Enrollment,
        KeyKind::Event => proto::KeyKind::Event,
        KeyKind::Pool => proto::KeyKind::Pool,
        KeyKind::Subscription => proto::KeyKind::Subscription,
    }
}

/// A kind of keys in a filter; `None` means every kind.
pub(super) fn kind_filter(kind: proto::KeyKind) -> Option<KeyKind> {
    match kind {
        proto::KeyKind::Unspecified => None,
        proto::KeyKind::Enrollment => Some(KeyKind::Enrollment),
        proto::KeyKind::Event => Some(KeyKind::Event),
        proto::KeyKind::Pool => Some(KeyKind::Pool),
        proto::KeyKind::Subscription => Some(KeyKind::Subscription),
    }
}

/// Where a key stands.
fn state(state: KeyState) -> proto::KeyState {
    match state {
        KeyState::Available => proto::KeyState::Available,
        KeyState::Redeemed => proto::KeyState::Redeemed,
        KeyState::Revoked => proto::KeyState::Revoked,
        KeyState::Expired => proto::KeyState::Expired,
    }
}

/// A state in a filter; `None` means every state.
pub(super) fn state_filter(state: proto::KeyState) -> Option<KeyState> {
    match state {
        proto::KeyState::Unspecified => None,
        proto::KeyState::Available => Some(KeyState::Available),
        proto::KeyState::Redeemed => Some(KeyState::Redeemed),
        proto::KeyState::Revoked => Some(KeyState::Revoked),
        proto::KeyState::Expired => Some(KeyState::Expired),
    }
}

/// A use of a key.
pub(super) fn key_use(key_use: KeyUse) -> proto::KeyUse {
    proto::KeyUse {
        redemption_id: key_use.redemption_id.to_string(),
        student_id: key_use.student_id.to_string(),
        generation: key_use.generation,
        redeem_time: Some(stamp(key_use.redeemed_at)),
    }
}

/// The terms of a subscription key.
fn terms(terms: Terms) -> proto::SubscriptionKeyTerms {
    proto::SubscriptionKeyTerms {
        max_uses: terms.max_uses,
        unlimited: terms.max_uses.is_none(),
        expire_time: terms.expires_at.map(stamp),
        content_expire_time: terms.content_expires_at.map(stamp),
    }
}

/// A key.
pub(super) fn training_key(key: TrainingKey) -> proto::TrainingKey {
    let (revoke_time, revoked_by, revoke_reason) = match key.revocation {
        Some(revocation) => (Some(stamp(revocation.at)), revocation.by, revocation.reason),
        None => (None, String::new(), String::new()),
    };
    let opens = |kind| {
        let (id, name) = (key.grant_id, &key.grant_name);
        let named = (key.kind.opens() == kind).then(|| (id.to_string(), name.clone()));
        named.unwrap_or_default()
    };
    let (class_id, class_name) = opens(GrantKind::Class);
    let (pool_id, pool_name) = opens(GrantKind::Pool);
    let (profile_id, profile_name) = opens(GrantKind::Profile);
    let version = key.terms.map(|present| present.version);
    let etag = version.map(|version| etag::format(key.key_id, version));
    proto::TrainingKey {
        key_id: key.key_id.to_string(),
        kind: kind(key.kind).into(),
        organization_id: key.organization_id.to_string(),
        class_id,
        class_name,
        state: state(key.state).into(),
        masked_code: key.masked_code,
        generation: key.generation,
        redeemable_until: key.redeemable_until.map(stamp),
        uses: key.key_use.map(key_use).into_iter().collect(),
        use_count: number(key.use_count),
        batch_id: key.batch_id.to_string(),
        create_time: Some(stamp(key.created_at)),
        created_by: key.created_by,
        revoke_time,
        revoked_by,
        revoke_reason,
        pool_id,
        pool_name,
        redeemable_from: key.redeemable_from.map(stamp),
        profile_id,
        profile_name,
        subscription_terms: key.terms.map(|present| terms(present.terms)),
        etag: etag.unwrap_or_default(),
    }
}

/// What a caller should know, in words.
pub(super) fn warning(warning: &Warning) -> WarningMessage {
    let (reason, message, metadata) = match warning {
        Warning::MaximumIsDefault => (
            WarningReason::MaximumIsDefault,
            "The class's maximum students is only a default: anybody with the code takes a seat up to that number. Set \
             the maximum on purpose."
                .to_owned(),
            None,
        ),
        Warning::CodeGuessable => (
            WarningReason::CodeGuessable,
            "This code is easy to guess: choose a longer, less regular one.".to_owned(),
            None,
        ),
        Warning::ClassNearEnd { ends_at, zone } => (
            WarningReason::ClassNearEnd,
            format!(
                "The class ends on {}, and keys open it until then only: they are not meant for late-comers who want \
                 post-class access.",
                in_words(*ends_at, *zone)
            ),
            Some(("ends_at", ends_at.with_timezone(zone).to_rfc3339())),
        ),
    };
    WarningMessage {
        reason: reason.into(),
        message,
        metadata: metadata
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect(),
    }
}

/// What a caller should know, in words.
pub(super) fn warnings(warnings: &[Warning]) -> Vec<WarningMessage> {
    warnings.iter().map(warning).collect()
}
