//! What this schema remembers of the enrollment service's doings, and what of its own could be lost by a restore.

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sqlx::PgPool;
use uuid::Uuid;

use super::super::StoreError;

/// A key, as far as decisions show what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentKey {
    /// The key.
    pub key_id: Uuid,
    /// The generation of its latest code.
    pub generation: i32,
    /// Whether it was revoked, or is an event key that is off.
    pub revoked: bool,
}

/// Every key, by id.
pub fn present_keys(pool: &PgPool) -> BoxStream<'_, Result<PresentKey, StoreError>> {
    sqlx::query_as!(
        PresentKey,
        r#"
        SELECT key_id, generation, revoked_at IS NOT NULL AS "revoked!" FROM keys.training_keys ORDER BY key_id
        "#
    )
    .fetch(pool)
    .map_err(StoreError::from)
    .boxed()
}

/// The ids of all students who ever used a key, in order.
pub fn students(pool: &PgPool) -> BoxStream<'_, Result<Uuid, StoreError>> {
    sqlx::query!("SELECT DISTINCT student_id FROM keys.marks ORDER BY student_id")
        .fetch(pool)
        .map_ok(|row| row.student_id)
        .map_err(StoreError::from)
        .boxed()
}
