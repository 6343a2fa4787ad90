//! What a restore of either database has lost and nobody can derive, as far as the other side shows it.

use std::cmp::Ordering;
use std::pin::pin;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt};
use latchkey_enrollment::verify as enrollment;
use latchkey_keys::verify as keys;
use latchkey_service_kit::invariants::Finding;

use super::Databases;
use super::compare::{Item, Kind, differences};

/// What holds unless a database was restored.
const KEPT: &str = "what was decided stays known";

/// Everything that is lost, by either side. Keys that live uses are of, live marks, classes and organizations are not among
/// it: those are found without a restore in mind.
pub(super) async fn losses(databases: &Databases) -> Result<Vec<Finding>> {
    let mut losses = of_keys(databases).await?;
    losses.extend(accounts(databases).await?);
    Ok(losses)
}

/// Keys, codes, revocations and rotations that decisions tell of and the keys service does not know.
async fn of_keys(databases: &Databases) -> Result<Vec<Finding>> {
    let mut seen = pin!(enrollment::seen_keys(&databases.enrollment));
    let mut present = pin!(keys::present_keys(&databases.keys).peekable());
    let mut losses = Vec::new();
    while let Some(key) = seen.try_next().await? {
        let found = loop {
            let order = match present.as_mut().peek().await {
                Some(Ok(one)) => one.key_id.cmp(&key.key_id),
                Some(Err(_)) => Ordering::Less,
                None => Ordering::Greater,
            };
            match order {
                Ordering::Less => drop(present.try_next().await?),
                Ordering::Equal => break present.try_next().await?,
                Ordering::Greater => break None,
            }
        };
        let found = found.map(|one| (one.generation, one.revoked));
        losses.extend(lost(&key, found).map(|found| Finding {
            table: "keys.training_keys",
            id: key.key_id.to_string(),
            invariant: KEPT,
            found,
        }));
    }
    Ok(losses)
}

/// What is lost of a key that is there in this generation, and revoked or not; or is not there.
fn lost(seen: &enrollment::SeenKey, present: Option<(i32, bool)>) -> Option<String> {
    let opens = match seen.kind.as_str() {
        "pool" => format!("the pool {}", seen.opens_id),
        "subscription" => format!("the subscription profile {}", seen.opens_id),
        _ => format!("the class {}", seen.opens_id),
    };
    let Some((generation, revoked)) = present else {
        return Some(match seen.kind.as_str() {
            "event" => format!("the event key of {opens} is lost: set it again"),
            _ => format!("a key of {opens} is lost: generate another"),
        });
    };
    let rotated = seen.replaced.map_or(1, |replaced| replaced + 1);
    let latest = seen.generation.max(rotated);
    if latest > generation {
        return Some(format!(
            "a rotation of the event key of {opens} is lost, generation {latest}: rotate it again, {} times",
            latest - generation
        ));
    }
    let was_revoked = seen.revoked == Some(generation);
    (was_revoked && !revoked).then(|| match seen.kind.as_str() {
        "event" => format!("the event key of {opens} was off: turn it off again"),
        _ => format!("the revocation of a key of {opens} is lost: revoke it again"),
    })
}

/// Students who used a key and are not known.
async fn accounts(databases: &Databases) -> Result<Vec<Finding>> {
    let item = |id| Item {
        id: (id, None),
        content: Vec::new(),
    };
    let copies = keys::students(&databases.keys).map(|found| Ok(item(found?)));
    let originals = enrollment::students(&databases.enrollment).map(|found| Ok(item(found?)));
    let found = differences(originals, copies).await?;
    let strays = found.into_iter().filter(|one| one.kind == Kind::Stray);
    Ok(strays
        .map(|one| Finding {
            table: "enrollment.students",
            id: one.id.0.to_string(),
            invariant: KEPT,
            found: "a student used a key, and the account is lost".to_owned(),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn seen(kind: &str) -> enrollment::SeenKey {
        enrollment::SeenKey {
            key_id: Uuid::from_u128(1),
            kind: kind.to_owned(),
            opens_id: Uuid::from_u128(2),
            generation: 2,
            revoked: None,
            replaced: None,
        }
    }

    #[test]
    fn a_key_that_is_as_it_was_seen_or_further_has_lost_nothing() {
        for present in [(2, false), (2, true), (3, false)] {
            assert_eq!(lost(&seen("event"), Some(present)), None);
        }
        // It was turned on again since.
        let off = enrollment::SeenKey {
            revoked: Some(2),
            ..seen("event")
        };
        assert_eq!(lost(&off, Some((3, false))), None);
        assert_eq!(lost(&off, Some((2, true))), None);
    }

    #[test]
    fn what_a_key_has_lost_is_said_and_what_to_do() {
        let said = |seen: &enrollment::SeenKey, present| lost(seen, present).expect("a loss");
        assert!(said(&seen("enrollment"), None).contains("generate another"));
        assert!(said(&seen("event"), None).contains("set it again"));
        assert!(said(&seen("pool"), None).contains("a key of the pool"));
        assert!(said(&seen("subscription"), None).contains("a key of the subscription profile"));
        assert!(said(&seen("event"), Some((1, false))).contains("rotate it again, 1 times"));
        let replaced = enrollment::SeenKey {
            replaced: Some(2),
            ..seen("event")
        };
        assert!(said(&replaced, Some((2, false))).contains("generation 3"));
        let revoked = enrollment::SeenKey {
            revoked: Some(2),
            ..seen("enrollment")
        };
        assert!(said(&revoked, Some((2, false))).contains("revoke it again"));
    }
}
