//! What codes are: asked for each batch of redemptions before it is decided.

use super::{App, Error};
use crate::domain::keyring::HASH_LENGTH;
use crate::store::resolve;

pub use crate::store::resolve::Resolved;

/// What `codes` are, in their order; `None` for a text that is no code or that no key has or had. Writes nothing.
pub async fn resolve_codes(app: &App, codes: &[String]) -> Result<Vec<Option<Resolved>>, Error> {
    let mut resolved: Vec<Option<Resolved>> = vec![None; codes.len()];
    let hashed = Hashed::of(app, codes);
    if hashed.hashes.is_empty() {
        return Ok(resolved);
    }
    for (place, found) in resolve::resolve(&app.pool, &hashed.hashes).await? {
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
    fn of(app: &App, codes: &[String]) -> Self {
        let most = codes.len() * app.keyring.hashes_per_code();
        let mut hashed = Self {
            hashes: Vec::with_capacity(most),
            owners: Vec::with_capacity(most),
        };
        for (owner, typed) in codes.iter().enumerate() {
            let Ok(code) = latchkey_code::parse(typed) else {
                continue;
            };
            for one in app.keyring.hashes(&code) {
                hashed.hashes.push(one.hash);
                hashed.owners.push(owner);
            }
        }
        hashed
    }
}
