//! Plans are made once a connection, on whatever the tables hold that day: on the first, nothing.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use crate::harness::cluster::cluster;
use crate::harness::plans::{plan_as_services, plan_on, run, statements};
use crate::harness::{ClassDraft, Organization, Stack};

/// A key of a table: what no two rows have in common, among all of them or among those of a condition.
struct Key {
    table: String,
    index: String,
    columns: Vec<String>,
    condition: Option<String>,
}

/// The keys of all tables but those of audit events, which are listed and never looked up (`audit_trail::plans`).
async fn keys(database: &mut PgConnection) -> Vec<Key> {
    let rows = sqlx::query(
        "SELECT i.indrelid::regclass::text, c.relname::text, pg_get_expr(i.indpred, i.indrelid),
            array_agg(a.attname::text ORDER BY k.place)
         FROM pg_index i
         JOIN pg_class c ON c.oid = i.indexrelid
         CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
         WHERE i.indisunique AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
            AND i.indrelid::regclass::text NOT LIKE '%.audit_events'
            AND c.relnamespace::regnamespace::text IN ('keys', 'enrollment')
         GROUP BY i.indexrelid, i.indrelid, c.relname, i.indpred",
    )
    .fetch_all(database)
    .await
    .expect("keys");
    rows.iter()
        .map(|row| Key {
            table: row.get(0),
            index: row.get(1),
            condition: row.get(2),
            columns: row.get(3),
        })
        .collect()
}

impl Key {
    /// How a row is looked up by it, whichever row it is.
    async fn plan(&self, database: &mut PgConnection) -> String {
        let conditions: Vec<String> = (1..)
            .zip(&self.columns)
            .map(|(number, column)| format!("{column} = ${number}"))
            .chain(self.condition.clone())
            .collect();
        let (table, conditions) = (&self.table, conditions.join(" AND "));
        let look_up = format!("SELECT * FROM {table} WHERE {conditions} LIMIT 1");
        plan_on(database, &look_up, self.columns.len()).await
    }
}

#[tokio::test]
async fn a_row_is_found_by_its_key() {
    let empty = cluster().database().await;
    let mut database = empty.connect().await;
    plan_as_services(&mut database).await;
    let keys = keys(&mut database).await;
    let conditional = keys.iter().filter(|key| key.condition.is_some());
    assert!(keys.len() > 20 && conditional.count() > 5, "{}", keys.len());
    let mut others = Vec::new();
    for key in &keys {
        let plan = key.plan(&mut database).await;
        if !plan.contains(&format!("using {} on", key.index)) {
            others.push(format!("{}, {}:\n{plan}", key.table, key.index));
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
    drop(database);
    cluster().drop_database(&empty.name).await;
}

/// With a few rows the better of two indexes seems to be the one whose entries still fit into a page.
#[tokio::test]
async fn a_student_in_a_class_is_found_by_both_however_many_there_are() {
    let made = cluster().database().await;
    for rows in [1, 20, 100, 200, 400, 1000, 5000] {
        let fill = format!(
            "TRUNCATE enrollment.enrollments;
             INSERT INTO enrollment.enrollments (
                enrollment_id, class_id, organization_id, student_id, status, status_since, holds_key, enrolled_at
             )
             SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'enrolled', now(), false, now()
             FROM generate_series(1, {rows})"
        );
        run(&mut made.connect().await, &fill).await;
        // Whoever has filled a table remembers how large its indexes were before.
        let mut database = made.connect().await;
        plan_as_services(&mut database).await;
        for (condition, index) in [
            ("live", "enrollments_"),
            ("NOT live AND blocked", "enrollments_blocked"),
        ] {
            let look_up = format!(
                "SELECT * FROM enrollment.enrollments WHERE class_id = $1 AND student_id = $2 AND {condition} LIMIT 1"
            );
            let plan = plan_on(&mut database, &look_up, 2).await;
            let by = plan.lines().find(|line| line.contains("Index Cond: "));
            let both = |by: &str| by.contains("class_id = $1") && by.contains("student_id = $2");
            let found = by.is_some_and(both) && plan.contains(&format!("using {index}"));
            assert!(found, "{rows}:\n{plan}");
        }
    }
    cluster().drop_database(&made.name).await;
}

/// Whoever redeems a key and gives it back, again and again, makes rows that nobody else should have to pay for.
#[tokio::test]
async fn a_code_is_resolved_without_reading_the_uses_that_were_given_up() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    let keys = organization.generate(&class.class_id, 1).await;
    let key: Uuid = keys[0].key_id.parse().expect("an id");
    let mut database = stack.database().await;
    let given_up = "INSERT INTO keys.marks (redemption_id, key_id, organization_id, student_id, generation, redeemed_at, released_at)
        SELECT gen_random_uuid(), $1, gen_random_uuid(), gen_random_uuid(), 1, now() - n * interval '1 second', now()
        FROM generate_series(1, 1000) n";
    let made = sqlx::query(given_up).bind(key).execute(&mut database).await;
    made.expect("made");
    let hash = sqlx::query("SELECT encode(hash, 'hex') FROM keys.codes WHERE key_id = $1");
    let hash: String = hash
        .bind(key)
        .fetch_one(&mut database)
        .await
        .expect("a hash")
        .get(0);

    plan_as_services(&mut database).await;
    let statement = statements("WHERE own.key_id IS NULL AND x.hash = n.hash");
    let [statement] = &statement[..] else {
        panic!("one statement")
    };
    run(&mut database, &format!("PREPARE resolving AS {statement}")).await;
    let explain =
        format!("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE resolving (ARRAY['\\x{hash}'::bytea])");
    let row = sqlx::raw_sql(AssertSqlSafe(explain))
        .fetch_one(&mut database)
        .await;
    let plan: Value = row.expect("a plan").get(0);
    let read = rows_read(&plan[0]["Plan"], "marks");
    assert!((1..=2).contains(&read), "{read} of {plan:#}");
    let made_up = sqlx::query("DELETE FROM keys.marks WHERE key_id = $1").bind(key);
    made_up.execute(&mut database).await.expect("gone");
    stack.finish().await;
}

/// How many rows of a table a plan has read.
fn rows_read(plan: &Value, table: &str) -> u64 {
    let parts = plan["Plans"].as_array().into_iter().flatten();
    let below: u64 = parts.map(|part| rows_read(part, table)).sum();
    let count = |name: &str| plan[name].as_u64().unwrap_or(0);
    let own = (count("Actual Rows") + count("Rows Removed by Filter")) * count("Actual Loops");
    below
        + if plan["Relation Name"] == table {
            own
        } else {
            0
        }
}
