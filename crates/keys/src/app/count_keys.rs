//! Counting the keys of classes and pools.

use std::collections::HashMap;

use uuid::Uuid;

use super::{App, Error};
use crate::store::training_keys;

pub use crate::store::training_keys::KeyCount;

/// The keys of classes and pools for one student each, by state, at one instant, in the order asked. What has none, or is not
/// known, has zeros.
pub async fn count_keys(app: &App, ids: &[Uuid]) -> Result<Vec<KeyCount>, Error> {
    let counted = training_keys::count(&app.pool, ids).await?;
    let counted: HashMap<Uuid, KeyCount> = counted
        .into_iter()
        .map(|count| (count.grant_id, count))
        .collect();
    let none = |grant_id| KeyCount {
        grant_id,
        generated: 0,
        redeemed: 0,
        revoked: 0,
        expired: 0,
        available: 0,
    };
    Ok(ids
        .iter()
        .map(|id| counted.get(id).copied().unwrap_or_else(|| none(*id)))
        .collect())
}
