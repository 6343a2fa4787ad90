//! `keys.training_keys`: keys that are made in numbers, and any key by its id.

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::view::key_views;
use super::{StoreError, subscription_keys};
use crate::domain::key::{KeyKind, TrainingKey};
use crate::domain::subscription::Terms;

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
            JOIN keys.grants g ON g.grant_id = k.grant_id
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

/// Keys to make, all of one class, pool or profile.
#[derive(Debug)]
pub struct NewKeys<'k> {
    /// Their kind.
    pub kind: KeyKind,
    /// Whether their codes are texts of one's own.
    pub own_codes: bool,
    /// What they open.
    pub grant_id: Uuid,
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
    /// The terms of subscription keys.
    pub terms: Option<Terms>,
}

/// Makes keys.
pub async fn insert(connection: &mut PgConnection, keys: &NewKeys<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        INSERT INTO keys.training_keys (
            key_id, kind, organization_id, grant_id, batch_id, generation, masked_code, own_code, created_at,
            created_by
        )
        SELECT n.key_id, $8, $1, $2, $3, 1, n.masked_code, $9, $4, $5
        FROM unnest($6::uuid[], $7::text[]) AS n (key_id, masked_code)
        "#,
        keys.organization_id,
        keys.grant_id,
        keys.batch_id,
        keys.created_at,
        keys.created_by,
        keys.key_ids,
        keys.masked_codes,
        keys.kind.as_text(),
        keys.own_codes,
    )
    .execute(&mut *connection)
    .await?;
    if let Some(terms) = keys.terms {
        subscription_keys::insert(connection, keys.organization_id, keys.key_ids, terms).await?;
    }
    Ok(())
}

/// Locks the keys among these ids that a caller may change, without event keys; returns their ids.
pub async fn lock(
    connection: &mut PgConnection,
    key_ids: &[Uuid],
    scope: &Scope,
) -> Result<Vec<Uuid>, StoreError> {
    let locked = sqlx::query_scalar!(
        r#"
        SELECT k.key_id
        FROM keys.training_keys k
        JOIN keys.grants g ON g.grant_id = k.grant_id
        LEFT JOIN keys.organizations o ON o.organization_id = k.organization_id
        WHERE k.key_id = ANY ($1) AND k.kind <> 'event' AND g.status <> 'creating'
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
    /// Its kind.
    pub kind: KeyKind,
    /// What it opened.
    pub grant_id: Uuid,
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
    let rows = sqlx::query!(
        r#"
        UPDATE keys.training_keys
        SET revoked_at = statement_timestamp(), revoked_by = $2, revoke_reason = $3
        WHERE key_id = ANY ($1) AND revoked_at IS NULL
        RETURNING key_id, kind, grant_id, organization_id
        "#,
        key_ids,
        by,
        reason,
    )
    .fetch_all(connection)
    .await?;
    let revoked = rows.into_iter().map(|row| {
        Ok(Revoked {
            key_id: row.key_id,
            kind: kind(&row.kind, row.key_id)?,
            grant_id: row.grant_id,
            organization_id: row.organization_id,
        })
    });
    let mut revoked = revoked.collect::<Result<Vec<_>, StoreError>>()?;
    revoked.sort_unstable_by_key(|key| key.key_id);
    Ok(revoked)
}

/// The kind that the row of a key holds as `text`.
pub(super) fn kind(text: &str, key_id: Uuid) -> Result<KeyKind, StoreError> {
    KeyKind::from_text(text)
        .ok_or_else(|| StoreError::bad_row("keys.training_keys", "kind", key_id))
}

/// The keys of a class or pool for one student each, by state. `generated` is counted apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCount {
    /// The class or pool.
    pub grant_id: Uuid,
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

/// Counts the keys of classes and pools for one student each, at one instant; those without any are left out.
pub async fn count(pool: &PgPool, grant_ids: &[Uuid]) -> Result<Vec<KeyCount>, StoreError> {
    let counts = sqlx::query_as!(
        KeyCount,
        r#"
        SELECT s.grant_id AS "grant_id!",
            count(*) AS "generated!",
            count(*) FILTER (WHERE s.state = 'redeemed') AS "redeemed!",
            count(*) FILTER (WHERE s.state = 'revoked') AS "revoked!",
            count(*) FILTER (WHERE s.state = 'expired') AS "expired!",
            count(*) FILTER (WHERE s.state = 'available') AS "available!"
        FROM (
            SELECT k.grant_id, keys.key_state(
                k.kind, (SELECT count(*) FROM keys.marks m WHERE m.key_id = k.key_id AND m.released_at IS NULL),
                k.revoked_at, g.status, g.ends_at, g.event_key_until, NULL, NULL, NULL, statement_timestamp()) AS state
            FROM keys.training_keys k
            JOIN keys.grants g ON g.grant_id = k.grant_id
            WHERE k.grant_id = ANY ($1) AND k.kind IN ('enrollment', 'pool')
        ) s
        GROUP BY s.grant_id
        "#,
        grant_ids,
    )
    .fetch_all(pool)
    .await?;
    Ok(counts)
}
