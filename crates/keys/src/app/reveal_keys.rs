//! Showing the codes of keys.

use std::collections::HashMap;
use std::fmt;

use latchkey_service_kit::database::begin;
use serde_json::json;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{App, Call, Error};
use crate::domain::audit::{Action, Deed};
use crate::domain::keyring::{
    CodePlace, KeyVersion, Keyring, Lacking, Purpose, SealedCode, Unsealable,
};
use crate::domain::refusal::Refusal;
use crate::store::audit;
use crate::store::codes;

/// A code in clear. Wiped when dropped; shows itself redacted.
#[derive(Clone)]
pub struct RevealedCode {
    /// The key and the generation it belongs to.
    pub place: CodePlace,
    /// The text a student types.
    pub text: Zeroizing<String>,
}

impl fmt::Debug for RevealedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevealedCode")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// A stored code does not open: for the log, which must name the row.
#[derive(Debug, thiserror::Error)]
#[error("the code of the key {}, generation {}, cannot be opened", .place.key_id, .place.generation)]
struct Unopened {
    place: CodePlace,
    #[source]
    source: Unsealable,
}

impl RevealedCode {
    /// Opens what is stored.
    pub(super) fn open(
        place: CodePlace,
        sealed: &SealedCode,
        keyring: &Keyring,
    ) -> Result<Self, Error> {
        let opened = keyring.unseal(place, sealed);
        let text = opened.map_err(|source| match source {
            Unsealable::NoSuchVersion(version) => Error::from(Lacking(KeyVersion {
                purpose: Purpose::Seal,
                version,
            })),
            Unsealable::Damaged => Error::internal(Unopened { place, source }),
        })?;
        Ok(Self { place, text })
    }
}

/// The codes of these keys, of which none may be an event key, in this order; each reveal leaves an audit row. All or nothing.
///
/// Refused with `KeyNotFound`, which names the first id that is not there.
pub async fn reveal_keys(
    app: &App,
    call: &Call,
    key_ids: &[Uuid],
    purpose: &str,
) -> Result<Vec<RevealedCode>, Error> {
    let mut transaction = begin(&app.pool).await?;
    let sealed = codes::sealed(&mut transaction, key_ids, &call.scope).await?;
    let mut revealed = HashMap::with_capacity(sealed.len());
    let keyring = app.keyring.present();
    for code in &sealed {
        let open = RevealedCode::open(code.place, &code.code, &keyring)?;
        revealed.insert(code.place.key_id, open);
    }
    let answer = key_ids
        .iter()
        .map(|key_id| {
            let code = revealed.get(key_id).cloned();
            code.ok_or(Refusal::KeyNotFound { key_id: *key_id })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let deeds = sealed.iter().map(|code| Deed {
        action: Action::Reveal,
        organization_id: code.organization_id,
        resource_id: code.place.key_id,
        details: json!({ (code.kind.opens().id_field()): code.grant_id, "purpose": purpose }),
    });
    audit::insert(&mut transaction, call.author(), &app.numbered(deeds)).await?;
    transaction.commit().await?;
    Ok(answer)
}
