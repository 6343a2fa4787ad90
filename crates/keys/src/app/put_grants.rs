//! Copying classes and subscription profiles: what keys open.

use std::collections::BTreeMap;

use latchkey_service_kit::database::{Transaction, begin};
use uuid::Uuid;

use super::put_organizations::{Held, Put};
use super::retire_grants::remove;
use super::{App, Call, Error, settled};
use crate::domain::grant::Grant;
use crate::domain::subscription::Profile;
use crate::store::grants;

/// Copies classes; a version that is not newer than the stored one changes nothing, except that the draft of a class that
/// is being created takes the place of an earlier draft.
///
/// A draft that another organization had left behind for the class is removed first, with its event key: nothing of one
/// organization is ever handed to another.
pub async fn put_grants(app: &App, call: &Call, copies: Vec<Grant>) -> Result<Put, Error> {
    let newest = newest(copies);
    settled(|| attempt(app, call, &newest)).await
}

/// Copies subscription profiles; a version that is not newer than the stored one changes nothing.
pub async fn put_profiles(app: &App, copies: Vec<Profile>) -> Result<Put, Error> {
    let newest = newest(copies.into_iter().map(Profile::grant).collect());
    settled(|| async {
        let transaction = begin(&app.pool).await?;
        store(transaction, &newest).await
    })
    .await
}

async fn attempt(app: &App, call: &Call, copies: &[Grant]) -> Result<Put, Error> {
    let mut transaction = begin(&app.pool).await?;
    let foreign = grants::lock_foreign_drafts(&mut transaction, copies).await?;
    if !foreign.is_empty() {
        remove(app, call, &mut transaction, &foreign).await?;
    }
    store(transaction, copies).await
}

async fn store(mut transaction: Transaction, copies: &[Grant]) -> Result<Put, Error> {
    let stored = grants::put(&mut transaction, copies).await?;
    let ids: Vec<Uuid> = copies.iter().map(|copy| copy.grant_id).collect();
    let present = grants::find_all(&mut transaction, &ids).await?;
    transaction.commit().await?;
    let put: BTreeMap<Uuid, &Grant> = copies.iter().map(|copy| (copy.grant_id, copy)).collect();
    // The organization of a grant never changes: a copy that names another one is stored without it.
    let other = |one: &&Grant| {
        put.get(&one.grant_id).is_some_and(|copy| {
            let copy = Grant {
                organization_id: one.organization_id,
                ..(*copy).clone()
            };
            copy != **one
        })
    };
    let held = present.iter().filter(other).map(|one| Held {
        id: one.grant_id,
        version: one.version,
    });
    Ok(Put {
        stored,
        held: held.collect(),
    })
}

/// Each grant once, by id, in the newest of its versions; of two drafts the later one.
fn newest(copies: Vec<Grant>) -> Vec<Grant> {
    let mut newest: BTreeMap<Uuid, Grant> = BTreeMap::new();
    for copy in copies {
        match newest.get(&copy.grant_id) {
            Some(kept) if kept.version > copy.version => {}
            _ => {
                newest.insert(copy.grant_id, copy);
            }
        }
    }
    newest.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grant::sample;

    #[test]
    fn of_several_versions_the_newest_is_taken_wherever_it_stands() {
        let copy = |version, name: &str| Grant {
            version,
            name: name.to_owned(),
            ..sample::grant()
        };
        assert_eq!(
            newest(vec![copy(2, "a"), copy(3, "b"), copy(1, "c")]),
            [copy(3, "b")]
        );
        assert_eq!(newest(vec![copy(0, "a"), copy(0, "b")]), [copy(0, "b")]);
    }
}
