//! `verify` finds everything that is broken on purpose, and nothing in a world in which everything holds.

mod cases;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use latchkey::postgres::{Account, Cluster};
use latchkey::progress::Progress;
use latchkey::stack::data_dir::DataDir;
use latchkey::stack::databases::{Passwords, Provisioned, Provisioning};
use latchkey::stack::secrets::replace_private;
use latchkey::stack::{Place, private_cluster};
use latchkey::verify::{Databases, Drain, Report, verify};
use latchkey_service_kit::invariants::Finding;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};
use uuid::Uuid;

use cases::{COMPARED, Case, OWED, OWN};

/// `pg_temp.id(41)`: ids of the fixture by number.
const IDS: &str = "CREATE FUNCTION pg_temp.id(n int) RETURNS uuid LANGUAGE sql IMMUTABLE
                   AS $$ SELECT lpad(to_hex(n), 32, '0')::uuid $$";

/// As if keys had been told everything that was committed so far.
const ALL_TOLD: &str =
    "UPDATE enrollment.deliveries SET delivered_below = pg_snapshot_xmax(pg_current_snapshot())";

/// An empty database, as the migrations leave it.
const EMPTY: &str = "TRUNCATE enrollment.organizations, enrollment.classes, enrollment.students, enrollment.profiles, enrollment.enrollments, enrollment.assignments,
        enrollment.redemptions, enrollment.requests, enrollment.billing_closings, enrollment.billing_periods,
        enrollment.billing_lines, enrollment.notification_plans, enrollment.notification_settings,
        enrollment.class_notifications, enrollment.notification_times, enrollment.notification_expiries, enrollment.letters, enrollment.audit_events,
        enrollment.deliveries, enrollment.comparisons,
        keys.organizations, keys.grants, keys.pools, keys.training_keys, keys.subscription_keys, keys.codes, keys.marks, keys.requests, keys.batches, keys.audit_events;
    INSERT INTO enrollment.deliveries (delivered_below) VALUES ('0');
    INSERT INTO enrollment.comparisons DEFAULT VALUES";

const FIXTURE: &str = include_str!("fixture.sql");

/// Nobody delivers anything in these tests.
const AT_ONCE: Drain = Drain {
    within: Duration::ZERO,
};

/// A private Postgres with a database in which everything holds.
struct World {
    cluster: Cluster,
    provisioning: Provisioning,
    whole: Provisioned,
    _data_dir: DataDir,
}

impl World {
    async fn make() -> Self {
        let mut data_dir = DataDir::ephemeral().expect("a directory");
        let executable = PathBuf::from(env!("CARGO_BIN_EXE_latchkey"));
        let place = Place {
            executable: &executable,
            data_dir: data_dir.path(),
            ephemeral: true,
        };
        let account = Account::for_postgres().expect("an account");
        let password = SecretString::from("0123456789abcdef");
        let progress = Progress::hidden();
        // Dozens of databases are made, and none of them outlives the test.
        let quick = vec!["fsync=off".to_owned(), "full_page_writes=off".to_owned()];
        let cluster = private_cluster(place, &account, password, quick, &progress);
        let cluster = cluster.await.expect("a private Postgres");
        data_dir.leave_to_guard();
        let provisioning = Provisioning {
            admin: cluster.admin(),
            database: "whole".to_owned(),
            own_server: true,
            stack_id: "verify".to_owned(),
            passwords: Passwords {
                keys: SecretString::from("keys"),
                enrollment: SecretString::from("enrollment"),
            },
        };
        let whole = provisioning.provision().await.expect("a database");
        let world = Self {
            cluster,
            provisioning,
            whole,
            _data_dir: data_dir,
        };
        world.execute("whole", FIXTURE).await;
        world.execute("whole", ALL_TOLD).await;
        world
    }

    async fn connect(&self, database: &str) -> PgConnection {
        let options: PgConnectOptions = self.cluster.admin().database(database);
        let mut connection = PgConnection::connect_with(&options)
            .await
            .expect("a connection");
        execute(&mut connection, IDS).await;
        connection
    }

    async fn execute(&self, database: &str, sql: &str) {
        let mut connection = self.connect(database).await;
        execute(&mut connection, sql).await;
        connection.close().await.expect("closed");
    }

    /// A copy of the whole database, in the place of any earlier one.
    async fn copy(&self) -> Broken {
        self.execute("postgres", "DROP DATABASE IF EXISTS broken WITH (FORCE)")
            .await;
        let urls = self.provisioning.copy("broken").await.expect("a copy");
        let databases = Databases::connect(&urls.keys_url, &urls.enrollment_url);
        Broken {
            admin: self.connect("broken").await,
            databases: databases.await.expect("connections"),
            urls,
        }
    }

    async fn stop(self) {
        self.cluster.stop().await.expect("a stop");
    }
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{error} in {sql}"));
}

/// A copy of the database to break things in.
struct Broken {
    urls: Provisioned,
    admin: PgConnection,
    databases: Databases,
}

impl Broken {
    async fn checked(&self) -> Report {
        verify(&self.databases, &AT_ONCE)
            .await
            .expect("both schemas are read")
    }

    /// What is found once `case` has broken it. Afterwards it is whole again.
    async fn found(&mut self, world: &World, case: &Case, told: bool) -> Report {
        execute(&mut self.admin, case.sql).await;
        if told {
            execute(&mut self.admin, ALL_TOLD).await;
        }
        let report = self.checked().await;
        if case.sql.contains("DROP ") || case.sql.contains("CREATE OR REPLACE ") {
            self.databases.close().await;
            *self = world.copy().await;
        } else {
            // Much quicker than another copy.
            for sql in [EMPTY, FIXTURE, ALL_TOLD] {
                execute(&mut self.admin, sql).await;
            }
        }
        report
    }
}

fn is_of(finding: &Finding, case: &Case) -> bool {
    let id = case.id.map(|id| Uuid::from_u128(id.into()).to_string());
    finding.table == case.table
        && finding.invariant == case.invariant
        && id.is_none_or(|id| finding.id.starts_with(&id))
}

fn all_cases() -> impl Iterator<Item = &'static Case> {
    OWN.iter().copied().flatten().chain(&COMPARED)
}

#[tokio::test]
async fn everything_that_is_broken_is_found() {
    let world = World::make().await;
    let mut broken = world.copy().await;
    let report = broken.checked().await;
    assert!(report.is_ok(), "{}", report.for_people());
    let compared: BTreeSet<_> = COMPARED.iter().map(|case| case.invariant).collect();
    for case in all_cases() {
        let report = broken.found(&world, case, true).await;
        let found = report.findings.iter().any(|finding| is_of(finding, case));
        assert!(
            found,
            "{}: `{}` is not in\n{}",
            case.table,
            case.invariant,
            report.for_people()
        );
        if compared.contains(case.invariant) {
            // What differs is all that differs: neighbours are not blamed.
            let all = report.findings.iter();
            let blamed = all.filter(|finding| compared.contains(finding.invariant));
            assert_eq!(blamed.count(), 1, "{}", report.for_people());
        }
    }
    let owed = broken.found(&world, &OWED, false).await;
    assert!(
        owed.findings.iter().any(|finding| is_of(finding, &OWED)),
        "{}",
        owed.for_people()
    );
    commands(&world, &mut broken).await;
    world.stop().await;
}

/// The command says the same as the library: by its exit status, for people and for machines.
async fn commands(world: &World, broken: &mut Broken) {
    let directory = tempfile::tempdir().expect("a directory");
    let run = |database: &Provisioned, more: &[&str]| {
        let keys = file(directory.path(), "keys.url", &database.keys_url);
        let enrollment = file(directory.path(), "enrollment.url", &database.enrollment_url);
        let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
        command
            .args(["verify", "--drain-within", "0", "--keys-database-url-file"])
            .arg(keys);
        command
            .arg("--enrollment-database-url-file")
            .arg(enrollment)
            .args(more);
        let output = command.output().expect("the command runs");
        let said = String::from_utf8(output.stdout).expect("text");
        (output.status.code(), said)
    };
    assert_eq!(run(&world.whole, &[]), (Some(0), "verify: ok\n".to_owned()));
    let (status, json) = run(&world.whole, &["--json"]);
    assert_eq!(
        (status, json.trim()),
        (Some(0), r#"{"ok":true,"findings":[]}"#)
    );

    let nowhere = Provisioned {
        keys_url: SecretString::from("postgres://keys@127.0.0.1:1/latchkey"),
        ..broken.urls.clone()
    };
    let (status, said) = run(&nowhere, &[]);
    assert_eq!(
        (status, said.as_str()),
        (Some(1), ""),
        "what is not known is not ok"
    );

    let case = &COMPARED[6];
    execute(&mut broken.admin, case.sql).await;
    let (status, text) = run(&broken.urls, &[]);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains(case.table) && text.contains("verify: 1 thing is broken"),
        "{text}"
    );
    let (status, json) = run(&broken.urls, &["--json"]);
    assert_eq!(status, Some(1), "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["findings"][0]["table"], case.table);
}

fn file(directory: &Path, name: &str, text: &SecretString) -> PathBuf {
    let path = directory.join(name);
    replace_private(&path, text.expose_secret()).expect("written");
    path
}

/// A new invariant comes with a case that breaks it.
#[test]
fn every_invariant_is_broken_by_a_case() {
    let pattern = r#"broken!\(\s*findings,\s*connection,\s*"([^"]+)",\s*"([^"]+)","#;
    let pattern = regex::Regex::new(pattern).expect("a pattern");
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut stated = BTreeSet::new();
    for service in ["keys", "enrollment"] {
        let store = crates.join(service).join("src/store");
        for entry in walkdir::WalkDir::new(store) {
            let entry = entry.expect("a directory entry");
            if entry.file_type().is_file() {
                let source = std::fs::read_to_string(entry.path()).expect("source");
                let found = pattern.captures_iter(&source);
                stated.extend(found.map(|found| (found[1].to_owned(), found[2].to_owned())));
            }
        }
    }
    assert!(
        stated.len() > 20,
        "the invariants were not found in the source: {stated:?}"
    );
    let broken: BTreeSet<(String, String)> = all_cases()
        .map(|case| (case.table.to_owned(), case.invariant.to_owned()))
        .collect();
    let missing: Vec<_> = stated.difference(&broken).collect();
    assert!(missing.is_empty(), "no case breaks {missing:#?}");
}
