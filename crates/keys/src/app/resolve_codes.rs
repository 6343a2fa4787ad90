//! What codes are: asked for each batch of redemptions before it is decided.

use std::collections::{BTreeSet, HashMap};

use sqlx::PgConnection;
use uuid::Uuid;

use super::held_keyring::nothing_was_overlooked;
use super::{App, Error, planted};
use crate::domain::grant::GrantKind;
use crate::domain::keyring::{HASH_LENGTH, Keyring};
use crate::domain::pool::KeyPool;
use crate::store::{pools, resolve, subscription_keys};

pub use crate::store::resolve::Resolved;
pub use crate::store::subscription_keys::Facts as SubscriptionFacts;

/// What `codes` are, in their order; `None` for a text that is no code or that no key has or had. Writes nothing.
pub async fn resolve_codes(app: &App, codes: &[String]) -> Result<Vec<Option<Resolved>>, Error> {
    let mut resolved: Vec<Option<Resolved>> = vec![None; codes.len()];
    tracing::trace!(number = codes.len(), "resolving codes");
    planted::give_away(app, codes).await?;
    let keyring = app.keyring.present();
    let hashed = Hashed::of(&keyring, codes);
    if hashed.hashes.is_empty() {
        return Ok(resolved);
    }
    let mut connection = app.standing.connection().await?;
    let mut found = resolve::resolve(&mut connection, &hashed.hashes).await?;
    add_pools(&mut connection, &mut found).await?;
    add_subscriptions(&mut connection, &mut found).await?;
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

/// Adds the pools of keys that have one. Asks nothing if there are none: most keys are of classes.
async fn add_pools(
    connection: &mut PgConnection,
    found: &mut [(usize, Resolved)],
) -> Result<(), Error> {
    let of_pool = |one: &Resolved| one.kind.opens() == GrantKind::Pool;
    let pool_ids: BTreeSet<Uuid> = found
        .iter()
        .filter(|(_, one)| of_pool(one))
        .map(|(_, one)| one.grant_id)
        .collect();
    if pool_ids.is_empty() {
        return Ok(());
    }
    let pool_ids: Vec<Uuid> = pool_ids.into_iter().collect();
    let pools = pools::find_all(connection, &pool_ids).await?;
    let pools: HashMap<Uuid, KeyPool> = pools.into_iter().map(|one| (one.pool_id, one)).collect();
    for (_, one) in found.iter_mut().filter(|(_, one)| of_pool(one)) {
        one.pool = pools.get(&one.grant_id).cloned();
    }
    Ok(())
}

/// Adds the terms and uses of subscription keys. Asks nothing if there are none.
async fn add_subscriptions(
    connection: &mut PgConnection,
    found: &mut [(usize, Resolved)],
) -> Result<(), Error> {
    let of_profile = |one: &Resolved| one.kind.opens() == GrantKind::Profile;
    let key_ids: BTreeSet<Uuid> = found
        .iter()
        .filter(|(_, one)| of_profile(one))
        .map(|(_, one)| one.key_id)
        .collect();
    if key_ids.is_empty() {
        return Ok(());
    }
    let key_ids: Vec<Uuid> = key_ids.into_iter().collect();
    let facts = subscription_keys::facts(connection, &key_ids).await?;
    let facts: HashMap<Uuid, SubscriptionFacts> = facts.into_iter().collect();
    for (_, one) in found.iter_mut().filter(|(_, one)| of_profile(one)) {
        one.subscription = facts.get(&one.key_id).copied();
    }
    Ok(())
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
