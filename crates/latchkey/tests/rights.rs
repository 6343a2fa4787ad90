//! What the services' roles may not do, tried over connections of their own: each on every table that the catalogs know
//! at that moment, so that a table that is added is covered without a word here.

use std::path::PathBuf;

use latchkey::postgres::Account;
use latchkey::progress::Progress;
use latchkey::stack::data_dir::DataDir;
use latchkey::stack::databases::{Passwords, Provisioned, Provisioning};
use latchkey::stack::{Place, Service, private_cluster};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};

/// `insufficient_privilege`.
const REFUSED: &str = "42501";

/// What reads or writes a table. `{c}` stands for one of its columns, set to itself: the rights are judged before any row.
const USES: [&str; 5] = [
    "SELECT {c} FROM {t}",
    "INSERT INTO {t} DEFAULT VALUES",
    "UPDATE {t} SET {c} = {c}",
    "DELETE FROM {t}",
    "TRUNCATE {t}",
];

/// What changes a row that is there.
const CHANGES: [&str; 3] = [
    "UPDATE {t} SET {c} = {c}",
    "DELETE FROM {t}",
    "TRUNCATE {t}",
];

/// The tables whose rows are never changed. Refusals among the redemptions are forgotten after their retention.
fn only_added_to(service: Service) -> &'static [(&'static str, &'static [&'static str])] {
    const CLOSED: &[&str] = &CHANGES;
    match service {
        Service::Keys => &[("audit_events", CLOSED), ("schema_migrations", CLOSED)],
        Service::Enrollment => &[
            ("audit_events", CLOSED),
            ("schema_migrations", CLOSED),
            ("billing_closings", CLOSED),
            ("billing_periods", CLOSED),
            ("billing_lines", CLOSED),
            ("redemptions", &["UPDATE {t} SET {c} = {c}", "TRUNCATE {t}"]),
        ],
    }
}

/// Everything that is read or written like a table in a schema, each with a column that can be set.
const TABLES: &str = "
    SELECT format('%I.%I', n.nspname, c.relname), min(quote_ident(a.attname)), c.relkind = 'v'
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = '' AND a.attgenerated = ''
    GROUP BY 1, 3 ORDER BY 1";

struct Table {
    name: String,
    column: String,
    is_view: bool,
}

impl Table {
    fn put_into(&self, statement: &str) -> String {
        statement
            .replace("{t}", &self.name)
            .replace("{c}", &self.column)
    }
}

fn other(service: Service) -> Service {
    match service {
        Service::Keys => Service::Enrollment,
        Service::Enrollment => Service::Keys,
    }
}

async fn tables(connection: &mut PgConnection, service: Service) -> Vec<Table> {
    let rows: Vec<(String, String, bool)> = sqlx::query_as(TABLES)
        .bind(service.schema())
        .fetch_all(connection)
        .await
        .expect("the catalogs are open to all");
    // An empty answer would make everything below hold.
    assert!(rows.len() >= 5, "{service:?} has {} tables", rows.len());
    rows.into_iter()
        .map(|(name, column, is_view)| Table {
            name,
            column,
            is_view,
        })
        .collect()
}

async fn run(connection: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .map(drop)
}

/// Asserts that the statement fails, and for want of rights: not because it makes no sense.
async fn is_refused(connection: &mut PgConnection, who: Service, statement: &str) {
    let error = match run(connection, statement).await {
        Ok(()) => panic!("{} may `{statement}`", who.role()),
        Err(error) => error,
    };
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    assert_eq!(
        code.as_deref(),
        Some(REFUSED),
        "{}: `{statement}`: {error}",
        who.role()
    );
}

async fn nothing_of_the_other_is_open(own: &mut PgConnection, who: Service) {
    let other = other(who);
    for table in tables(own, other).await {
        for statement in USES {
            is_refused(own, who, &table.put_into(statement)).await;
        }
    }
    is_refused(own, who, &format!("SET ROLE {}", other.role())).await;
}

async fn nothing_can_be_made(own: &mut PgConnection, who: Service) {
    let (own_schema, other_schema) = (who.schema(), other(who).schema());
    for statement in [
        format!("CREATE TABLE {own_schema}.made (id int)"),
        format!("CREATE TABLE {other_schema}.made (id int)"),
        format!("CREATE FUNCTION {own_schema}.made() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
        "CREATE TEMPORARY TABLE made (id int)".to_owned(),
        "CREATE SCHEMA made".to_owned(),
        "CREATE DATABASE made".to_owned(),
        "CREATE ROLE made".to_owned(),
        "COPY (SELECT 1) TO '/dev/null'".to_owned(),
    ] {
        is_refused(own, who, &statement).await;
    }
}

async fn rows_that_stay_and_tables_are_not_changed(own: &mut PgConnection, who: Service) {
    let all = tables(own, who).await;
    for (name, changes) in only_added_to(who) {
        let name = format!("{}.{name}", who.schema());
        let table = all.iter().find(|table| table.name == name);
        let table = table.unwrap_or_else(|| panic!("there is no {name}"));
        for statement in *changes {
            is_refused(own, who, &table.put_into(statement)).await;
        }
    }
    for Table {
        name,
        column,
        is_view,
    } in &all
    {
        let statements = if *is_view {
            vec![
                format!("ALTER VIEW {name} RENAME TO gone"),
                format!("DROP VIEW {name}"),
            ]
        } else {
            vec![
                format!("ALTER TABLE {name} DROP COLUMN {column}"),
                format!("DROP TABLE {name}"),
                format!("TRUNCATE {name}"),
            ]
        };
        for statement in statements {
            is_refused(own, who, &statement).await;
        }
    }
}

/// Neither the role nor one that it could become owns anything: owners may do what nobody granted.
async fn nothing_is_owned(own: &mut PgConnection, who: Service) {
    let owned: Vec<String> = sqlx::query_scalar(
        "SELECT c.oid::regclass::text FROM pg_class c WHERE pg_has_role(c.relowner, 'MEMBER')
         UNION ALL SELECT p.oid::regprocedure::text FROM pg_proc p WHERE pg_has_role(p.proowner, 'MEMBER')
         UNION ALL SELECT n.nspname FROM pg_namespace n WHERE pg_has_role(n.nspowner, 'MEMBER')
         UNION ALL SELECT d.datname FROM pg_database d WHERE pg_has_role(d.datdba, 'MEMBER')",
    )
    .fetch_all(&mut *own)
    .await
    .expect("the catalogs are open to all");
    assert_eq!(owned, [""; 0], "{} owns them", who.role());
    let mighty: bool = sqlx::query_scalar(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication
         FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(own)
    .await
    .expect("the role itself");
    assert!(!mighty, "{} may more than log in", who.role());
}

/// The counter-proof: what is refused above is not refused because nothing works.
async fn what_is_its_own_can_be_read(own: &mut PgConnection, who: Service) {
    for table in tables(own, who).await {
        let statement = table.put_into("SELECT {c} FROM {t}");
        run(own, &statement)
            .await
            .unwrap_or_else(|error| panic!("{}: `{statement}`: {error}", who.role()));
    }
}

fn url(database: &Provisioned, service: Service) -> PgConnectOptions {
    let url = match service {
        Service::Keys => &database.keys_url,
        Service::Enrollment => &database.enrollment_url,
    };
    url.expose_secret().parse().expect("a URL of Postgres")
}

#[tokio::test]
async fn each_services_role_is_shut_out_of_the_others_schema_and_makes_and_unmakes_nothing() {
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
    let cluster = private_cluster(place, &account, password, Vec::new(), &progress)
        .await
        .expect("a private Postgres");
    data_dir.leave_to_guard();
    let provisioning = Provisioning {
        admin: cluster.admin(),
        database: "latchkey".to_owned(),
        own_server: true,
        stack_id: "rights".to_owned(),
        passwords: Passwords {
            keys: SecretString::from("keys"),
            enrollment: SecretString::from("enrollment"),
        },
    };
    let database = provisioning.provision().await.expect("a database");
    for service in Service::ALL {
        let mut own = PgConnection::connect_with(&url(&database, service))
            .await
            .expect("a connection");
        what_is_its_own_can_be_read(&mut own, service).await;
        nothing_of_the_other_is_open(&mut own, service).await;
        nothing_can_be_made(&mut own, service).await;
        nothing_is_owned(&mut own, service).await;
        rows_that_stay_and_tables_are_not_changed(&mut own, service).await;
        own.close().await.expect("closed");
    }
    cluster.stop().await.expect("a stop");
}
