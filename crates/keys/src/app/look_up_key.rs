//! Finding a key by its code: for the student on the phone.

use chrono::{DateTime, Utc};
use latchkey_code::CanonicalCode;
use latchkey_service_kit::database::begin;
use latchkey_service_kit::faults::planted;
use serde_json::json;

use super::guesses::LOOK_UP;
use super::held_keyring::nothing_was_overlooked;
use super::{App, Call, Error};
use crate::domain::audit::{Action, Deed};
use crate::domain::key::TrainingKey;
use crate::domain::refusal::Refusal;
use crate::store::{audit, codes, training_keys};

/// A key, and which of its codes was typed.
#[derive(Debug)]
pub struct LookedUp {
    /// The key.
    pub key: TrainingKey,
    /// The generation of the typed code.
    pub generation: i32,
    /// Until when the typed code is accepted, if a newer one replaced it.
    pub replaced_until: Option<DateTime<Utc>>,
}

/// The key that `typed` belongs to, whatever its state; leaves an audit row. Refused with `KeyMalformed` or
/// `CodeNotFound`, and with neither after too many wrong guesses.
pub async fn look_up_key(app: &App, call: &Call, typed: &str) -> Result<LookedUp, Error> {
    let code = latchkey_code::parse(typed).map_err(|_| Refusal::KeyMalformed)?;
    app.may_guess(call, LOOK_UP)?;
    let found = look_up(app, call, &code).await;
    app.settle_guess(call, LOOK_UP, &found);
    found
}

async fn look_up(app: &App, call: &Call, code: &CanonicalCode) -> Result<LookedUp, Error> {
    let keyring = app.keyring.present();
    let hashes: Vec<_> = keyring.hashes(code).map(|code| code.hash).collect();
    let Some(found) = codes::find(&app.pool, &hashes, &call.scope).await? else {
        nothing_was_overlooked(&app.pool, &keyring).await?;
        return Err(Refusal::CodeNotFound.into());
    };
    let mut transaction = begin(&app.pool).await?;
    let key = training_keys::views(&mut transaction, &[found.key_id], &call.scope)
        .await?
        .pop()
        .ok_or(Refusal::CodeNotFound)?;
    let mut deed = Deed {
        action: Action::LookUp,
        organization_id: found.organization_id,
        resource_id: found.key_id,
        details: json!({
            (found.kind.opens().id_field()): found.grant_id,
            "generation": found.generation,
        }),
    };
    if planted("bug::code_stored") {
        deed.details["typed"] = json!(code.expose());
    }
    audit::insert(&mut transaction, call.author(), &app.numbered([deed])).await?;
    transaction.commit().await?;
    Ok(LookedUp {
        key,
        generation: found.generation,
        replaced_until: found.replaced_until,
    })
}
