//! The write-ahead log of the server, and which process the server is.

use anyhow::Context;
use sqlx::PgConnection;

use super::process::parent;

/// What the server has written of its log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wal {
    /// Bytes, exactly.
    pub bytes: f64,
    /// Flushes. Each backend tells its own at the end of a transaction, once a second at most, so that the last second may
    /// be missing. None where the server does not count them.
    pub flushes: Option<f64>,
}

/// The first version that counts flushes of the log with all other input and output.
const COUNTED_WITH_IO: i32 = 180_000;

impl Wal {
    /// Asks the server.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn read(server: &mut PgConnection) -> anyhow::Result<Self> {
        let bytes = "SELECT (pg_current_wal_lsn() - '0/0')::float8";
        let bytes = sqlx::query_scalar(bytes).fetch_one(&mut *server).await?;
        let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int4")
            .fetch_one(&mut *server)
            .await?;
        let flushes = if version >= COUNTED_WITH_IO {
            "SELECT sum(fsyncs)::float8 FROM pg_stat_io WHERE object = 'wal'"
        } else {
            "SELECT wal_sync::float8 FROM pg_stat_wal"
        };
        let flushes = sqlx::query_scalar(flushes).fetch_one(&mut *server).await?;
        Ok(Self { bytes, flushes })
    }
}

/// The server's own process, which is the parent of the one that answers.
///
/// # Errors
/// When the server does not answer, or is not on this machine.
pub(super) async fn postmaster(server: &mut PgConnection) -> anyhow::Result<u32> {
    let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(server)
        .await?;
    parent(u32::try_from(backend)?).context("the server is not on this machine")
}
