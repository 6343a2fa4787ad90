//! Each way into the trail goes along an index of its own, whatever the table's size.

use std::path::Path;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Row};

use crate::harness::Stack;

/// The statements that list events, from the compile-time checked SQL.
fn statements(schema: &str) -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sqlx");
    let files = std::fs::read_dir(directory).expect("the checked statements");
    let read = |file: std::fs::DirEntry| std::fs::read_to_string(file.path()).expect("a file");
    let list = format!("SELECT e.event_id FROM {schema}.audit_events e");
    files
        .map(|file| read(file.expect("a file")))
        .map(|text| serde_json::from_str::<Value>(&text).expect("JSON"))
        .map(|file| file["query"].as_str().expect("a statement").to_owned())
        .filter(|statement| statement.contains(&list))
        .collect()
}

/// The column that a statement's first condition is about; `event_id` if it has none of its own.
fn way(statement: &str) -> String {
    let (_, conditions) = statement.rsplit_once("audit_events e\n").expect("a list");
    let conditions = conditions.trim_start().strip_prefix("WHERE ");
    let first = conditions.expect("conditions").split(' ').next();
    let first = first.expect("a condition").trim();
    let column = first.strip_prefix("e.").unwrap_or("event_id");
    column.to_owned()
}

#[tokio::test]
async fn each_filter_of_the_trail_goes_along_an_index() {
    let stack = Stack::shared().await;
    for (schema, parameters) in [("keys", 13), ("enrollment", 15)] {
        let mut ways = Vec::new();
        for statement in statements(schema) {
            let way = way(&statement);
            let plan = plan(&stack, &statement, parameters).await;
            // The walk along the index is the one with the bounds of the page.
            let walked = plan.lines().any(|line| {
                line.contains("Index Cond")
                    && line.contains("event_id >= ")
                    && line.contains(&format!("({way} "))
            });
            assert!(walked, "{schema} by {way}:\n{plan}");
            ways.push(way);
        }
        ways.sort();
        assert_eq!(
            ways,
            [
                "action",
                "actor_subject",
                "event_id",
                "organization_id",
                "outcome",
                "request_id",
                "resource_id",
                "resource_type",
                "student_id"
            ]
        );
    }
    stack.finish().await;
}

/// The plan that the services' connections make: a generic one, without looking at how small the tables are.
async fn plan(stack: &Stack, statement: &str, parameters: usize) -> String {
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
