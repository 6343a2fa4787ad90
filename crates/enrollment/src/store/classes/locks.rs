//! Locking classes whose seats are to be given.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{all, classes};
use crate::domain::class::Class;

/// Locks those of `ids` that nobody holds, in order of their ids, and reads them: a locked row is read as it is once it is
/// locked. Everything else is to be read by later statements, because this one's snapshot is older than the locks.
pub async fn lock_free(connection: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<Class>> {
    let rows = classes!(
        "WHERE c.class_id = ANY ($1) ORDER BY c.class_id FOR NO KEY UPDATE SKIP LOCKED",
        ids,
    )
    .fetch_all(connection)
    .await?;
    all(rows)
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
