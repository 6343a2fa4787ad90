//! A private cluster: what it is like, that it ends with its owner, and that a running one is adopted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use latchkey::postgres::cluster::home_for;
use latchkey::postgres::{Account, Cluster, ClusterOptions, Places, binaries};
use latchkey::progress::Progress;
use latchkey::stack::data_dir::DataDir;
use latchkey::stack::databases::{Passwords, Provisioned, Provisioning};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, Connection};

/// More than a stop or start takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

async fn start(data_dir: &Path, ephemeral: bool) -> Cluster {
    let account = Account::for_postgres().expect("an account for Postgres");
    let progress = Progress::hidden();
    let found = binaries(&Places::of_this_machine(), &account, None, &progress)
        .await
        .expect("Postgres on this machine");
    let options = ClusterOptions {
        executable: PathBuf::from(env!("CARGO_BIN_EXE_latchkey")),
        home: home_for(data_dir, &account),
        password: SecretString::from("0123456789abcdef"),
        settings: vec!["max_connections=20".into()],
        ephemeral: ephemeral.then(|| vec![data_dir.to_owned()]),
    };
    Cluster::start(&found, &account, options, &progress)
        .await
        .expect("a cluster")
}

async fn ask(options: &PgConnectOptions, question: &'static str) -> String {
    let mut connection = PgConnection::connect_with(options)
        .await
        .expect("a connection");
    sqlx::query_scalar(question)
        .fetch_one(&mut connection)
        .await
        .expect("an answer")
}

/// The process of the postmaster that answers there: the parent of the connection's own.
async fn postmaster(options: &PgConnectOptions) -> Pid {
    let directory = ask(options, "SHOW data_directory").await;
    let text = std::fs::read_to_string(Path::new(&directory).join("postmaster.pid"))
        .expect("postmaster.pid");
    Pid::from_raw(
        text.lines()
            .next()
            .and_then(|line| line.parse().ok())
            .expect("a process id"),
    )
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("never came: {what}"));
}

fn is_gone(pid: Pid) -> bool {
    kill(pid, None).is_err()
}

#[tokio::test]
async fn it_is_private_durable_and_leaves_nothing_when_dropped() {
    let data_dir = DataDir::ephemeral().expect("a directory");
    let path = data_dir.path().to_owned();
    let cluster = start(&path, true).await;
    assert!(!cluster.is_adopted());
    let admin = cluster.admin();
    for (question, answer) in [
        ("SHOW fsync", "on"),
        ("SHOW full_page_writes", "on"),
        ("SHOW synchronous_commit", "on"),
        ("SHOW listen_addresses", "127.0.0.1"),
        ("SHOW unix_socket_directories", ""),
        ("SHOW server_encoding", "UTF8"),
        ("SHOW max_connections", "20"),
        (
            "SELECT datcollate FROM pg_database WHERE datname = 'postgres'",
            "C",
        ),
    ] {
        assert_eq!(ask(&admin, question).await, answer, "{question}");
    }
    let wrong = PgConnection::connect_with(&admin.clone().password("wrong")).await;
    assert!(wrong.is_err(), "another password must not do");
    let pid = postmaster(&admin).await;
    // Dropping closes the guard's standard input, which is all that SIGKILL does to it too.
    drop(cluster);
    until("Postgres gone", || is_gone(pid)).await;
    until("directory gone", || !path.exists()).await;
}

#[tokio::test]
async fn it_keeps_its_data_and_one_that_runs_is_adopted() {
    let outer = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(
        outer.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o711),
    )
    .expect("permissions");
    let data_dir = outer.path().join("stack");
    let first = start(&data_dir, false).await;
    let admin = first.admin();
    let mut connection = PgConnection::connect_with(&admin)
        .await
        .expect("a connection");
    sqlx::raw_sql("CREATE DATABASE kept")
        .execute(&mut connection)
        .await
        .expect("a database");
    let pid = postmaster(&admin).await;
    let guard = parent_of(pid);
    kill(guard, Signal::SIGKILL).expect("the guard lives");
    until("guard gone", || parent_of(pid) != guard).await;
    assert!(!is_gone(pid), "Postgres outlives a guard that was killed");

    let second = start(&data_dir, false).await;
    assert!(second.is_adopted());
    assert_eq!(postmaster(&second.admin()).await, pid);
    drop(connection);
    second.stop().await.expect("a stop");
    assert!(is_gone(pid), "an adopted Postgres is stopped too");
    drop(first);

    let third = start(&data_dir, false).await;
    assert!(!third.is_adopted());
    assert_eq!(
        ask(
            &third.admin().database("kept"),
            "SELECT current_database()::text"
        )
        .await,
        "kept"
    );
    third.stop().await.expect("a stop");
}

fn parent_of(pid: Pid) -> Pid {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let parent = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
    Pid::from_raw(parent.unwrap_or(0))
}

fn provisioning(admin: PgConnectOptions, database: &str, own_server: bool) -> Provisioning {
    Provisioning {
        admin,
        database: database.to_owned(),
        own_server,
        stack_id: "0a1b2c3d".to_owned(),
        passwords: Passwords {
            keys: SecretString::from(format!("{database}k")),
            enrollment: SecretString::from(format!("{database}e")),
        },
    }
}

async fn as_service(url: &SecretString, statement: &str) -> Result<(), String> {
    let options: PgConnectOptions = url.expose_secret().parse().expect("a URL");
    let mut connection = PgConnection::connect_with(&options.ssl_mode(PgSslMode::Disable))
        .await
        .map_err(|error| error.to_string())?;
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await
        .map(|_| ())
        .map_err(|error| error.to_string())
}

async fn check_rights(database: &Provisioned) {
    let keys = &database.keys_url;
    let enrollment = &database.enrollment_url;
    for (url, statement) in [
        (keys, "SELECT count(*) FROM keys.training_keys"),
        (keys, "DELETE FROM keys.marks"),
        (keys, "SELECT count(*) FROM keys.audit_events"),
        (keys, "SELECT count(*) FROM keys.schema_migrations"),
        (enrollment, "UPDATE enrollment.classes SET name = name"),
        (enrollment, "DELETE FROM enrollment.redemptions"),
    ] {
        as_service(url, statement)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    for (url, statement) in [
        (keys, "SELECT count(*) FROM enrollment.classes"),
        (enrollment, "SELECT count(*) FROM keys.codes"),
        (keys, "UPDATE keys.audit_events SET peer = ''"),
        (keys, "DELETE FROM keys.audit_events"),
        (keys, "TRUNCATE keys.audit_events"),
        (enrollment, "DELETE FROM enrollment.audit_events"),
        (enrollment, "UPDATE enrollment.redemptions SET caller = ''"),
        (keys, "GRANT ALL ON keys.audit_events TO latchkey_keys"),
        (keys, "DROP TABLE keys.marks"),
        (keys, "CREATE TABLE keys.mine (id int)"),
        (keys, "CREATE ROLE mine"),
        (enrollment, "DELETE FROM enrollment.schema_migrations"),
    ] {
        let refusal = as_service(url, statement).await;
        let refused = refusal.as_ref().is_err_and(|error| {
            error.contains("permission denied") || error.contains("must be owner")
        });
        // GRANT by one who may not grant is a warning, and changes nothing, as the next statement shows.
        assert!(
            refused || statement.starts_with("GRANT"),
            "{statement}: {refusal:?}"
        );
    }
    let after = as_service(keys, "DELETE FROM keys.audit_events")
        .await
        .expect_err("still refused");
    assert!(after.contains("permission denied"), "{after}");
}

#[tokio::test]
async fn each_role_has_its_own_schema_and_no_more() {
    let data_dir = DataDir::ephemeral().expect("a directory");
    let cluster = start(data_dir.path(), true).await;

    let own = provisioning(cluster.admin(), "own", true);
    let database = own.provision().await.expect("provisioned");
    assert_eq!(
        database.made,
        [
            "database own",
            "role latchkey_keys",
            "schema keys",
            "role latchkey_enrollment",
            "schema enrollment"
        ]
    );
    check_rights(&database).await;
    assert!(
        own.provision().await.expect("again").made.is_empty(),
        "the second time there is nothing to make"
    );

    let copy = own.copy("copy").await.expect("copied");
    check_rights(&copy).await;

    // Another stack on the same server, which is not its own: roles keep their passwords, and it gets members of them.
    let other = provisioning(cluster.admin(), "other", false);
    let second = other.provision().await.expect("provisioned");
    assert!(
        second
            .made
            .iter()
            .any(|made| made.contains("role latchkey_keys_0a1b2c3d")),
        "{:?}",
        second.made
    );
    check_rights(&second).await;
    check_rights(&database).await;
    other.drop_database().await.expect("dropped");
    as_service(&second.keys_url, "SELECT 1")
        .await
        .expect_err("its role is gone");
    check_rights(&database).await;
    cluster.stop().await.expect("a stop");
}
