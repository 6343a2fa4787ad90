//! How the database goes about the services' statements.

use std::path::Path;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Row};

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
    for setting in [
        "SET plan_cache_mode = force_generic_plan",
        "SET enable_seqscan = off",
        "SET jit = off",
    ] {
        sqlx::raw_sql(setting)
            .execute(&mut database)
            .await
            .expect("set");
    }
    let prepare = format!("PREPARE listing AS {statement}");
    let prepare = sqlx::raw_sql(AssertSqlSafe(prepare));
    prepare.execute(&mut database).await.expect("prepared");
    let nothing = vec!["NULL"; parameters].join(", ");
    let explain = format!("EXPLAIN EXECUTE listing ({nothing})");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain))
        .fetch_all(&mut database)
        .await
        .expect("a plan");
    database.close().await.expect("closed");
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    lines.join("\n")
}
