//! `keys.training_keys`: the event key of a class.

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::StoreError;
use super::grants::Admission;
use crate::domain::event_key::{EventKey, Present};
use crate::domain::keyring::HASH_LENGTH;

/// Locks the event key of a class, if it ever had one. The grant is locked before, so that none appears meanwhile.
pub async fn lock(
    connection: &mut PgConnection,
    class_id: Uuid,
) -> Result<Option<Present>, StoreError> {
    let present = sqlx::query_as!(
        Present,
        r#"
        SELECT key_id, generation, version, revoked_at IS NULL AS "enabled!"
        FROM keys.training_keys WHERE grant_id = $1 AND kind = 'event'
        FOR NO KEY UPDATE
        "#,
        class_id
    )
    .fetch_optional(connection)
    .await?;
    Ok(present)
}

/// What a change is decided on, besides the locked rows. To be asked after the locks.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// Whether the wished text is the key's present code.
    pub is_present: bool,
}

/// Reads the clock, and whether the code of one of `hashes` (none: no text is wished) is the latest of `present`.
pub async fn facts(
    connection: &mut PgConnection,
    present: Option<&Present>,
    hashes: &[[u8; HASH_LENGTH]],
) -> Result<Facts, StoreError> {
    let facts = sqlx::query_as!(
        Facts,
        r#"
        SELECT clock_timestamp() AS "now!", EXISTS (
            SELECT FROM keys.codes WHERE key_id = $1 AND generation = $2 AND hash = ANY ($3)
        ) AS "is_present!"
        "#,
        present.map(|key| key.key_id),
        present.map(|key| key.generation),
        hashes as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(facts)
}

/// An event key as it stands after a new code was issued.
#[derive(Debug)]
pub struct Issued<'k> {
    /// Its id.
    pub key_id: Uuid,
    /// The class it opens.
    pub class_id: Uuid,
    /// The organization that owns it.
    pub organization_id: Uuid,
    /// The request that made the change.
    pub request_id: Uuid,
    /// The generation of the code.
    pub generation: i32,
    /// The version.
    pub version: i64,
    /// The code, masked.
    pub masked_code: &'k str,
    /// Whether it is a text of one's own.
    pub own_code: bool,
    /// When.
    pub now: DateTime<Utc>,
    /// By whom.
    pub by: &'k str,
}

/// Makes an event key, or turns it on with another code.
pub async fn put(connection: &mut PgConnection, key: &Issued<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        INSERT INTO keys.training_keys (
            key_id, kind, organization_id, grant_id, batch_id, generation, masked_code, own_code, created_at, created_by,
            version
        )
        VALUES ($1, 'event', $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (key_id) DO UPDATE
        SET generation = excluded.generation, masked_code = excluded.masked_code, own_code = excluded.own_code,
            version = excluded.version, revoked_at = NULL, revoked_by = NULL, revoke_reason = NULL
        "#,
        key.key_id,
        key.organization_id,
        key.class_id,
        key.request_id,
        key.generation,
        key.masked_code,
        key.own_code,
        key.now,
        key.by,
        key.version,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Turns an event key off.
pub async fn turn_off(
    connection: &mut PgConnection,
    key_id: Uuid,
    version: i64,
    now: DateTime<Utc>,
    by: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        UPDATE keys.training_keys
        SET revoked_at = $2, revoked_by = $3, revoke_reason = '', version = $4
        WHERE key_id = $1
        "#,
        key_id,
        now,
        by,
        version,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The event key of a class as people see it; `None` if there is no such class, or not for this caller.
pub async fn view(
    connection: &mut PgConnection,
    class_id: Uuid,
    admission: Admission<'_>,
) -> Result<Option<EventKey>, StoreError> {
    let nowhere = Scope::default();
    let (every, scope) = match admission {
        Admission::Within(scope) => (false, scope),
        Admission::Every => (true, &nowhere),
    };
    let key = sqlx::query_as!(
        EventKey,
        r#"
        SELECT g.grant_id AS class_id, k.key_id AS "key_id?", coalesce(k.revoked_at IS NULL AND k.key_id IS NOT NULL, false) AS "enabled!",
            coalesce(k.generation, 0) AS "generation!",
            CASE WHEN k.revoked_at IS NULL THEN coalesce(k.masked_code, '') ELSE '' END AS "masked_code!",
            coalesce(k.own_code AND k.revoked_at IS NULL, false) AS "own_code!",
            CASE WHEN k.revoked_at IS NULL AND p.valid_until > clock_timestamp() THEN p.valid_until END
                AS previous_code_valid_until,
            g.event_key_until AS "redeemable_until!", c.uses AS "use_count!", coalesce(k.version, 0) AS "version!"
        FROM keys.grants g
        LEFT JOIN keys.organizations o ON o.organization_id = g.organization_id
        LEFT JOIN keys.training_keys k ON k.grant_id = g.grant_id AND k.kind = 'event'
        LEFT JOIN keys.codes p ON p.key_id = k.key_id AND p.generation = k.generation - 1
        CROSS JOIN LATERAL (
            SELECT count(*) AS uses FROM keys.marks m WHERE m.key_id = k.key_id AND m.released_at IS NULL
        ) c
        WHERE g.grant_id = $1 AND g.kind = 'class'
          AND ($2 OR (g.status <> 'creating'
            AND ($3 OR g.organization_id = $4 OR $4 = ANY (o.ancestor_ids) OR $5 = ANY (g.instructors))))
        "#,
        class_id,
        every,
        scope.everything,
        scope.organization,
        scope.instructor,
    )
    .fetch_optional(connection)
    .await?;
    Ok(key)
}

/// As [`view`], outside a transaction.
pub async fn find(
    pool: &PgPool,
    class_id: Uuid,
    scope: &Scope,
) -> Result<Option<EventKey>, StoreError> {
    let mut connection = pool.acquire().await?;
    view(&mut connection, class_id, Admission::Within(scope)).await
}
