//! Taking an old key out of use, when nothing can need it any more.

use std::fmt;

use latchkey_service_kit::database::begin;
use serde_json::json;

use super::{Error, settled};
use crate::app::keyring_status::keyring_status;
use crate::app::keyring_work::{Behind, KeyringWork};
use crate::domain::audit::Action;
use crate::domain::keyring::{InUse, KeyVersion, Purpose};
use crate::store::keyring_versions;

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakenOut {
    /// It is not in use any more, or was not before: it may go from the file.
    Done,
    /// It may be needed, for these reasons. Nothing was changed.
    Needed(Vec<Need>),
}

/// Why a key may be needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Everything new is made with it.
    Current,
    /// So many rows were made with it.
    Rows(i64),
    /// A running process lacks one of the others.
    Process(Behind),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("everything new is made with it"),
            Self::Rows(1) => f.write_str("1 row was made with it"),
            Self::Rows(count) => write!(f, "{count} rows were made with it"),
            Self::Process(behind) => behind.fmt(f),
        }
    }
}

/// Takes `key` out of use, and leaves an audit row, if it is not current, no row was made with it, and every running process
/// has all others that are in use.
///
/// A key that is not current is never current again, and nothing is stored by it: so no row there is now means none ever.
pub async fn take_key_out_of_use(work: &KeyringWork, key: KeyVersion) -> Result<TakenOut, Error> {
    let status = keyring_status(&work.pool).await?;
    let mut needs = Vec::new();
    if status.in_use.of(key.purpose).current == key.version {
        needs.push(Need::Current);
    }
    let of_key = status.rows.iter().filter(|rows| rows.key == key);
    needs.extend(of_key.map(|rows| Need::Rows(rows.count)));
    if needs.is_empty() {
        settled(|| attempt(work, key)).await
    } else {
        Ok(TakenOut::Needed(needs))
    }
}

async fn attempt(work: &KeyringWork, key: KeyVersion) -> Result<TakenOut, Error> {
    let mut transaction = begin(&work.pool).await?;
    let in_use = keyring_versions::lock(&mut transaction).await?;
    work.keyring.covers(&in_use)?;
    if in_use.of(key.purpose).current == key.version {
        transaction.rollback().await?;
        return Ok(TakenOut::Needed(vec![Need::Current]));
    }
    let behind = work.behind(&mut transaction, &others(&in_use, key)).await?;
    if !behind.is_empty() {
        transaction.rollback().await?;
        let needs = behind.into_iter().map(Need::Process).collect();
        return Ok(TakenOut::Needed(needs));
    }
    if in_use.of(key.purpose).all.contains(&key.version) {
        keyring_versions::take_out(&mut transaction, key).await?;
        work.record(&mut transaction, Action::TakeKeyOut, key, json!({}))
            .await?;
    }
    transaction.commit().await?;
    Ok(TakenOut::Done)
}

/// The keys in use but this one.
fn others(in_use: &InUse, key: KeyVersion) -> Vec<KeyVersion> {
    let of = |purpose: Purpose| {
        let all = in_use.of(purpose).all.iter();
        all.map(move |&version| KeyVersion { purpose, version })
    };
    let all = Purpose::ALL.into_iter().flat_map(of);
    all.filter(|other| *other != key).collect()
}
