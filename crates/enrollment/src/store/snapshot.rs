//! Reading several things as of one instant.

use sqlx::PgConnection;

/// Makes the transaction, in which nothing was done yet, read everything as of its next statement, and write nothing.
pub async fn read_one_snapshot(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(connection)
        .await?;
    Ok(())
}
