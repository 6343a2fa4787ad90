//! `keys.marks`: a copy of the uses that the enrollment service decided.

pub mod planted;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::StoreError;

/// A use of a key, live or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The redemption.
    pub redemption_id: Uuid,
    /// The key it used.
    pub key_id: Uuid,
    /// The student.
    pub student_id: Uuid,
    /// The generation of the code.
    pub generation: i32,
    /// When it was decided.
    pub redeemed_at: DateTime<Utc>,
    /// When it was given up; `None` while live.
    pub released_at: Option<DateTime<Utc>>,
}

/// What recording uses came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The ids of keys that do not exist.
    pub unknown: Vec<Uuid>,
    /// How many uses were news: recorded for the first time, or given up only now.
    pub new: i64,
}

/// Records uses, each pair of redemption and key at most once. A pair that is there already stays as it is, except that
/// a use with `released_at` ends a live one: so marks and releases may come in any order and any number.
///
/// Nothing is recorded for keys that do not exist.
pub async fn record(connection: &mut PgConnection, marks: &[Mark]) -> Result<Recorded, StoreError> {
    let redemption_ids: Vec<Uuid> = marks.iter().map(|mark| mark.redemption_id).collect();
    let key_ids: Vec<Uuid> = marks.iter().map(|mark| mark.key_id).collect();
    let student_ids: Vec<Uuid> = marks.iter().map(|mark| mark.student_id).collect();
    let generations: Vec<i32> = marks.iter().map(|mark| mark.generation).collect();
    let redeemed_at: Vec<DateTime<Utc>> = marks.iter().map(|mark| mark.redeemed_at).collect();
    let released_at: Vec<Option<DateTime<Utc>>> =
        marks.iter().map(|mark| mark.released_at).collect();
    let recorded = sqlx::query_as!(
        Recorded,
        r#"
        WITH input AS (
            SELECT n.*, k.organization_id
            FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::timestamptz[], $6::timestamptz[])
                AS n (redemption_id, key_id, student_id, generation, redeemed_at, released_at)
            LEFT JOIN LATERAL (
                SELECT t.organization_id FROM keys.training_keys t WHERE t.key_id = n.key_id LIMIT 1
            ) k ON true
        ), recorded AS (
            INSERT INTO keys.marks AS m (
                redemption_id, key_id, organization_id, student_id, generation, redeemed_at, released_at
            )
            SELECT redemption_id, key_id, organization_id, student_id, generation, redeemed_at, released_at
            FROM input
            WHERE organization_id IS NOT NULL
            ORDER BY redemption_id, key_id
            ON CONFLICT (redemption_id, key_id) DO UPDATE SET released_at = excluded.released_at
            WHERE m.released_at IS NULL AND excluded.released_at IS NOT NULL
            RETURNING 1
        )
        SELECT ARRAY(SELECT DISTINCT key_id FROM input WHERE organization_id IS NULL ORDER BY 1) AS "unknown!",
            (SELECT count(*) FROM recorded) AS "new!"
        "#,
        &redemption_ids,
        &key_ids,
        &student_ids,
        &generations,
        &redeemed_at,
        &released_at as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(recorded)
}

/// How many students use a key.
pub async fn live(connection: &mut PgConnection, key_id: Uuid) -> Result<i64, StoreError> {
    let live = sqlx::query_scalar!(
        r#"SELECT count(*) AS "live!" FROM keys.marks WHERE key_id = $1 AND released_at IS NULL"#,
        key_id
    )
    .fetch_one(connection)
    .await?;
    Ok(live)
}

/// Where a page of marks begins: behind this pair of redemption and key.
pub type After = (Uuid, Uuid);

/// Uses in the order of redemption and key, behind `after`, at most `limit`; of one class only if it is given.
pub async fn page(
    pool: &PgPool,
    class_id: Option<Uuid>,
    after: Option<After>,
    limit: i64,
) -> Result<Vec<Mark>, StoreError> {
    let (redemption_id, key_id) = after.unwrap_or((Uuid::nil(), Uuid::nil()));
    let marks = if let Some(class_id) = class_id {
        sqlx::query_as!(
            Mark,
            r#"
            SELECT m.redemption_id, m.key_id, m.student_id, m.generation, m.redeemed_at, m.released_at
            FROM keys.training_keys k JOIN keys.marks m ON m.key_id = k.key_id
            WHERE k.grant_id = $1 AND (m.redemption_id, m.key_id) > ($2, $3)
            ORDER BY m.redemption_id, m.key_id
            LIMIT $4
            "#,
            class_id,
            redemption_id,
            key_id,
            limit,
        )
        .fetch_all(pool)
        .await?
    } else {
        sqlx::query_as!(
            Mark,
            r#"
            SELECT redemption_id, key_id, student_id, generation, redeemed_at, released_at
            FROM keys.marks
            WHERE (redemption_id, key_id) > ($1, $2)
            ORDER BY redemption_id, key_id
            LIMIT $3
            "#,
            redemption_id,
            key_id,
            limit,
        )
        .fetch_all(pool)
        .await?
    };
    Ok(marks)
}
