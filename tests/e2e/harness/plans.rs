//! How the database goes about the services' statements.

use std::path::Path;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::Stack;

/// The statements that have `part` in them, from the compile-time checked SQL.
pub(crate) fn statements(part: &str) -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sqlx");
    let files = std::fs::read_dir(directory).expect("the checked statements");
    let read = |file: std::fs::DirEntry| std::fs::read_to_string(file.path()).expect("a file");
    files
        .map(|file| read(file.expect("a file")))
        .map(|text| serde_json::from_str::<Value>(&text).expect("JSON"))
        .map(|file| file["query"].as_str().expect("a statement").to_owned())
        .filter(|statement| statement.contains(part))
        .collect()
}

/// The plan that the services' connections make: a generic one, without looking at how small the tables are.
pub(crate) async fn plan(stack: &Stack, statement: &str, parameters: usize) -> String {
    let mut database = stack.database().await;
    plan_as_services(&mut database).await;
    let plan = plan_on(&mut database, statement, parameters).await;
    database.close().await.expect("closed");
    plan
}

/// Has `database` plan as the services' connections do from now on.
pub(crate) async fn plan_as_services(database: &mut PgConnection) {
    run(
        database,
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off; SET enable_memoize = off",
    )
    .await;
}

/// How `database` goes about a statement, whatever its parameters are.
pub(crate) async fn plan_on(
    database: &mut PgConnection,
    statement: &str,
    parameters: usize,
) -> String {
    run(database, "DEALLOCATE ALL").await;
    run(database, &format!("PREPARE planned AS {statement}")).await;
    let nothing = match parameters {
        0 => String::new(),
        _ => format!("({})", vec!["NULL"; parameters].join(", ")),
    };
    let explain = format!("EXPLAIN EXECUTE planned {nothing}");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain))
        .fetch_all(database)
        .await
        .expect("a plan");
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    lines.join("\n")
}

/// Runs statements that a test has made up.
pub(crate) async fn run(database: &mut PgConnection, sql: &str) {
    let statements = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    statements
        .execute(database)
        .await
        .unwrap_or_else(|error| panic!("{error} in {sql}"));
}
