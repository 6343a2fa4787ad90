use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use sqlx::error::{DatabaseError as SqlxDatabaseError, ErrorKind};

use super::*;
use crate::status::ErrorReason;

/// A database error with nothing but an SQLSTATE.
#[derive(Debug)]
struct State(&'static str);

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for State {}

impl SqlxDatabaseError for State {
    fn message(&self) -> &str {
        self.0
    }
    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.0.into())
    }
    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }
    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }
    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

fn state(code: &'static str) -> sqlx::Error {
    sqlx::Error::Database(Box::new(State(code)))
}

#[test]
fn sqlstates_are_classified() {
    for (code, fault) in [
        ("23505", Fault::Conflict),
        ("23514", Fault::Conflict),
        ("40001", Fault::Conflict),
        ("40P01", Fault::Conflict),
        ("55P03", Fault::Conflict),
        ("22021", Fault::Data),
        ("22P02", Fault::Data),
        ("23502", Fault::Data),
        ("57014", Fault::Unavailable),
        ("57P01", Fault::Unavailable),
        ("57P03", Fault::Unavailable),
        ("53300", Fault::Unavailable),
        ("08006", Fault::Unavailable),
        ("25006", Fault::Unavailable),
        ("25P02", Fault::Other),
        ("42P01", Fault::Other),
        ("", Fault::Other),
    ] {
        assert_eq!(classify(&state(code)), fault, "{code}");
    }
    assert_eq!(classify(&sqlx::Error::PoolTimedOut), Fault::Unavailable);
    assert_eq!(classify(&sqlx::Error::RowNotFound), Fault::Other);
}

#[test]
fn a_database_error_as_a_failure_of_a_call_shows_nothing_of_itself() {
    for (code, reason) in [
        ("40P01", ErrorReason::Conflict),
        ("57P01", ErrorReason::DependencyUnavailable),
        ("42P01", ErrorReason::Internal),
        ("22021", ErrorReason::Internal),
    ] {
        let error = api_error(state(code));
        assert_eq!(error.reason(), reason);
        assert!(!error.message().contains(code));
        assert_eq!(
            StdError::source(&error)
                .unwrap()
                .source()
                .map(ToString::to_string),
            Some(code.to_owned())
        );
    }
}

#[test]
fn an_url_that_makes_no_sense_is_not_repeated() {
    let error = connect_options(&SecretString::from("no url hunter2"), "test").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

/// The rest needs a server: tests that have one name it, others are content with the above.
fn server() -> Option<DatabaseConfig> {
    let url = std::env::var("LATCHKEY_SQLX_DATABASE_URL").ok()?;
    let config = serde_json::json!({"url": url, "max_connections": 1});
    Some(serde_json::from_value(config).unwrap())
}

#[tokio::test]
async fn settings_arrive_at_the_server() {
    let Some(config) = server() else { return };
    let pool = pool(&config, "kit-test").unwrap();
    for (setting, value) in [
        ("statement_timeout", "5s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "5s"),
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("jit", "off"),
        ("application_name", "kit-test"),
        ("tcp_user_timeout", "10s"),
        ("tcp_keepalives_count", "3"),
        ("TimeZone", "UTC"),
    ] {
        let found: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&pool)
            .await
            .unwrap();
        let found = if found == "10000" {
            "10s".to_owned()
        } else {
            found
        };
        assert_eq!(found, value, "{setting}");
    }
    assert!(is_alive(&pool).await);
}

#[tokio::test]
async fn an_abandoned_transaction_is_rolled_back_before_its_connection_is_used_again() {
    let Some(config) = server() else { return };
    let pool = pool(&config, "kit-test").unwrap();
    let transaction_id = |pool: PgPool| async move {
        // NULL outside a transaction that has written; the pool has one connection only.
        sqlx::query_scalar::<_, Option<String>>("SELECT pg_current_xact_id_if_assigned()::text")
            .fetch_one(&pool)
            .await
            .unwrap()
    };
    let mut abandoned = begin(&pool).await.unwrap();
    sqlx::query("SELECT pg_current_xact_id()")
        .execute(&mut *abandoned)
        .await
        .unwrap();
    drop(abandoned);
    assert_eq!(transaction_id(pool.clone()).await, None);

    // Left open behind the pool's back.
    let mut connection = pool.acquire().await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT pg_current_xact_id()")
        .execute(&mut *connection)
        .await
        .unwrap();
    drop(connection);
    assert_eq!(transaction_id(pool).await, None);
}

#[tokio::test]
async fn committing_a_failed_transaction_is_an_error() {
    let Some(config) = server() else { return };
    let pool = pool(&config, "kit-test").unwrap();
    let mut failed = begin(&pool).await.unwrap();
    sqlx::raw_sql("SELECT 1/0")
        .execute(&mut *failed)
        .await
        .unwrap_err();
    let error = failed.commit().await.unwrap_err();
    assert_eq!(
        error.as_database_error().unwrap().code().as_deref(),
        Some("25P02")
    );

    let mut good = begin(&pool).await.unwrap();
    sqlx::query("CREATE TEMPORARY TABLE kit (x int) ON COMMIT PRESERVE ROWS")
        .execute(&mut *good)
        .await
        .unwrap();
    good.commit().await.unwrap();
    // A transaction still open would have been rolled back with its connection's return, and the table with it.
    sqlx::query("INSERT INTO kit VALUES (1)")
        .execute(&pool)
        .await
        .unwrap();
}
