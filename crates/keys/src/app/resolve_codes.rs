//! What codes are: asked for each batch of redemptions before it is decided.

use latchkey_service_kit::faults::planted;

use super::held_keyring::nothing_was_overlooked;
use super::{App, Error};
use crate::domain::keyring::{HASH_LENGTH, Keyring};
use crate::store::resolve;

pub use crate::store::resolve::Resolved;

/// What `codes` are, in their order; `None` for a text that is no code or that no key has or had. Writes nothing.
pub async fn resolve_codes(app: &App, codes: &[String]) -> Result<Vec<Option<Resolved>>, Error> {
    let mut resolved: Vec<Option<Resolved>> = vec![None; codes.len()];
    if planted("bug::code_logged") {
        tracing::trace!(?codes, "resolving");
    }
    let keyring = app.keyring.present();
    let hashed = Hashed::of(&keyring, codes);
    if hashed.hashes.is_empty() {
        return Ok(resolved);
    }
    let mut connection = app.standing.connection().await?;
    let found = resolve::resolve(&mut connection, &hashed.hashes).await?;
    connection.give_back();
    for (place, found) in found {
        let code = hashed
            .owners
            .get(place)
            .and_then(|owner| resolved.get_mut(*owner))
            .ok_or_else(|| Error::bug("the database resolved a code that was not asked for"))?;
        // Under an older version of the look-up key the same text may have belonged to another key.
        if code
            .as_ref()
            .is_none_or(|other| precedence(other) < precedence(&found))
        {
            *code = Some(found);
        }
    }
    let is_missing = |owner: &usize| resolved.get(*owner).is_some_and(Option::is_none);
    if hashed.owners.iter().any(is_missing) {
        nothing_was_overlooked(&app.pool, &keyring).await?;
    }
    Ok(resolved)
}

/// Of several keys that had a code, the one that has it still comes first, then the last one.
fn precedence(found: &Resolved) -> (bool, chrono::DateTime<chrono::Utc>) {
    (found.unretired, found.issued_at)
}

/// The hashes to look for.
struct Hashed {
    hashes: Vec<[u8; HASH_LENGTH]>,
    /// For each hash, the place of its code.
    owners: Vec<usize>,
}

impl Hashed {
    fn of(keyring: &Keyring, codes: &[String]) -> Self {
        let most = codes.len() * keyring.hashes_per_code();
        let mut hashed = Self {
            hashes: Vec::with_capacity(most),
            owners: Vec::with_capacity(most),
        };
        for (owner, typed) in codes.iter().enumerate() {
            let Ok(code) = latchkey_code::parse(typed) else {
                continue;
            };
            for one in keyring.hashes(&code) {
                hashed.hashes.push(one.hash);
                hashed.owners.push(owner);
            }
        }
        hashed
    }
}
