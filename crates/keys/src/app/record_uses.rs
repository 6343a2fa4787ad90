//! Recording that keys are used, and that uses were given up: a copy of what the enrollment service decided.

use std::collections::BTreeMap;

use latchkey_service_kit::faults::planted;
use uuid::Uuid;

use super::{App, Error, settled};
use crate::store::marks;

pub use crate::store::marks::{Mark, Recorded};

/// Records uses; one with `released_at` was given up, and is never live again. Uses may come in any order and any
/// number. Nothing is recorded for keys that do not exist.
pub async fn record_uses(app: &App, uses: Vec<Mark>) -> Result<Recorded, Error> {
    let uses = folded(uses);
    settled(|| attempt(app, &uses)).await
}

async fn attempt(app: &App, uses: &[Mark]) -> Result<Recorded, Error> {
    let mut transaction = app.standing.begin().await?;
    let recorded = marks::record(&mut transaction, uses).await?;
    if planted("bug::released_by_the_key_alone") {
        marks::planted::release_by_key(&mut transaction, uses).await?;
    }
    if planted("bug::released_lives_again") {
        marks::planted::revive(&mut transaction, uses).await?;
    }
    transaction.commit().await?;
    Ok(recorded)
}

/// Each pair of redemption and key once, in their order; given up if any of its uses was.
fn folded(uses: Vec<Mark>) -> Vec<Mark> {
    let mut pairs: BTreeMap<(Uuid, Uuid), Mark> = BTreeMap::new();
    for mark in uses {
        let kept = pairs
            .entry((mark.redemption_id, mark.key_id))
            .or_insert(mark);
        kept.released_at = kept.released_at.or(mark.released_at);
    }
    pairs.into_values().collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn mark(redemption: u128, released: Option<i64>) -> Mark {
        Mark {
            redemption_id: Uuid::from_u128(redemption),
            key_id: Uuid::from_u128(7),
            student_id: Uuid::from_u128(8),
            generation: 1,
            redeemed_at: DateTime::UNIX_EPOCH,
            released_at: released.and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
        }
    }

    #[test]
    fn a_pair_is_recorded_once_and_stays_given_up() {
        let twice = vec![
            mark(2, None),
            mark(1, Some(5)),
            mark(1, None),
            mark(1, Some(6)),
            mark(2, None),
        ];
        assert_eq!(folded(twice), [mark(1, Some(5)), mark(2, None)]);
    }
}
