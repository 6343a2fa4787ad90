//! `keys.batches`: how far each generation of keys has come. Written under the lock of its grant only.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::StoreError;
use super::view::key_views;
use crate::domain::generation::{Batch, Census};
use crate::domain::grant::Grant;
use crate::domain::key::TrainingKey;

struct Row {
    wanted: i32,
    made: i32,
    last_key_id: Uuid,
    grant_version: i64,
    reserved_until: DateTime<Utc>,
    told: Value,
}

impl Row {
    fn into_batch(self, batch_id: Uuid) -> Result<Batch, StoreError> {
        let summary = serde_json::from_value(self.told)
            .map_err(|_| StoreError::bad_row("keys.batches", "told", batch_id))?;
        Ok(Batch {
            batch_id,
            wanted: self.wanted,
            made: self.made,
            last_key_id: self.last_key_id,
            grant_version: self.grant_version,
            reserved_until: self.reserved_until,
            summary,
        })
    }
}

fn told(batch: &Batch) -> Result<Value, StoreError> {
    serde_json::to_value(&batch.summary)
        .map_err(|_| StoreError::bad_row("keys.batches", "told", batch.batch_id))
}

/// The generation that the request `batch_id` began.
pub async fn find(
    connection: &mut PgConnection,
    batch_id: Uuid,
) -> Result<Option<Batch>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"
        SELECT wanted, made, last_key_id, grant_version, reserved_until, told FROM keys.batches WHERE batch_id = $1
        "#,
        batch_id
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| row.into_batch(batch_id)).transpose()
}

/// Stores a generation with its first keys.
pub async fn insert(
    connection: &mut PgConnection,
    batch: &Batch,
    grant: &Grant,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        INSERT INTO keys.batches (
            batch_id, organization_id, grant_id, wanted, made, last_key_id, grant_version, reserved_until, told
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        "#,
        batch.batch_id,
        grant.organization_id,
        grant.grant_id,
        batch.wanted,
        batch.made,
        batch.last_key_id,
        batch.grant_version,
        batch.reserved_until,
        told(batch)?,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores how far a generation has come.
pub async fn update(connection: &mut PgConnection, batch: &Batch) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        UPDATE keys.batches
        SET made = $2, last_key_id = $3, grant_version = $4, reserved_until = $5, told = $6
        WHERE batch_id = $1
        "#,
        batch.batch_id,
        batch.made,
        batch.last_key_id,
        batch.grant_version,
        batch.reserved_until,
        told(batch)?,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps no more room for what is missing of a generation.
pub async fn give_back(connection: &mut PgConnection, batch_id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        UPDATE keys.batches SET reserved_until = least(reserved_until, clock_timestamp()) WHERE batch_id = $1
        "#,
        batch_id
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Counts what of a grant's maximum is taken, apart from what the generation `batch_id` has reserved. To be asked after the
/// grant is locked.
pub async fn census(
    connection: &mut PgConnection,
    grant_id: Uuid,
    batch_id: Uuid,
) -> Result<Census, StoreError> {
    let census = sqlx::query_as!(
        Census,
        r#"
        SELECT
            (SELECT count(*) FROM keys.training_keys
             WHERE grant_id = $1 AND kind <> 'event' AND revoked_at IS NULL) AS "live!",
            (SELECT coalesce(sum(wanted - made), 0)::bigint FROM keys.batches
             WHERE grant_id = $1 AND made < wanted AND batch_id <> $2 AND reserved_until > clock_timestamp()) AS "reserved!"
        "#,
        grant_id,
        batch_id,
    )
    .fetch_one(connection)
    .await?;
    Ok(census)
}

/// Keys of a generation with greater ids than `after`, at most `limit`, in the order of their ids.
pub async fn keys(
    pool: &PgPool,
    batch_id: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<TrainingKey>, StoreError> {
    // Compared and sorted as pairs, although there is one batch: so that no other index seems as good.
    let rows = key_views!(
        [r#"
            SELECT k.key_id FROM keys.training_keys k
            WHERE (k.batch_id, k.key_id) > ($1, $2) AND k.batch_id <= $1 AND k.kind <> 'event'
            ORDER BY k.batch_id, k.key_id LIMIT $3
        "#],
        batch_id,
        after,
        limit,
    )
    .fetch_all(pool)
    .await?;
    // A view is read newest first.
    rows.into_iter().rev().map(TrainingKey::try_from).collect()
}
