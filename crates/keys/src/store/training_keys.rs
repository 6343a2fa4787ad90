//! `keys.training_keys`: enrollment keys, and any key by its id.

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::StoreError;
use super::view::key_views;
use crate::domain::key::TrainingKey;

/// The keys with these ids that a caller may see, the newest first.
pub async fn views(
    connection: &mut PgConnection,
    key_ids: &[Uuid],
    scope: &Scope,
) -> Result<Vec<TrainingKey>, StoreError> {
    let rows = key_views!(
        [r#"
            SELECT k.key_id
            FROM unnest($1::uuid[]) AS n (key_id)
            JOIN LATERAL (SELECT t.* FROM keys.training_keys t WHERE t.key_id = n.key_id LIMIT 1) k ON true
            JOIN keys.grants g ON g.class_id = k.class_id
            LEFT JOIN keys.organizations o ON o.organization_id = k.organization_id
            WHERE g.status <> 'creating'
              AND ($2 OR k.organization_id = $3 OR $3 = ANY (o.ancestor_ids)
                OR (k.kind = 'event' AND $4 = ANY (g.instructors)))
        "#],
        key_ids,
        scope.everything,
        scope.organization as _,
        scope.instructor.as_deref() as _,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(TrainingKey::try_from).collect()
}

/// The key with this id, if a caller may see it.
pub async fn find(
    pool: &PgPool,
    key_id: Uuid,
    scope: &Scope,
) -> Result<Option<TrainingKey>, StoreError> {
    let mut connection = pool.acquire().await?;
    Ok(views(&mut connection, &[key_id], scope).await?.pop())
}

/// Enrollment keys to make, all of one class.
#[derive(Debug)]
pub struct NewKeys<'k> {
    /// The class they open.
    pub class_id: Uuid,
    /// The organization that owns it.
    pub organization_id: Uuid,
    /// The request that makes them.
    pub batch_id: Uuid,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Who makes them.
    pub created_by: &'k str,
    /// Their ids.
    pub key_ids: &'k [Uuid],
    /// Their codes, masked.
    pub masked_codes: &'k [String],
}

/// Makes enrollment keys.
pub async fn insert(connection: &mut PgConnection, keys: &NewKeys<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        INSERT INTO keys.training_keys (
            key_id, kind, organization_id, class_id, batch_id, generation, masked_code, created_at, created_by
        )
        SELECT n.key_id, 'enrollment', $1, $2, $3, 1, n.masked_code, $4, $5
        FROM unnest($6::uuid[], $7::text[]) AS n (key_id, masked_code)
        "#,
        keys.organization_id,
        keys.class_id,
        keys.batch_id,
        keys.created_at,
        keys.created_by,
        keys.key_ids,
        keys.masked_codes,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Locks the enrollment keys among these ids that a caller may change; returns their ids.
pub async fn lock(
    connection: &mut PgConnection,
    key_ids: &[Uuid],
    scope: &Scope,
) -> Result<Vec<Uuid>, StoreError> {
    let locked = sqlx::query_scalar!(
        r#"
        SELECT k.key_id
        FROM keys.training_keys k
        JOIN keys.grants g ON g.class_id = k.class_id
        LEFT JOIN keys.organizations o ON o.organization_id = k.organization_id
        WHERE k.key_id = ANY ($1) AND k.kind = 'enrollment' AND g.status <> 'creating'
          AND ($2 OR k.organization_id = $3 OR $3 = ANY (o.ancestor_ids))
        ORDER BY k.key_id
        FOR NO KEY UPDATE OF k
        "#,
        key_ids,
        scope.everything,
        scope.organization,
    )
    .fetch_all(connection)
    .await?;
    Ok(locked)
}

/// A key that was revoked just now.
#[derive(Debug, Clone, Copy)]
pub struct Revoked {
    /// The key.
    pub key_id: Uuid,
    /// The class it opened.
    pub class_id: Uuid,
    /// The organization that owns it.
    pub organization_id: Uuid,
}

/// Revokes those of these keys that are not revoked yet; returns them by id.
pub async fn revoke(
    connection: &mut PgConnection,
    key_ids: &[Uuid],
    by: &str,
    reason: &str,
) -> Result<Vec<Revoked>, StoreError> {
    let mut revoked = sqlx::query_as!(
        Revoked,
        r#"
        UPDATE keys.training_keys
        SET revoked_at = statement_timestamp(), revoked_by = $2, revoke_reason = $3
        WHERE key_id = ANY ($1) AND revoked_at IS NULL
        RETURNING key_id, class_id, organization_id
        "#,
        key_ids,
        by,
        reason,
    )
    .fetch_all(connection)
    .await?;
    revoked.sort_unstable_by_key(|key| key.key_id);
    Ok(revoked)
}

/// The enrollment keys of a class by state. `generated` is counted apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCount {
    /// The class.
    pub class_id: Uuid,
    /// All that were ever generated.
    pub generated: i64,
    /// In use.
    pub redeemed: i64,
    /// Not in use, revoked.
    pub revoked: i64,
    /// Not in use, not revoked, out of time.
    pub expired: i64,
    /// Can be used.
    pub available: i64,
}

/// Counts the enrollment keys of classes at one instant; classes without keys are left out.
pub async fn count(pool: &PgPool, class_ids: &[Uuid]) -> Result<Vec<KeyCount>, StoreError> {
    let counts = sqlx::query_as!(
        KeyCount,
        r#"
        SELECT s.class_id AS "class_id!",
            count(*) AS "generated!",
            count(*) FILTER (WHERE s.state = 'redeemed') AS "redeemed!",
            count(*) FILTER (WHERE s.state = 'revoked') AS "revoked!",
            count(*) FILTER (WHERE s.state = 'expired') AS "expired!",
            count(*) FILTER (WHERE s.state = 'available') AS "available!"
        FROM (
            SELECT k.class_id, keys.key_state(
                k.kind, EXISTS (SELECT FROM keys.marks m WHERE m.key_id = k.key_id AND m.released_at IS NULL),
                k.revoked_at, g.status, g.ends_at, g.event_key_until, statement_timestamp()) AS state
            FROM keys.training_keys k
            JOIN keys.grants g ON g.class_id = k.class_id
            WHERE k.class_id = ANY ($1) AND k.kind = 'enrollment'
        ) s
        GROUP BY s.class_id
        "#,
        class_ids,
    )
    .fetch_all(pool)
    .await?;
    Ok(counts)
}
