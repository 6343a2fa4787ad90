//! Showing one code to one recipient, through the enrollment service.

use latchkey_service_kit::access::Scope;
use latchkey_service_kit::database::begin;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::reveal_event_key::present;
use super::reveal_keys::RevealedCode;
use super::{App, Call, Error};
use crate::domain::audit::{Action, Deed};
use crate::domain::key::{KeyKind, KeyState, TrainingKey};
use crate::domain::pool::KeyPool;
use crate::domain::refusal::Refusal;
use crate::domain::subscription::Terms;
use crate::store::codes::{self, Sealed};
use crate::store::{audit, pools, training_keys};

/// Which key's code is wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// That of the event key of a class.
    EventKey {
        /// The class.
        class_id: Uuid,
    },
    /// That of an enrollment key of a class.
    EnrollmentKey {
        /// The class.
        class_id: Uuid,
        /// The key.
        key_id: Uuid,
    },
    /// That of a key of a pool.
    PoolKey {
        /// The pool.
        pool_id: Uuid,
        /// The key.
        key_id: Uuid,
        /// The organization to which the pool must belong, or which must stand above the one that owns it.
        within: Uuid,
    },
    /// That of a subscription key.
    SubscriptionKey {
        /// The profile.
        profile_id: Uuid,
        /// The key.
        key_id: Uuid,
    },
}

impl Wanted {
    /// As what it is revealed.
    fn action(self) -> Action {
        match self {
            Self::EventKey { .. } => Action::RevealEventKey,
            Self::EnrollmentKey { .. } | Self::PoolKey { .. } | Self::SubscriptionKey { .. } => {
                Action::Reveal
            }
        }
    }
}

/// A wish for a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeWish {
    /// Of which key.
    pub wanted: Wanted,
    /// Who will read it: what they are and an id.
    pub recipient: String,
    /// What it is written for.
    pub purpose: String,
}

/// A code that is shown, and what it is of.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The code.
    pub code: RevealedCode,
    /// The organization that owns the key.
    pub organization_id: Uuid,
    /// What else there is to know of the key.
    pub of: Of,
}

/// What a key is of, as far as whoever writes to people has to know that.
#[derive(Debug, Clone)]
pub enum Of {
    /// A class, of which the enrollment service knows more.
    Class,
    /// A pool.
    Pool(KeyPool),
    /// A subscription profile.
    Profile {
        /// The profile.
        profile_id: Uuid,
        /// The terms of the key.
        terms: Terms,
    },
}

/// The present code of a key; leaves an audit row that names the recipient. Refused with `ClassNotFound`, `PoolNotFound`,
/// `KeyNotFound`, `NoEventKey`, `EventKeyOff`, `KeyRevoked`, `KeyAlreadyRedeemed`, `PoolExpired` or
/// `KeyExpired`.
pub async fn reveal_code(app: &App, call: &Call, wish: &CodeWish) -> Result<Shown, Error> {
    let mut transaction = begin(&app.pool).await?;
    let (sealed, of) = find(&mut transaction, call, wish.wanted).await?;
    let code = RevealedCode::open(sealed.place, &sealed.code, &app.keyring.present())?;
    let deed = Deed {
        action: wish.wanted.action(),
        organization_id: sealed.organization_id,
        resource_id: sealed.place.key_id,
        details: json!({
            (sealed.kind.opens().id_field()): sealed.grant_id,
            "generation": sealed.place.generation,
            "recipient": wish.recipient,
            "purpose": wish.purpose,
        }),
    };
    audit::insert(&mut transaction, call.author(), &app.numbered([deed])).await?;
    transaction.commit().await?;
    Ok(Shown {
        code,
        organization_id: sealed.organization_id,
        of,
    })
}

/// The code, sealed, and what the key is of.
async fn find(
    connection: &mut PgConnection,
    call: &Call,
    wanted: Wanted,
) -> Result<(Sealed, Of), Error> {
    match wanted {
        Wanted::EventKey { class_id } => {
            Ok((present(connection, call, class_id).await?, Of::Class))
        }
        Wanted::EnrollmentKey { class_id, key_id } => {
            let key = (KeyKind::Enrollment, key_id);
            // Windows of classes are the enrollment service's to judge.
            let (sealed, _) = unused(connection, &call.scope, class_id, key).await?;
            Ok((sealed, Of::Class))
        }
        Wanted::PoolKey {
            pool_id,
            key_id,
            within,
        } => {
            let scope = Scope {
                organization: Some(within),
                ..Scope::default()
            };
            let pool = pools::find(connection, pool_id, &scope).await?;
            let pool = pool.ok_or(Refusal::PoolNotFound { pool_id })?;
            let key = (KeyKind::Pool, key_id);
            let (sealed, key) = unused(connection, &scope, pool_id, key).await?;
            if key.state == KeyState::Expired {
                let expired_at = pool.settings.expires_at;
                return Err(Refusal::PoolExpired {
                    pool_id,
                    expired_at,
                }
                .into());
            }
            Ok((sealed, Of::Pool(pool)))
        }
        Wanted::SubscriptionKey { profile_id, key_id } => {
            let key = (KeyKind::Subscription, key_id);
            let (sealed, key) = unused(connection, &call.scope, profile_id, key).await?;
            let terms = key.terms.map(|present| present.terms);
            let terms = terms.ok_or_else(|| Error::bug("a subscription key has no terms"))?;
            match terms.redeemable_until() {
                Some(expired_at) if key.state == KeyState::Expired => {
                    Err(Refusal::KeyExpired { key_id, expired_at }.into())
                }
                _ => Ok((sealed, Of::Profile { profile_id, terms })),
            }
        }
    }
}

/// The code of a key of this kind, of this class, pool or profile, of which a use is left and which nobody has revoked; and the
/// key.
async fn unused(
    connection: &mut PgConnection,
    scope: &Scope,
    grant_id: Uuid,
    (kind, key_id): (KeyKind, Uuid),
) -> Result<(Sealed, TrainingKey), Error> {
    let missing = || Refusal::KeyNotFound { key_id };
    let key = training_keys::views(connection, &[key_id], scope)
        .await?
        .pop()
        .filter(|key| key.kind == kind && key.grant_id == grant_id)
        .ok_or_else(missing)?;
    match key.state {
        KeyState::Redeemed => return Err(Refusal::KeyAlreadyRedeemed { key_id }.into()),
        KeyState::Revoked => return Err(Refusal::KeyRevoked { key_id }.into()),
        KeyState::Available | KeyState::Expired => {}
    }
    let sealed = codes::sealed(connection, &[key_id], scope).await?;
    let sealed = sealed.into_iter().next().ok_or_else(missing)?;
    Ok((sealed, key))
}
