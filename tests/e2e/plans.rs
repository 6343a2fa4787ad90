//! Plans are made once a connection, on whatever the tables hold that day: on the first, nothing.

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::harness::cluster::cluster;

/// A table with a key, the primary or another: the constraint, and its columns with their types.
struct Table {
    name: String,
    key: String,
    columns: Vec<String>,
    types: Vec<String>,
}

/// All tables but those of audit events, which are listed and never looked up (`audit_trail::plans`).
async fn tables(database: &mut PgConnection) -> Vec<Table> {
    let rows = sqlx::query(
        "SELECT c.conrelid::regclass::text, c.conname::text,
            array_agg(a.attname::text ORDER BY k.place), array_agg(format_type(a.atttypid, NULL) ORDER BY k.place)
         FROM pg_constraint c
         CROSS JOIN unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)
         JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
         WHERE c.contype IN ('p', 'u') AND c.conrelid::regclass::text NOT LIKE '%.audit_events' AND c.connamespace::regnamespace::text IN ('keys', 'enrollment')
         GROUP BY 1, 2",
    )
    .fetch_all(database)
    .await
    .expect("tables");
    rows.iter()
        .map(|row| Table {
            name: row.get(0),
            key: row.get(1),
            columns: row.get(2),
            types: row.get(3),
        })
        .collect()
}

/// How a row of a table is looked up by a key, whichever row it is.
async fn plan(database: &mut PgConnection, table: &Table) -> String {
    let conditions: Vec<String> = (1..)
        .zip(&table.columns)
        .map(|(number, column)| format!("{column} = ${number}"))
        .collect();
    let nothing = vec!["NULL"; table.columns.len()].join(", ");
    let prepare = format!(
        "PREPARE look_up ({}) AS SELECT 1 FROM {} WHERE {} LIMIT 1",
        table.types.join(", "),
        table.name,
        conditions.join(" AND "),
    );
    for statement in ["DEALLOCATE ALL", &prepare] {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut *database)
            .await
            .expect(statement);
    }
    let explain = format!("EXPLAIN EXECUTE look_up ({nothing})");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain))
        .fetch_all(database)
        .await;
    let lines = rows.expect("a plan");
    let lines: Vec<String> = lines.iter().map(|line| line.get(0)).collect();
    lines.join("\n")
}

#[tokio::test]
async fn a_row_is_found_by_its_key() {
    let empty = cluster().database().await;
    let mut database = PgConnection::connect_with(&empty.admin)
        .await
        .expect("a connection");
    // As the services' connections have it.
    sqlx::raw_sql(
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off",
    )
    .execute(&mut database)
    .await
    .expect("settings");
    let tables = tables(&mut database).await;
    assert!(tables.len() > 15, "{}", tables.len());
    for table in &tables {
        let plan = plan(&mut database, table).await;
        assert!(
            plan.contains(&format!("using {} on", table.key)),
            "{}:\n{plan}",
            table.name
        );
    }
    drop(database);
    cluster().drop_database(&empty.name).await;
}
