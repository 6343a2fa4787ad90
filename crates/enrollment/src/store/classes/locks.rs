//! Locking classes whose seats are to be given. A class is read by a later statement: the locking one's snapshot is older
//! than the lock.

use sqlx::PgConnection;
use uuid::Uuid;

/// Locks those of `classes` that nobody holds, in order of their ids; which those are.
pub async fn lock_free(connection: &mut PgConnection, classes: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        SELECT class_id FROM enrollment.classes WHERE class_id = ANY ($1)
        ORDER BY class_id FOR NO KEY UPDATE SKIP LOCKED
        "#,
        classes,
    )
    .fetch_all(connection)
    .await
}

/// Those of `classes` that exist, locked or not.
pub async fn existing(connection: &mut PgConnection, classes: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT class_id FROM enrollment.classes WHERE class_id = ANY ($1)",
        classes,
    )
    .fetch_all(connection)
    .await
}
