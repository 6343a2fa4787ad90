//! `keys.keyring_holders`: which keys each running process has in memory.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use crate::domain::keyring::{HeldKey, KeyVersion, Purpose};

/// A process of the service and its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process, until it ends.
    pub replica_id: Uuid,
    /// Where it listens.
    pub address: String,
    /// The keys it has in memory.
    pub holds: Vec<HeldKey>,
}

/// A [`HeldKey`] as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    purpose: String,
    version: i16,
    digest: String,
}

/// Records what a process holds, as of now, and forgets those that were not seen for so many seconds.
pub async fn put(
    connection: &mut PgConnection,
    holder: &Holder,
    forgotten_after_s: f64,
) -> Result<(), StoreError> {
    let holds: Vec<Stored> = holder
        .holds
        .iter()
        .map(|held| Stored {
            purpose: held.key.purpose.name().to_owned(),
            version: held.key.version,
            digest: held.digest.clone(),
        })
        .collect();
    sqlx::query!(
        r#"
        INSERT INTO keys.keyring_holders (replica_id, address, holds, seen_at)
        VALUES ($1, $2, $3, clock_timestamp())
        ON CONFLICT (replica_id) DO UPDATE SET address = excluded.address, holds = excluded.holds, seen_at = excluded.seen_at
        "#,
        holder.replica_id,
        holder.address,
        Json(holds) as _,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM keys.keyring_holders WHERE seen_at < clock_timestamp() - make_interval(secs => $1)",
        forgotten_after_s,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets a process, which ends.
pub async fn remove(connection: &mut PgConnection, replica_id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM keys.keyring_holders WHERE replica_id = $1",
        replica_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The processes that were seen within so many seconds, by address.
pub async fn seen_within(
    connection: &mut PgConnection,
    seconds: f64,
) -> Result<Vec<Holder>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT replica_id, address, holds AS "holds: Json<Vec<Stored>>" FROM keys.keyring_holders
        WHERE seen_at >= clock_timestamp() - make_interval(secs => $1)
        ORDER BY address, replica_id
        "#,
        seconds,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let held = |stored: Stored| {
                let purpose = Purpose::from_name(&stored.purpose).ok_or_else(|| {
                    StoreError::bad_row("keys.keyring_holders", "holds", row.replica_id)
                })?;
                let version = stored.version;
                Ok(HeldKey {
                    key: KeyVersion { purpose, version },
                    digest: stored.digest,
                })
            };
            Ok(Holder {
                replica_id: row.replica_id,
                address: row.address,
                holds: row
                    .holds
                    .0
                    .into_iter()
                    .map(held)
                    .collect::<Result<_, StoreError>>()?,
            })
        })
        .collect()
}
