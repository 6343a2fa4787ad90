//! `keys.pools`, each row with that of its grant.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{StoreError, grants};
use crate::domain::pool::{KeyPool, PoolSettings};

struct PoolRow {
    pool_id: Uuid,
    organization_id: Uuid,
    name: String,
    course_id: String,
    course_name: String,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    availability_seconds: i32,
    open_to_descendants: bool,
    created_at: DateTime<Utc>,
    created_by: String,
    version: i64,
}

impl From<PoolRow> for KeyPool {
    fn from(row: PoolRow) -> Self {
        Self {
            pool_id: row.pool_id,
            organization_id: row.organization_id,
            settings: PoolSettings {
                name: row.name,
                course_id: row.course_id,
                course_name: row.course_name,
                starts_at: row.starts_at,
                expires_at: row.ends_at,
                availability: TimeDelta::seconds(row.availability_seconds.into()),
                open_to_descendants: row.open_to_descendants,
            },
            created_at: row.created_at,
            created_by: row.created_by,
            version: row.version,
        }
    }
}

/// The availability in seconds: the rules keep it far below what they hold.
fn seconds(settings: &PoolSettings) -> i32 {
    i32::try_from(settings.availability.num_seconds()).unwrap_or(i32::MAX)
}

/// Stores a new pool.
pub async fn insert(connection: &mut PgConnection, pool: &KeyPool) -> Result<(), StoreError> {
    grants::put(connection, &[pool.grant()]).await?;
    sqlx::query!(
        r#"
        INSERT INTO keys.pools (
            pool_id, organization_id, course_id, course_name, availability_seconds, open_to_descendants, created_at, created_by
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        "#,
        pool.pool_id,
        pool.organization_id,
        pool.settings.course_id,
        pool.settings.course_name,
        seconds(&pool.settings),
        pool.settings.open_to_descendants,
        pool.created_at,
        pool.created_by,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores a pool as it is after a change. Its grant is locked, and `pool` has the next version.
pub async fn update(connection: &mut PgConnection, pool: &KeyPool) -> Result<(), StoreError> {
    grants::put(connection, &[pool.grant()]).await?;
    sqlx::query!(
        r#"
        UPDATE keys.pools
        SET course_id = $2, course_name = $3, availability_seconds = $4, open_to_descendants = $5
        WHERE pool_id = $1
        "#,
        pool.pool_id,
        pool.settings.course_id,
        pool.settings.course_name,
        seconds(&pool.settings),
        pool.settings.open_to_descendants,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The pool with this id, if a caller may see it.
pub async fn find(
    connection: &mut PgConnection,
    pool_id: Uuid,
    scope: &Scope,
) -> Result<Option<KeyPool>, StoreError> {
    let row = sqlx::query_as!(
        PoolRow,
        r#"
        SELECT p.pool_id, p.organization_id, g.name, p.course_id, p.course_name, g.starts_at AS "starts_at!", g.ends_at AS "ends_at!",
            p.availability_seconds, p.open_to_descendants, p.created_at, p.created_by, g.version
        FROM keys.pools p
        JOIN keys.grants g ON g.grant_id = p.pool_id
        LEFT JOIN keys.organizations o ON o.organization_id = p.organization_id
        WHERE p.pool_id = $1 AND ($2 OR p.organization_id = $3 OR $3 = ANY (o.ancestor_ids))
        "#,
        pool_id,
        scope.everything,
        scope.organization,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(KeyPool::from))
}

/// Those of the pools `pool_ids` that exist, for the enrollment service.
pub async fn find_all(
    connection: &mut PgConnection,
    pool_ids: &[Uuid],
) -> Result<Vec<KeyPool>, StoreError> {
    let rows = sqlx::query_as!(
        PoolRow,
        r#"
        SELECT p.pool_id, p.organization_id, g.name, p.course_id, p.course_name, g.starts_at AS "starts_at!", g.ends_at AS "ends_at!",
            p.availability_seconds, p.open_to_descendants, p.created_at, p.created_by, g.version
        FROM unnest($1::uuid[]) AS n (pool_id)
        JOIN LATERAL (SELECT x.* FROM keys.pools x WHERE x.pool_id = n.pool_id LIMIT 1) p ON true
        JOIN LATERAL (SELECT y.* FROM keys.grants y WHERE y.grant_id = n.pool_id LIMIT 1) g ON true
        "#,
        pool_ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(KeyPool::from).collect())
}

/// Pools of these organizations, the newest first, older than the pool `after`, at most `limit`.
pub async fn page(
    pool: &PgPool,
    organization_ids: &[Uuid],
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<KeyPool>, StoreError> {
    // The newest of each organization, then the newest of those.
    let rows = sqlx::query_as!(
        PoolRow,
        r#"
        SELECT p.pool_id, p.organization_id, g.name, p.course_id, p.course_name, g.starts_at AS "starts_at!", g.ends_at AS "ends_at!",
            p.availability_seconds, p.open_to_descendants, p.created_at, p.created_by, g.version
        FROM unnest($1::uuid[]) AS r (organization_id)
        CROSS JOIN LATERAL (
            SELECT x.* FROM keys.pools x WHERE x.organization_id = r.organization_id AND x.pool_id < $2
            ORDER BY x.pool_id DESC LIMIT $3
        ) p
        JOIN LATERAL (SELECT y.* FROM keys.grants y WHERE y.grant_id = p.pool_id LIMIT 1) g ON true
        ORDER BY p.pool_id DESC LIMIT $3
        "#,
        organization_ids,
        after.unwrap_or(Uuid::max()),
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(KeyPool::from).collect())
}
