//! `enrollment.requests`: what was answered to the request id of a change that leaves no row of its own to find it by.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// A request that was carried out.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The name of the method.
    pub method: String,
    /// The keyed digest of what was asked.
    pub fingerprint: Vec<u8>,
    /// What is needed to answer again.
    pub result: Value,
    /// When it was carried out.
    pub decided_at: DateTime<Utc>,
}

/// What was recorded under `request_id`.
pub async fn find(
    connection: &mut PgConnection,
    request_id: Uuid,
) -> sqlx::Result<Option<Recorded>> {
    sqlx::query_as!(
        Recorded,
        "SELECT method, fingerprint, result, decided_at FROM enrollment.requests WHERE request_id = $1",
        request_id
    )
    .fetch_optional(connection)
    .await
}

/// Records a request. False if another call with the same id was first: then the caller rolls back and looks again.
pub async fn insert(
    connection: &mut PgConnection,
    request_id: Uuid,
    method: &str,
    fingerprint: &[u8],
    result: &Value,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        INSERT INTO enrollment.requests (request_id, method, fingerprint, result)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (request_id) DO NOTHING
        "#,
        request_id,
        method,
        fingerprint,
        result,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
