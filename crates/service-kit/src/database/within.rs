//! What is asked of the database within a transaction, whatever its schema.

use chrono::{DateTime, Utc};
use sqlx::{Error, PgConnection};

/// The database's clock at this instant, however long ago the transaction began. To be read after the locks under which
/// something is judged by it.
pub async fn now(connection: &mut PgConnection) -> Result<DateTime<Utc>, Error> {
    sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(connection)
        .await
}

/// Makes the transaction, in which nothing was done yet, read everything as of its next statement, and write nothing.
pub async fn read_one_snapshot(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(connection)
        .await?;
    Ok(())
}

/// Lets each statement read whole tables for ten minutes, until the transaction ends: far more than a hundred million rows
/// need. A pool's connections end what takes seconds, and would rather look up every row of a table by an index.
pub async fn read_at_length(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::raw_sql("SET LOCAL statement_timeout = '10min'; SET LOCAL enable_seqscan = on")
        .execute(connection)
        .await?;
    Ok(())
}

/// Makes the transaction write to the log, so that its commit waits until everything it saw is as durable as the
/// server's settings promise: under synchronous replication a row can be visible before the standby has it.
pub async fn confirm(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("SELECT pg_logical_emit_message(true, 'latchkey', '')::text")
        .execute(connection)
        .await?;
    Ok(())
}
