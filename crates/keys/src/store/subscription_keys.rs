//! `keys.subscription_keys`: the terms of subscription keys, each row beside that of its key.

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::subscription::{Terms, VersionedTerms};

/// Gives new keys their terms, the same to all.
pub async fn insert(
    connection: &mut PgConnection,
    organization_id: Uuid,
    key_ids: &[Uuid],
    terms: Terms,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        INSERT INTO keys.subscription_keys (key_id, organization_id, max_uses, expires_at, content_expires_at)
        SELECT n.key_id, $1, $3, $4, $5
        FROM unnest($2::uuid[]) AS n (key_id)
        "#,
        organization_id,
        key_ids,
        terms.max_uses,
        terms.expires_at,
        terms.content_expires_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The terms of a key, locked.
#[derive(Debug, Clone, Copy)]
pub struct Locked {
    /// The organization that owns the key.
    pub organization_id: Uuid,
    /// The terms.
    pub present: VersionedTerms,
}

/// Locks the terms of a key against every other change; `None` if no subscription key has this id, or not for this caller.
pub async fn lock(
    connection: &mut PgConnection,
    key_id: Uuid,
    scope: &Scope,
) -> Result<Option<Locked>, StoreError> {
    let row = sqlx::query!(
        r#"
        SELECT s.organization_id, s.max_uses, s.expires_at, s.content_expires_at, s.version
        FROM keys.subscription_keys s
        LEFT JOIN keys.organizations o ON o.organization_id = s.organization_id
        WHERE s.key_id = $1 AND ($2 OR s.organization_id = $3 OR $3 = ANY (o.ancestor_ids))
        FOR NO KEY UPDATE OF s
        "#,
        key_id,
        scope.everything,
        scope.organization,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Locked {
        organization_id: row.organization_id,
        present: VersionedTerms {
            terms: Terms {
                max_uses: row.max_uses,
                expires_at: row.expires_at,
                content_expires_at: row.content_expires_at,
            },
            version: row.version,
        },
    }))
}

/// Stores the terms of a key as they are after a change. They are locked, and `present` has the next version.
pub async fn update(
    connection: &mut PgConnection,
    key_id: Uuid,
    present: VersionedTerms,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        UPDATE keys.subscription_keys SET max_uses = $2, expires_at = $3, content_expires_at = $4, version = $5
        WHERE key_id = $1
        "#,
        key_id,
        present.terms.max_uses,
        present.terms.expires_at,
        present.terms.content_expires_at,
        present.version,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What a decision about a subscription key needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The terms.
    pub terms: Terms,
    /// Of a key with a limit: how many uses of it were ever recorded, those that were given up included.
    pub recorded_uses: i64,
    /// Those of them that were not given up.
    pub recorded_live_uses: i64,
}

struct FactsRow {
    key_id: Uuid,
    max_uses: Option<i32>,
    expires_at: Option<DateTime<Utc>>,
    content_expires_at: Option<DateTime<Utc>>,
    recorded_uses: i64,
    recorded_live_uses: i64,
}

/// The facts of those of the keys `key_ids` that are subscription keys.
pub async fn facts(
    connection: &mut PgConnection,
    key_ids: &[Uuid],
) -> Result<Vec<(Uuid, Facts)>, StoreError> {
    let rows = sqlx::query_as!(
        FactsRow,
        r#"
        SELECT s.key_id, s.max_uses, s.expires_at, s.content_expires_at, m.uses AS "recorded_uses!",
            m.live AS "recorded_live_uses!"
        FROM unnest($1::uuid[]) AS n (key_id)
        JOIN LATERAL (SELECT x.* FROM keys.subscription_keys x WHERE x.key_id = n.key_id LIMIT 1) s ON true
        CROSS JOIN LATERAL (
            SELECT count(*) AS uses, count(*) FILTER (WHERE y.released_at IS NULL) AS live
            FROM keys.marks y WHERE s.max_uses IS NOT NULL AND y.key_id = s.key_id
        ) m
        "#,
        key_ids,
    )
    .fetch_all(connection)
    .await?;
    let facts = rows.into_iter().map(|row| {
        let terms = Terms {
            max_uses: row.max_uses,
            expires_at: row.expires_at,
            content_expires_at: row.content_expires_at,
        };
        let (recorded_uses, recorded_live_uses) = (row.recorded_uses, row.recorded_live_uses);
        (
            row.key_id,
            Facts {
                terms,
                recorded_uses,
                recorded_live_uses,
            },
        )
    });
    Ok(facts.collect())
}
