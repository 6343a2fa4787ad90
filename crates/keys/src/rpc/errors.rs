//! The one place where a failed use case becomes a failed call: reason, words, details.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use latchkey_service_kit::status::{ApiError, ErrorReason, FieldViolation};
use tonic::Status;
use uuid::Uuid;

use crate::app::{Error, Source};
use crate::domain::refusal::Refusal;

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        api_error(error).into()
    }
}

/// A failed use case as a failure of its call.
pub fn api_error(error: Error) -> ApiError {
    match error {
        Error::Refused(refusal) => refused(&refusal),
        Error::Invalid(problems) => ApiError::invalid(
            problems
                .into_iter()
                .map(|problem| FieldViolation {
                    field: problem.field,
                    description: problem.description,
                })
                .collect(),
        ),
        Error::DependencyUnavailable(source) => ApiError::unavailable(Kept(source)),
        Error::TooManyAttempts { retry_after } => ApiError::too_many_attempts(retry_after),
        Error::Conflict => ApiError::conflict(),
        Error::Internal(source) => ApiError::internal(Kept(source)),
    }
}

/// A shared error as an error of its own.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Kept(Source);

fn refused(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::KeyMalformed
        | Refusal::CodeNotFound
        | Refusal::KeyNotFound { .. }
        | Refusal::KeyAlreadyRedeemed { .. }
        | Refusal::KeyRevoked { .. }
        | Refusal::NoEventKey { .. }
        | Refusal::EventKeyOff { .. }
        | Refusal::CodeTaken => of_key(refusal),
        Refusal::ClassNotFound { .. }
        | Refusal::ClassCancelled { .. }
        | Refusal::WindowClosed { .. }
        | Refusal::KeyLimitExceeded { .. } => of_class(refusal),
        Refusal::PoolNotFound { .. } | Refusal::PoolExpired { .. } => of_pool(refusal),
        Refusal::ProfileNotFound { .. }
        | Refusal::MaxUsesBelowUses { .. }
        | Refusal::KeyExpired { .. } => of_subscription(refusal),
        Refusal::OrganizationNotFound { organization_id } => ApiError::not_found(
            ErrorReason::OrganizationNotFound,
            "organization",
            organization_id,
        ),
        Refusal::RequestIdReused { request_id } => ApiError::new(
            ErrorReason::RequestIdReused,
            format!(
                "The id {request_id} was used before with other content: a new wish takes a new id."
            ),
        ),
        Refusal::EtagMismatch { resource_type, id } => ApiError::etag_mismatch(resource_type, id),
    }
}

fn of_key(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::KeyMalformed => ApiError::new(
            ErrorReason::KeyMalformed,
            "This cannot be a training key's code: please check it and type it again.",
        ),
        // A code is a secret: it is not repeated.
        Refusal::CodeNotFound => ApiError::not_found(ErrorReason::KeyNotFound, "training_key", ""),
        Refusal::KeyNotFound { key_id } => {
            ApiError::not_found(ErrorReason::KeyNotFound, "training_key", key_id)
        }
        Refusal::KeyAlreadyRedeemed { key_id } => ApiError::precondition(
            ErrorReason::KeyAlreadyRedeemed,
            format!("training_key/{key_id}"),
            "This key was used by a student.",
        ),
        Refusal::KeyRevoked { key_id } => ApiError::precondition(
            ErrorReason::KeyRevoked,
            format!("training_key/{key_id}"),
            "This key was revoked.",
        ),
        Refusal::NoEventKey { class_id } => ApiError::new(
            ErrorReason::KeyNotFound,
            "The class never had an event key: turn it on first.",
        )
        .with_resource("event_key", class_id),
        Refusal::EventKeyOff { class_id } => ApiError::precondition(
            ErrorReason::KeyRevoked,
            format!("event_key/{class_id}"),
            "The event key is turned off: it has no code to show.",
        ),
        Refusal::CodeTaken => ApiError::new(
            ErrorReason::CodeTaken,
            "This text is the code of another key: choose another.",
        ),
        other => ApiError::bug(format!("this is not about a key: {other}")),
    }
}

fn of_class(refusal: &Refusal) -> ApiError {
    let on_class = |reason, class_id: &Uuid, text: String| {
        ApiError::precondition(reason, format!("class/{class_id}"), text)
    };
    match refusal {
        Refusal::ClassNotFound { class_id } => {
            ApiError::not_found(ErrorReason::ClassNotFound, "class", class_id)
        }
        Refusal::ClassCancelled { class_id } => on_class(
            ErrorReason::ClassCancelled,
            class_id,
            "The class was cancelled; that is final.".to_owned(),
        ),
        Refusal::WindowClosed {
            class_id,
            closed_at,
            zone,
        } => {
            let closed = in_words(*closed_at, *zone);
            on_class(
                ErrorReason::WindowClosed,
                class_id,
                format!("The class ended on {closed}: no student could use a new key."),
            )
            .with_metadata("closed_at", closed_at.with_timezone(zone).to_rfc3339())
            .with_metadata("time_zone", zone.name())
        }
        Refusal::KeyLimitExceeded {
            class_id,
            maximum_keys,
            live_keys,
            reserved_keys,
            can_generate,
        } => {
            let reserved = match reserved_keys {
                0 => String::new(),
                some => format!(", and {some} more are being generated"),
            };
            on_class(
                ErrorReason::KeyLimitExceeded,
                class_id,
                format!(
                    "The class may have {maximum_keys} live keys and has {live_keys}{reserved}: {can_generate} more can be \
                     generated. Revoke keys that are not needed, or raise the class's maximum students."
                ),
            )
            .with_metadata("maximum_keys", maximum_keys)
            .with_metadata("live_keys", live_keys)
            .with_metadata("reserved_keys", reserved_keys)
            .with_metadata("can_generate", can_generate)
        }
        other => ApiError::bug(format!("this is not about a class: {other}")),
    }
}

fn of_pool(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::PoolNotFound { pool_id } => {
            ApiError::not_found(ErrorReason::KeyPoolNotFound, "key_pool", pool_id)
        }
        Refusal::PoolExpired {
            pool_id,
            expired_at,
        } => ApiError::precondition(
            ErrorReason::WindowClosed,
            format!("key_pool/{pool_id}"),
            format!(
                "The pool expired on {}: no student could use a new key.",
                in_words(*expired_at, Tz::UTC)
            ),
        )
        .with_metadata("closed_at", expired_at.to_rfc3339())
        .with_metadata("time_zone", Tz::UTC.name()),
        other => ApiError::bug(format!("this is not about a pool: {other}")),
    }
}

fn of_subscription(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::KeyExpired { key_id, expired_at } => ApiError::precondition(
            ErrorReason::WindowClosed,
            format!("training_key/{key_id}"),
            format!(
                "The key could be redeemed until {}.",
                in_words(*expired_at, Tz::UTC)
            ),
        )
        .with_metadata("closed_at", expired_at.to_rfc3339())
        .with_metadata("time_zone", Tz::UTC.name()),
        Refusal::ProfileNotFound { profile_id } => ApiError::not_found(
            ErrorReason::SubscriptionProfileNotFound,
            "subscription_profile",
            profile_id,
        ),
        Refusal::MaxUsesBelowUses {
            key_id,
            uses,
            max_uses,
        } => ApiError::precondition(
            ErrorReason::MaxUsesBelowUses,
            format!("training_key/{key_id}"),
            format!("{uses} students use the key, so that it cannot be for {max_uses}."),
        )
        .with_metadata("uses", uses)
        .with_metadata("max_uses", max_uses),
        other => ApiError::bug(format!("this is not about a subscription: {other}")),
    }
}

/// An instant as people read it where the class takes place: `2 June 2026, 17:00 (Europe/Berlin)`.
pub(super) fn in_words(instant: DateTime<Utc>, zone: Tz) -> String {
    format!(
        "{} ({})",
        instant.with_timezone(&zone).format("%-d %B %Y, %H:%M"),
        zone.name()
    )
}

#[cfg(test)]
mod tests;
