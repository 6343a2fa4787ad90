//! The pool that all statements of the services go through: what it promises of transactions, settings and connections.

use std::time::Duration;

use latchkey_service_kit::config::DatabaseConfig;
use latchkey_service_kit::database::{Standing, begin, is_alive, pool};
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use crate::harness::cluster::{TestDatabase, cluster};

fn pool_of(database: &TestDatabase, connections: u32) -> PgPool {
    let config = json!({"url": database.services.enrollment_url.expose_secret(), "max_connections": connections});
    let config: DatabaseConfig = serde_json::from_value(config).expect("a configuration");
    pool(&config, "kit-test").expect("a pool")
}

async fn backend(connection: &mut PgConnection) -> i32 {
    sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(connection)
        .await
        .expect("the number of the server process")
}

#[tokio::test]
async fn settings_arrive_at_the_server() {
    let database = cluster().database().await;
    let pool = pool_of(&database, 1);
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
    cluster().drop_database(&database.name).await;
}

#[tokio::test]
async fn an_abandoned_transaction_is_rolled_back_before_its_connection_is_used_again() {
    let database = cluster().database().await;
    let pool = pool_of(&database, 1);
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
    cluster().drop_database(&database.name).await;
}

#[tokio::test]
async fn a_connection_comes_back_from_whatever_was_done_on_it_without_a_word_in_the_servers_log() {
    let database = cluster().database().await;
    let pool = pool_of(&database, 1);
    let mut first = pool.acquire().await.unwrap();
    let served_by = backend(&mut first).await;
    // Nothing is open.
    drop(first);
    // A transaction has failed and is left so.
    let mut failed = begin(&pool).await.unwrap();
    assert_eq!(backend(&mut failed).await, served_by);
    sqlx::raw_sql("SELECT 1/0")
        .execute(&mut *failed)
        .await
        .unwrap_err();
    drop(failed);
    let mut last = pool.acquire().await.unwrap();
    assert_eq!(backend(&mut last).await, served_by);

    let log = std::fs::read_to_string(database.server_log().await).expect("the server's log");
    let told = format!("[{served_by}]");
    let told: Vec<&str> = log.lines().filter(|line| line.contains(&told)).collect();
    assert!(told.iter().any(|line| line.contains("division by zero")));
    assert!(
        !told.iter().any(|line| line.contains("WARNING")),
        "{told:?}"
    );
    cluster().drop_database(&database.name).await;
}

#[tokio::test]
async fn committing_a_failed_transaction_is_an_error() {
    let database = cluster().database().await;
    let pool = pool_of(&database, 1);
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
    sqlx::query(
        "INSERT INTO enrollment.requests (request_id, method, fingerprint, result)
         VALUES (gen_random_uuid(), 'kit', '', '{}')",
    )
    .execute(&mut *good)
    .await
    .unwrap();
    good.commit().await.unwrap();
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM enrollment.requests")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(kept, 1);
    cluster().drop_database(&database.name).await;
}

#[tokio::test]
async fn a_connection_given_back_stands_ready_and_goes_back_to_the_pool_unused_or_when_it_is_closed()
 {
    let database = cluster().database().await;
    let pool = pool_of(&database, 2);
    let standing = Standing::new(pool.clone());
    let mut first = standing.begin().await.unwrap();
    let served_by = backend(&mut first).await;
    first.commit().await.unwrap();
    assert_eq!(pool.num_idle(), 0, "it stands ready, outside of the pool");

    let mut second = standing.connection().await.unwrap();
    assert_eq!(backend(&mut second).await, served_by);
    // Of two, none is left for others: it does not stand ready.
    let other = pool.acquire().await.unwrap();
    second.give_back();
    drop(other);
    let back = || async {
        while pool.num_idle() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), back())
        .await
        .expect("used up, all go back at once");

    standing.connection().await.unwrap().give_back();
    assert_eq!(pool.num_idle(), 1);
    tokio::time::timeout(Duration::from_secs(5), back())
        .await
        .expect("unused, it goes back");

    standing.connection().await.unwrap().give_back();
    tokio::time::timeout(Duration::from_secs(5), pool.close())
        .await
        .expect("closing takes it back");
    cluster().drop_database(&database.name).await;
}

#[tokio::test]
async fn a_transaction_that_is_dropped_does_not_stand_ready() {
    let database = cluster().database().await;
    let pool = pool_of(&database, 1);
    let standing = Standing::new(pool.clone());
    let mut abandoned = standing.begin().await.unwrap();
    sqlx::query("SELECT pg_current_xact_id()")
        .execute(&mut *abandoned)
        .await
        .unwrap();
    drop(abandoned);
    let mut next = standing.connection().await.unwrap();
    let open: Option<String> = sqlx::query_scalar("SELECT pg_current_xact_id_if_assigned()::text")
        .fetch_one(&mut *next)
        .await
        .unwrap();
    assert_eq!(open, None, "the pool has rolled it back");
    cluster().drop_database(&database.name).await;
}
