//! A bug planted for tests. Nothing of this is in what is shipped.

use sqlx::PgConnection;

/// Writes `text` into the server's log of changes, and nowhere else.
pub async fn write_ahead(connection: &mut PgConnection, text: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "SELECT pg_logical_emit_message(false, 'planted', $1::text)::text AS place",
        text
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}
