//! Copying organizations, and what came of a copy that was put.

use std::collections::BTreeMap;

use latchkey_service_kit::database::begin;
use uuid::Uuid;

use super::{App, Error, settled};
use crate::domain::organization::Organization;
use crate::store::organizations;

/// A copy that is held instead of the one that was put: a newer version, or the same with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The organization, class or profile.
    pub id: Uuid,
    /// The version that is held.
    pub version: i64,
}

/// What putting copies came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// How many were stored.
    pub stored: u64,
    /// Those that are held instead.
    pub held: Vec<Held>,
}

/// Copies organizations; a version that is not newer than the stored one changes nothing.
pub async fn put_organizations(app: &App, copies: Vec<Organization>) -> Result<Put, Error> {
    let newest = newest(copies);
    settled(|| attempt(app, &newest)).await
}

async fn attempt(app: &App, copies: &[Organization]) -> Result<Put, Error> {
    let mut transaction = begin(&app.pool).await?;
    let stored = organizations::put(&mut transaction, copies).await?;
    let ids: Vec<Uuid> = copies.iter().map(|copy| copy.organization_id).collect();
    let present = organizations::find_all(&mut transaction, &ids).await?;
    transaction.commit().await?;
    let other = |one: &&Organization| !copies.contains(one);
    let held = present.iter().filter(other).map(|one| Held {
        id: one.organization_id,
        version: one.version,
    });
    Ok(Put {
        stored,
        held: held.collect(),
    })
}

/// Each organization once, by id, in the newest of its versions.
fn newest(copies: Vec<Organization>) -> Vec<Organization> {
    let mut newest: BTreeMap<Uuid, Organization> = BTreeMap::new();
    for copy in copies {
        match newest.get(&copy.organization_id) {
            Some(kept) if kept.version >= copy.version => {}
            _ => {
                newest.insert(copy.organization_id, copy);
            }
        }
    }
    newest.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_versions_the_newest_is_taken_wherever_it_stands() {
        let copy = |id, version| Organization {
            organization_id: Uuid::from_u128(id),
            ancestor_ids: Vec::new(),
            version,
        };
        let copies = vec![copy(2, 1), copy(1, 3), copy(1, 2), copy(2, 4)];
        assert_eq!(newest(copies), [copy(1, 3), copy(2, 4)]);
    }
}
