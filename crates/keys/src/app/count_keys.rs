//! Counting the enrollment keys of classes.

use std::collections::HashMap;

use uuid::Uuid;

use super::{App, Error};
use crate::store::training_keys;

pub use crate::store::training_keys::KeyCount;

/// The enrollment keys of classes by state, at one instant, in the order asked. A class that has none, or is not known,
/// has zeros.
pub async fn count_keys(app: &App, class_ids: &[Uuid]) -> Result<Vec<KeyCount>, Error> {
    let counted = training_keys::count(&app.pool, class_ids).await?;
    let counted: HashMap<Uuid, KeyCount> = counted
        .into_iter()
        .map(|count| (count.class_id, count))
        .collect();
    let none = |class_id| KeyCount {
        class_id,
        generated: 0,
        redeemed: 0,
        revoked: 0,
        expired: 0,
        available: 0,
    };
    Ok(class_ids
        .iter()
        .map(|id| counted.get(id).copied().unwrap_or_else(|| none(*id)))
        .collect())
}
