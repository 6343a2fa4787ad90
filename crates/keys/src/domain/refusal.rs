//! Why the service says no.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use uuid::Uuid;

use super::grant::GrantKind;

/// Why the service says no, with what callers may know about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The text cannot be a code.
    #[error("the text cannot be a code")]
    KeyMalformed,
    /// No key has this code, or not for this caller.
    #[error("no key has this code")]
    CodeNotFound,
    /// No key has this id, or not for this caller, or it is not of the kind that is asked for.
    #[error("no key has the id {key_id}")]
    KeyNotFound {
        /// The id as it was given.
        key_id: Uuid,
    },
    /// The key was used by a student.
    #[error("the key {key_id} was used by a student")]
    KeyAlreadyRedeemed {
        /// The key.
        key_id: Uuid,
    },
    /// The key was revoked.
    #[error("the key {key_id} was revoked")]
    KeyRevoked {
        /// The key.
        key_id: Uuid,
    },
    /// The class never had an event key.
    #[error("the class {class_id} never had an event key")]
    NoEventKey {
        /// The class.
        class_id: Uuid,
    },
    /// The event key of the class is off.
    #[error("the event key of the class {class_id} is off")]
    EventKeyOff {
        /// The class.
        class_id: Uuid,
    },
    /// No organization has this id, or not for this caller.
    #[error("no organization has the id {organization_id}")]
    OrganizationNotFound {
        /// The id as it was given.
        organization_id: Uuid,
    },
    /// No class has this id, or not for this caller.
    #[error("no class has the id {class_id}")]
    ClassNotFound {
        /// The id as it was given.
        class_id: Uuid,
    },
    /// No pool has this id, or not for this caller.
    #[error("no pool has the id {pool_id}")]
    PoolNotFound {
        /// The id as it was given.
        pool_id: Uuid,
    },
    /// The subscription key has expired.
    #[error("the key {key_id} has expired")]
    KeyExpired {
        /// The key.
        key_id: Uuid,
        /// The first instant at which it can be redeemed no more.
        expired_at: DateTime<Utc>,
    },
    /// The keys of the pool have expired.
    #[error("the pool {pool_id} has expired")]
    PoolExpired {
        /// The pool.
        pool_id: Uuid,
        /// The first instant at which its keys can be redeemed no more.
        expired_at: DateTime<Utc>,
    },
    /// The class was cancelled.
    #[error("the class {class_id} was cancelled")]
    ClassCancelled {
        /// The class.
        class_id: Uuid,
    },
    /// The class has ended.
    #[error("the window of the class {class_id} is closed")]
    WindowClosed {
        /// The class.
        class_id: Uuid,
        /// The first instant after the window.
        closed_at: DateTime<Utc>,
        /// The class's time zone.
        zone: Tz,
    },
    /// The live keys would exceed the class's maximum.
    #[error("the live keys of the class {class_id} would exceed its maximum")]
    KeyLimitExceeded {
        /// The class.
        class_id: Uuid,
        /// The most live keys it may have.
        maximum_keys: i32,
        /// How many it has.
        live_keys: i64,
        /// How many more other requests were admitted for and have not made yet.
        reserved_keys: i64,
        /// How many more can be generated.
        can_generate: i64,
    },
    /// The request id was used before, for something else.
    #[error("the request id {request_id} was used before with other content")]
    RequestIdReused {
        /// The request id.
        request_id: Uuid,
    },
    /// Another key has the wished text.
    #[error("another key has this code")]
    CodeTaken,
    /// The resource was changed since its etag was read.
    #[error("the {resource_type} {id} was changed")]
    EtagMismatch {
        /// What it is, as the audit trail calls it.
        resource_type: &'static str,
        /// Its id; of an event key that of its class.
        id: Uuid,
    },
    /// No subscription profile has this id, or not for this caller.
    #[error("no subscription profile has the id {profile_id}")]
    ProfileNotFound {
        /// The id as it was given.
        profile_id: Uuid,
    },
    /// More students use the subscription key than were to.
    #[error("{uses} students use the key {key_id}, more than {max_uses}")]
    MaxUsesBelowUses {
        /// The key.
        key_id: Uuid,
        /// How many use it.
        uses: i64,
        /// How many were to.
        max_uses: i32,
    },
}

impl Refusal {
    /// That there is no class, pool or profile with the id `id`, or not for this caller.
    pub fn not_found(kind: GrantKind, id: Uuid) -> Self {
        match kind {
            GrantKind::Class => Self::ClassNotFound { class_id: id },
            GrantKind::Pool => Self::PoolNotFound { pool_id: id },
            GrantKind::Profile => Self::ProfileNotFound { profile_id: id },
        }
    }
}
