//! Having everything new made with the newest keys of the keyring file.

use latchkey_service_kit::database::begin;
use serde_json::json;

use super::{Error, settled};
use crate::app::keyring_work::{Behind, KeyringWork};
use crate::domain::audit::Action;
use crate::domain::keyring::{KeyVersion, Purpose};
use crate::store::keyring_versions;

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MadeCurrent {
    /// The newest keys are current. These were not before.
    Done(Vec<KeyVersion>),
    /// Nothing was changed: these processes lack a key that would be current.
    Waiting(Vec<Behind>),
}

/// Makes the newest key of each of these purposes current, once every running process has it; leaves an audit row for each
/// that was not.
///
/// From the commit on nothing is stored by the keys before. Unavailable if the file lacks a version that is in use.
pub async fn make_key_current(
    work: &KeyringWork,
    purposes: &[Purpose],
) -> Result<MadeCurrent, Error> {
    settled(|| attempt(work, purposes)).await
}

async fn attempt(work: &KeyringWork, purposes: &[Purpose]) -> Result<MadeCurrent, Error> {
    let mut transaction = begin(&work.pool).await?;
    let in_use = keyring_versions::lock(&mut transaction).await?;
    work.keyring.covers(&in_use)?;
    let newest = purposes.iter().map(|&purpose| KeyVersion {
        purpose,
        version: work.keyring.newest(purpose),
    });
    // Never back to an older one: that nothing is stored by it any more is what it is removed upon.
    let keys: Vec<KeyVersion> = newest
        .filter(|key| key.version > in_use.of(key.purpose).current)
        .collect();
    let behind = work.behind(&mut transaction, &keys).await?;
    if !behind.is_empty() {
        transaction.rollback().await?;
        return Ok(MadeCurrent::Waiting(behind));
    }
    for &key in &keys {
        // Requests keep their fingerprints: what they were made of is not kept.
        let rotated = key.purpose == Purpose::Fingerprint;
        keyring_versions::make_current(&mut transaction, key, rotated).await?;
        let previous = in_use.of(key.purpose).current;
        let details = json!({ "previous_version": previous });
        work.record(&mut transaction, Action::MakeKeyCurrent, key, details)
            .await?;
    }
    transaction.commit().await?;
    Ok(MadeCurrent::Done(keys))
}
