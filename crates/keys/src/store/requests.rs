//! `keys.requests`: what was answered to a request id.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::keyring::Fingerprint;

/// A request that was carried out.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The keyed digest of what was asked.
    pub fingerprint: Fingerprint,
    /// What is needed to answer again.
    pub result: Value,
}

/// A request to record.
#[derive(Debug)]
pub struct NewRequest<'r> {
    /// The caller's id.
    pub request_id: Uuid,
    /// The organization that owns the grant.
    pub organization_id: Uuid,
    /// The class, pool or profile it was about.
    pub grant_id: Uuid,
    /// The name of the method.
    pub method: &'static str,
    /// The keyed digest of what was asked.
    pub fingerprint: &'r Fingerprint,
    /// What is needed to answer again; never a code.
    pub result: Value,
    /// When it was carried out.
    pub decided_at: DateTime<Utc>,
}

/// What was recorded under `request_id`.
pub async fn find(
    connection: &mut PgConnection,
    request_id: Uuid,
) -> Result<Option<Recorded>, StoreError> {
    let row = sqlx::query!(
        "SELECT fingerprint, fingerprint_version, result FROM keys.requests WHERE request_id = $1",
        request_id
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Recorded {
        fingerprint: Fingerprint {
            bytes: row.fingerprint,
            version: row.fingerprint_version,
        },
        result: row.result,
    }))
}

/// Records a request. False if another call with the same id was first: then the caller rolls back and looks again.
pub async fn insert(
    connection: &mut PgConnection,
    request: NewRequest<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        r#"
        INSERT INTO keys.requests (
            request_id, organization_id, grant_id, method, fingerprint, fingerprint_version, result, decided_at
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (request_id) DO NOTHING
        "#,
        request.request_id,
        request.organization_id,
        request.grant_id,
        request.method,
        &request.fingerprint.bytes,
        request.fingerprint.version,
        request.result,
        request.decided_at,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
