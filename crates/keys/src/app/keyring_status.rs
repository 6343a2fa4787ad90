//! What the keyring's keys are in use for.

use latchkey_service_kit::database::begin;
use sqlx::PgPool;

use super::Error;
use super::watch_keyring::RUNS_FOR_S;
use crate::domain::keyring::InUse;
use crate::store::{keyring_holders, keyring_versions, rotation};

pub use crate::store::keyring_holders::Holder;
pub use crate::store::rotation::Rows;

/// The keys in use: by what, and in which processes.
#[derive(Debug, Clone)]
pub struct KeyringStatus {
    /// The versions in use.
    pub in_use: InUse,
    /// How many rows were made with each version that made any.
    pub rows: Vec<Rows>,
    /// The processes that run, and their keys.
    pub holders: Vec<Holder>,
}

/// What is in use. Counts every code and request there is.
pub async fn keyring_status(pool: &PgPool) -> Result<KeyringStatus, Error> {
    let mut transaction = begin(pool).await?;
    let in_use = keyring_versions::in_use(&mut transaction).await?;
    let holders = keyring_holders::seen_within(&mut transaction, RUNS_FOR_S).await?;
    let rows = rotation::count(&mut transaction).await?;
    transaction.rollback().await?;
    Ok(KeyringStatus {
        in_use,
        rows,
        holders,
    })
}
