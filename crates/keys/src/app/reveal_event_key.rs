//! Showing the code of an event key.

use latchkey_service_kit::database::begin;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::reveal_keys::RevealedCode;
use super::{App, Call, Error};
use crate::domain::audit::{Action, Deed};
use crate::domain::refusal::Refusal;
use crate::store::audit;
use crate::store::codes::{self, Sealed, SealedEventKey};

/// The present code of a class's event key; leaves an audit row. Refused with `ClassNotFound`, `NoEventKey` or
/// `EventKeyOff`.
pub async fn reveal_event_key(
    app: &App,
    call: &Call,
    class_id: Uuid,
) -> Result<RevealedCode, Error> {
    let mut transaction = begin(&app.pool).await?;
    let sealed = present(&mut transaction, call, class_id).await?;
    let revealed = RevealedCode::open(sealed.place, &sealed.code, &app.keyring.present())?;
    let deed = Deed {
        action: Action::RevealEventKey,
        organization_id: sealed.organization_id,
        resource_id: sealed.place.key_id,
        details: json!({ "class_id": class_id, "generation": sealed.place.generation }),
    };
    audit::insert(&mut transaction, call.author(), &app.numbered([deed])).await?;
    transaction.commit().await?;
    Ok(revealed)
}

/// The present code of a class's event key, sealed.
pub(super) async fn present(
    connection: &mut PgConnection,
    call: &Call,
    class_id: Uuid,
) -> Result<Sealed, Error> {
    let found = codes::sealed_event_key(connection, class_id, &call.scope).await?;
    match found.ok_or(Refusal::ClassNotFound { class_id })? {
        SealedEventKey::Never => Err(Refusal::NoEventKey { class_id }.into()),
        SealedEventKey::Off => Err(Refusal::EventKeyOff { class_id }.into()),
        SealedEventKey::On(sealed) => Ok(sealed),
    }
}
