//! The connection pool, with the library's and the network's known hazards closed.

mod fault;
mod silence;
mod standing;
mod transaction;
mod trust;
mod within;

use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

pub use fault::{Fault, classify, constraint};
pub use silence::{Silence, answered};
pub use standing::{Lent, Standing};
pub use transaction::{Transaction, begin};
pub use trust::{ServerTrust, is_verified};
pub use within::{confirm, now, read_at_length, read_one_snapshot};

use crate::config::{DatabaseConfig, SecretFileError};
use crate::faults::planted;

/// A connection that stood idle longer than this is asked whether it is alive before it is used. Shorter, the ping
/// would cost a round trip in each batch; a connection that died since its last use a moment ago fails the batch, which
/// its callers repeat.
const IDLE_BEFORE_PING: Duration = Duration::from_secs(5);

/// How long that question may take.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a migration may wait: for another process that migrates, and for a lock on a table in use.
const MIGRATION_LOCK_TIMEOUT: &str = "60s";

/// Why there is no pool.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The file with the URL cannot be read.
    #[error("the database URL is not there")]
    Secret(#[from] SecretFileError),
    /// The configuration names no URL.
    #[error("the configuration names no database")]
    NoUrl,
    /// The server that the URL leads to could be anybody.
    #[error(
        "the database's server is on another machine and is not verified: name the authority of its certificate, or have \
         `sslmode=verify-full` in the URL"
    )]
    Unverified,
    /// The URL makes no sense. The text of the URL is not repeated: it has a password in it.
    #[error("the database URL cannot be read")]
    Url,
}

/// The URL that `config` names, read from its file.
pub fn url(config: &DatabaseConfig) -> Result<SecretString, DatabaseError> {
    match (&config.url_file, &config.url) {
        (Some(file), _) => Ok(file.read()?),
        (None, Some(url)) => Ok(SecretString::from(url.clone())),
        (None, None) => Err(DatabaseError::NoUrl),
    }
}

/// Where the URL of `config` leads, if it can be read.
pub(crate) fn options(config: &DatabaseConfig) -> Option<PgConnectOptions> {
    PgConnectOptions::from_str(url(config).ok()?.expose_secret()).ok()
}

/// A pool that connects when it is first used. `application` is shown by the server beside each connection.
///
/// Every connection has, set on the server's side: a time-out for statements, for locks and for standing idle inside a
/// transaction; keepalives and `tcp_user_timeout`, so that a black-holed connection does not keep its locks; and plans
/// that depend neither on parameter values nor on how small a table was when they were made. When a connection comes
/// back to the pool an open transaction is rolled back, whoever left it.
pub fn pool(config: &DatabaseConfig, application: &str) -> Result<PgPool, DatabaseError> {
    let options = connect_options(&url(config)?, application)?;
    let options = config.trust().apply(options)?;
    if !is_verified(&options) {
        tracing::warn!(
            "THE DATABASE COULD BE ANYBODY: whoever is on the way to it gets its password and all data (database.unverified_server)"
        );
    }
    let options = options.options([
        (
            "statement_timeout",
            format!("{}ms", config.statement_timeout_ms),
        ),
        ("lock_timeout", format!("{}ms", config.lock_timeout_ms)),
        (
            "idle_in_transaction_session_timeout",
            format!("{}ms", config.idle_in_transaction_timeout_ms),
        ),
        // A plan made for an empty table's statistics and particular values is worse than a generic one that always
        // uses the index; and a generic plan is made once.
        ("plan_cache_mode", "force_generic_plan".to_owned()),
        // A generic plan made while a table is small reads all of it, and goes on so for up to a minute after it has
        // grown: where there is an index, it is used. Such a scan, where it cannot be avoided, then has a cost that would
        // have every statement compiled.
        ("enable_seqscan", "off".to_owned()),
        ("jit", "off".to_owned()),
        // What a look-up has found is hardly looked for again in the same statement: to remember it costs more.
        ("enable_memoize", "off".to_owned()),
        // Nobody reads notices; the library would log them.
        ("client_min_messages", "error".to_owned()),
    ]);
    Ok(PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout())
        .test_before_acquire(false)
        .before_acquire(|connection, state| {
            Box::pin(async move {
                if state.idle_for < IDLE_BEFORE_PING && !silence::since(state.idle_for) {
                    return Ok(true);
                }
                // A connection whose ping does not come back is closed by the pool, never used again.
                Ok(tokio::time::timeout(PING_TIMEOUT, connection.ping())
                    .await
                    .is_ok_and(|pong| pong.is_ok()))
            })
        })
        // The library's `begin`, dropped at the wrong moment, leaves a transaction open that the pool does not see.
        .after_release(|connection, _| {
            Box::pin(async move {
                if planted("bug::transactions_not_rolled_back_on_release") {
                    return Ok(true);
                }
                // A connection that does not answer is closed, and its place in the pool is free again.
                let rolled_back = roll_back(connection);
                tokio::time::timeout(PING_TIMEOUT, rolled_back)
                    .await
                    .map_err(|_| sqlx::Error::PoolTimedOut)??;
                Ok(true)
            })
        })
        .connect_lazy_with(options))
}

/// Rolls back whatever transaction is open on `connection`, by one round trip if none has failed. Where none is open, ROLLBACK
/// by itself would be a warning in the server's log each time.
async fn roll_back(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let ended = sqlx::raw_sql("BEGIN; ROLLBACK").execute(&mut *connection);
    match ended.await {
        Err(error) if is_in_failed_transaction(&error) => {
            sqlx::raw_sql("ROLLBACK").execute(connection).await?
        }
        other => other?,
    };
    Ok(())
}

fn is_in_failed_transaction(error: &sqlx::Error) -> bool {
    let state = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    state.as_deref() == Some("25P02")
}

/// Applies the migrations that are missing, on a connection of their own (they hold a lock of their session, which a
/// connection pooler in between would lose).
///
/// Waits up to a minute for another process that does the same.
pub async fn migrate(
    url: &SecretString,
    trust: &ServerTrust,
    application: &str,
    migrator: &Migrator,
) -> Result<(), MigrateFailure> {
    let options = connect_options(url, application)
        .and_then(|options| trust.apply(options))
        .map_err(MigrateFailure::Url)?
        .options([
            ("lock_timeout", MIGRATION_LOCK_TIMEOUT),
            ("client_min_messages", "warning"),
        ]);
    let mut connection = PgConnection::connect_with(&options)
        .await
        .map_err(MigrateFailure::Connect)?;
    migrator
        .run(&mut connection)
        .await
        .map_err(MigrateFailure::Migrate)?;
    connection.close().await.map_err(MigrateFailure::Connect)
}

/// Why migrations were not applied.
#[derive(Debug, thiserror::Error)]
pub enum MigrateFailure {
    /// The URL makes no sense.
    #[error("cannot migrate")]
    Url(#[source] DatabaseError),
    /// The database cannot be reached.
    #[error("cannot reach the database to migrate it")]
    Connect(#[source] sqlx::Error),
    /// A migration failed.
    #[error("a migration failed")]
    Migrate(#[source] MigrateError),
}

/// How often it is looked whether the database was reached.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Returns once `pool` has reached the database, by whoever's connection, or is closed. For what has time at the start of a
/// process: connecting is slow on a busy machine, and slower for each who does it at the same time.
pub async fn reached(pool: &PgPool) {
    while pool.num_idle() == 0 && !pool.is_closed() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether the database answers within a second. For readiness.
pub async fn is_alive(pool: &PgPool) -> bool {
    // Never around `begin`: dropping an `acquire` or a statement here loses nothing but the connection.
    let ping = async { pool.acquire().await?.ping().await };
    tokio::time::timeout(PING_TIMEOUT, ping)
        .await
        .is_ok_and(|result| result.is_ok())
}

fn connect_options(
    url: &SecretString,
    application: &str,
) -> Result<PgConnectOptions, DatabaseError> {
    let options =
        PgConnectOptions::from_str(url.expose_secret()).map_err(|_| DatabaseError::Url)?;
    Ok(options
        .application_name(application)
        // Statements are logged by nobody: their parameters are personal data.
        .disable_statement_logging()
        .options([
            ("tcp_user_timeout", "10s"),
            ("tcp_keepalives_idle", "10s"),
            ("tcp_keepalives_interval", "5s"),
            ("tcp_keepalives_count", "3"),
            ("timezone", "UTC"),
        ]))
}

#[cfg(test)]
mod tests;
