//! What this schema remembers of the keys service's doings, for seeing what a restore of its database has lost.

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sqlx::PgPool;
use uuid::Uuid;

/// What recorded decisions say of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenKey {
    /// The key.
    pub key_id: Uuid,
    /// Its kind, as it is stored.
    pub kind: String,
    /// The class, pool or subscription profile it opens.
    pub opens_id: Uuid,
    /// The latest generation of which a code was typed.
    pub generation: i32,
    /// The latest generation whose code was refused because the key was revoked or off.
    pub revoked: Option<i32>,
    /// The latest generation whose code was refused because there was a newer one.
    pub replaced: Option<i32>,
}

/// Every key that a decision was made of, by id.
pub fn seen_keys(pool: &PgPool) -> BoxStream<'_, sqlx::Result<SeenKey>> {
    sqlx::query_as!(
        SeenKey,
        r#"
        SELECT r.key_id AS "key_id!", min(r.key_kind) AS "kind!", 
            (array_agg(coalesce(r.class_id, r.pool_id, r.profile_id)))[1] AS "opens_id!",
            max(r.generation) AS "generation!",
            max(r.generation) FILTER (WHERE r.reason = 'KEY_REVOKED') AS revoked,
            max(r.generation) FILTER (WHERE r.reason = 'CODE_REPLACED') AS replaced
        FROM enrollment.redemptions r
        WHERE r.key_id IS NOT NULL
        GROUP BY r.key_id ORDER BY r.key_id
        "#
    )
    .fetch(pool)
    .boxed()
}

/// The ids of all students, in order.
pub fn students(pool: &PgPool) -> BoxStream<'_, sqlx::Result<Uuid>> {
    sqlx::query!("SELECT student_id FROM enrollment.students ORDER BY student_id")
        .fetch(pool)
        .map_ok(|row| row.student_id)
        .boxed()
}
