//! Sealing and hashing every stored code anew with the current keys, while calls are served.
//!
//! Page by page in the order of the rows, each in a short transaction of its own. It can end anywhere and begin again: what
//! is made anew already is passed over. Several at once do no harm.

use latchkey_service_kit::database::begin;
use latchkey_service_kit::ids::os_random;
use serde_json::json;
use uuid::Uuid;

use super::{Error, settled};
use crate::app::keyring_status::{Rows, keyring_status};
use crate::app::keyring_work::KeyringWork;
use crate::domain::audit::Action;
use crate::domain::keyring::{
    CodePlace, CurrentKeys, InUse, KeyVersion, Keyring, Lacking, Purpose, Unsealable,
};
use crate::store::keyring_versions;
use crate::store::rotation::{self, CodeRow};

/// How many rows a transaction locks, unless told otherwise: some milliseconds of work.
pub const PAGE: i64 = 500;

/// How often everything is gone through: once, and once more if rows were restored meanwhile.
const PASSES: u32 = 2;

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Rows that were looked at.
    pub seen: u64,
    /// Rows that were made anew.
    pub renewed: u64,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// How far it came.
    pub progress: Progress,
    /// The keys whose rotation was completed by this.
    pub completed: Vec<KeyVersion>,
    /// Rows that are still of older keys, and why that is not known.
    pub left: Vec<Rows>,
}

/// Makes anew what other than the current keys have made, so many rows in a transaction; `on_page` hears of each page. Leaves an audit row for each key
/// whose rotation is complete.
pub async fn rotate_codes(
    work: &KeyringWork,
    rows: i64,
    mut on_page: impl FnMut(Progress),
) -> Result<Rotated, Error> {
    let mut progress = Progress::default();
    for _ in 0..PASSES {
        let mut after = CodePlace {
            key_id: Uuid::nil(),
            generation: 0,
        };
        while let Some(page) = settled(|| renew_page(work, after, rows)).await? {
            after = page.last;
            progress.seen += page.seen;
            progress.renewed += page.renewed;
            on_page(progress);
        }
        // Nothing is stored by other than the current keys since they are current: what is not there now never will be.
        let status = keyring_status(&work.pool).await?;
        let left = left(&status.in_use, &status.rows);
        if left.is_empty() {
            return Ok(Rotated {
                progress,
                completed: settled(|| complete(work, &status.in_use, progress)).await?,
                left,
            });
        }
    }
    let status = keyring_status(&work.pool).await?;
    Ok(Rotated {
        progress,
        completed: Vec::new(),
        left: left(&status.in_use, &status.rows),
    })
}

/// The rows that can be made anew and were not.
fn left(in_use: &InUse, rows: &[Rows]) -> Vec<Rows> {
    let of_codes = |rows: &&Rows| rows.key.purpose != Purpose::Fingerprint;
    let stale = |rows: &&Rows| rows.key.version != in_use.of(rows.key.purpose).current;
    rows.iter()
        .filter(of_codes)
        .filter(stale)
        .copied()
        .collect()
}

/// What one transaction did.
struct Page {
    last: CodePlace,
    seen: u64,
    renewed: u64,
}

async fn renew_page(
    work: &KeyringWork,
    after: CodePlace,
    limit: i64,
) -> Result<Option<Page>, Error> {
    let mut transaction = begin(&work.pool).await?;
    let in_use = keyring_versions::hold(&mut transaction).await?;
    let keys = work.keyring.current(&in_use)?;
    let rows = rotation::page(&mut transaction, after, limit).await?;
    let Some(last) = rows.last().map(|row| row.place) else {
        transaction.rollback().await?;
        return Ok(None);
    };
    let mut renewed = Vec::new();
    for row in &rows {
        if row.hashed.version != in_use.look_up.current || row.sealed.version != in_use.seal.current
        {
            renewed.push(renew(row, &work.keyring, keys)?);
        }
    }
    if renewed.is_empty() {
        transaction.rollback().await?;
    } else {
        rotation::replace(&mut transaction, &renewed).await?;
        transaction.commit().await?;
    }
    Ok(Some(Page {
        last,
        seen: rows.len() as u64,
        renewed: renewed.len() as u64,
    }))
}

/// The same code, made with the current keys.
fn renew(row: &CodeRow, keyring: &Keyring, keys: CurrentKeys<'_>) -> Result<CodeRow, Error> {
    let place = row.place;
    let text = keyring
        .unseal(place, &row.sealed)
        .map_err(|unsealable| match unsealable {
            Unsealable::NoSuchVersion(version) => Error::from(Lacking(KeyVersion {
                purpose: Purpose::Seal,
                version,
            })),
            Unsealable::Damaged => damaged(place, "its sealed code does not open"),
        })?;
    let code =
        latchkey_code::parse(&text).map_err(|_| damaged(place, "what it seals is no code"))?;
    if !keyring.hashes(&code).any(|hashed| hashed == row.hashed) {
        return Err(damaged(place, "its hash is not that of its code"));
    }
    Ok(CodeRow {
        place,
        hashed: keys.hash(&code),
        sealed: keys.seal(place, &text, &mut os_random()),
    })
}

fn damaged(place: CodePlace, how: &str) -> Error {
    let CodePlace { key_id, generation } = place;
    Error::bug(format!(
        "the code of the key {key_id}, generation {generation}, cannot be made anew: {how}"
    ))
}

/// Notes that nothing is left of older keys, which was seen while these versions were in use.
async fn complete(
    work: &KeyringWork,
    seen: &InUse,
    progress: Progress,
) -> Result<Vec<KeyVersion>, Error> {
    let mut transaction = begin(&work.pool).await?;
    let in_use = keyring_versions::lock(&mut transaction).await?;
    let mut completed = Vec::new();
    for purpose in Purpose::ALL {
        let (now, then) = (in_use.of(purpose), seen.of(purpose));
        if now.rotated || now.current != then.current {
            continue;
        }
        let key = KeyVersion {
            purpose,
            version: now.current,
        };
        keyring_versions::set_rotated(&mut transaction, purpose).await?;
        let details = json!({ "codes": progress.seen });
        work.record(&mut transaction, Action::CompleteRotation, key, details)
            .await?;
        completed.push(key);
    }
    transaction.commit().await?;
    Ok(completed)
}
