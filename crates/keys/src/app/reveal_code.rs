//! Showing one code to one recipient, through the enrollment service.

use latchkey_service_kit::database::begin;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::reveal_event_key::present;
use super::reveal_keys::RevealedCode;
use super::{App, Call, Error};
use crate::domain::audit::{Action, Deed};
use crate::domain::key::{KeyKind, KeyState};
use crate::domain::refusal::Refusal;
use crate::store::codes::{self, Sealed};
use crate::store::{audit, training_keys};

/// A wish for a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeWish {
    /// The class that the key opens.
    pub class_id: Uuid,
    /// An enrollment key of it; `None` for its event key.
    pub key_id: Option<Uuid>,
    /// Who will read it: what they are and an id.
    pub recipient: String,
    /// What it is written for.
    pub purpose: String,
}

/// The present code of a key that opens a class; leaves an audit row that names the recipient. Refused with
/// `ClassNotFound`, `KeyNotFound`, `NoEventKey`, `EventKeyOff`, `KeyRevoked` or `KeyAlreadyRedeemed`.
pub async fn reveal_code(app: &App, call: &Call, wish: &CodeWish) -> Result<RevealedCode, Error> {
    let mut transaction = begin(&app.pool).await?;
    let (sealed, action) = if let Some(key_id) = wish.key_id {
        let sealed = unused(&mut transaction, call, wish.class_id, key_id).await?;
        (sealed, Action::Reveal)
    } else {
        let sealed = present(&mut transaction, call, wish.class_id).await?;
        (sealed, Action::RevealEventKey)
    };
    let revealed = RevealedCode::open(&sealed, &app.keyring.present())?;
    let deed = Deed {
        action,
        organization_id: sealed.organization_id,
        resource_id: sealed.place.key_id,
        details: json!({
            "class_id": wish.class_id,
            "generation": sealed.place.generation,
            "recipient": wish.recipient,
            "purpose": wish.purpose,
        }),
    };
    audit::insert(&mut transaction, call.author(), &app.numbered([deed])).await?;
    transaction.commit().await?;
    Ok(revealed)
}

/// The code of an enrollment key of the class that somebody can still use, as far as the key goes.
async fn unused(
    connection: &mut PgConnection,
    call: &Call,
    class_id: Uuid,
    key_id: Uuid,
) -> Result<Sealed, Error> {
    let missing = || Refusal::KeyNotFound { key_id };
    let key = training_keys::views(connection, &[key_id], &call.scope)
        .await?
        .pop()
        .filter(|key| key.kind == KeyKind::Enrollment && key.grant_id == class_id)
        .ok_or_else(missing)?;
    match key.state {
        KeyState::Redeemed => return Err(Refusal::KeyAlreadyRedeemed { key_id }.into()),
        KeyState::Revoked => return Err(Refusal::KeyRevoked { key_id }.into()),
        // Windows are the enrollment service's to judge.
        KeyState::Available | KeyState::Expired => {}
    }
    let sealed = codes::sealed(connection, &[key_id], &call.scope).await?;
    Ok(sealed.into_iter().next().ok_or_else(missing)?)
}
