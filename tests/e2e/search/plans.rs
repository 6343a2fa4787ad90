//! At a million rows: each search walks an index, and touches few pages of it however much there is.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use tokio::sync::Mutex;

use crate::harness::cluster::cluster;
use crate::harness::plans::{plan_as_services, run};

/// More pages of the database than a page of any list needs, by far: a scan of a million rows takes some ten thousand.
const PAGES: u64 = 2_000;

/// What is filled goes with the test: no log of changes is written of it.
const UNLOGGED: &str = "ALTER TABLE enrollment.students SET UNLOGGED;
    ALTER TABLE enrollment.enrollments SET UNLOGGED; ALTER TABLE enrollment.assignments SET UNLOGGED";
const UNLOGGED_KEYS: &str =
    "ALTER TABLE keys.codes SET UNLOGGED; ALTER TABLE keys.subscription_keys SET UNLOGGED;
    ALTER TABLE keys.training_keys SET UNLOGGED; ALTER TABLE keys.marks SET UNLOGGED";

/// A million students, each enrolled once and with something assigned, in one organization, a thousand in each class and by each
/// pool and key; one student has a hundred assignments. The organization was billed once.
const MILLION: [(&str, &str); 4] = [
    (
        "classes",
        "INSERT INTO enrollment.organizations (organization_id, ancestor_ids, display_name, request_id, request_fingerprint)
         VALUES (pg_temp.id(1), '{}', 'Academy', pg_temp.id(1), '');
         INSERT INTO enrollment.classes (class_id, organization_id, course_id, course_name, name, instructors, starts_at,
            ends_at, time_zone, minimum_students, maximum_students, maximum_is_default, post_class_days, status,
            event_key_window, request_id, request_fingerprint)
         SELECT pg_temp.id(n), pg_temp.id(1), 'course', 'Course', 'Class', '{ines}', now(), now() + interval '1 day', 'UTC',
            0, 1000, false, 180, 'scheduled', 'until_class_ends', pg_temp.id(n), ''
         FROM generate_series(1, 1000) AS n;
         INSERT INTO enrollment.billing_closings (closing_id, request_id, request_fingerprint, organization_id, ends_at, closed_at,
            organization_count, charge_count, credit_count)
         VALUES (pg_temp.id(1), pg_temp.id(1), '', pg_temp.id(1), '2030-01-05Z', '2030-01-05Z', 1, 0, 0);
         INSERT INTO enrollment.billing_periods (organization_id, ends_at, closing_id)
         VALUES (pg_temp.id(1), '2030-01-05Z', pg_temp.id(1))",
    ),
    (
        "students",
        "INSERT INTO enrollment.students (student_id, organization_id, email, email_folded, given_name, family_name,
            given_first, family_first, request_id, request_fingerprint)
         SELECT pg_temp.id(n), pg_temp.id(1), m || '@example.com', m || '@example.com', left(m, 6), right(m, 6),
            left(m, 6) || ' ' || right(m, 6), right(m, 6) || ' ' || left(m, 6), pg_temp.id(n), ''
         FROM (SELECT n, md5(n::text) AS m FROM generate_series(1, 1000000) AS n) AS numbers",
    ),
    (
        "enrollments",
        "INSERT INTO enrollment.enrollments (enrollment_id, class_id, organization_id, student_id, status, status_since,
            holds_key, enrolled_at)
         SELECT pg_temp.id(n), pg_temp.id(n % 1000 + 1), pg_temp.id(1), pg_temp.id(n), 'enrolled',
            timestamptz '2030-01-01Z' + n * interval '1 second', false, timestamptz '2030-01-01Z' + n * interval '1 second'
         FROM generate_series(1, 1000000) AS n",
    ),
    (
        "assignments",
        "INSERT INTO enrollment.assignments (assignment_id, pool_id, organization_id, student_id, course_id, course_name, status,
            key_id, generation, slot, holds_key, assigned_at, expires_at, cancelled_at, cancelled_by)
         SELECT pg_temp.id(n), pg_temp.id(n % 1000 + 1), pg_temp.id(1),
            pg_temp.id(CASE WHEN n % 10000 = 0 THEN 1 ELSE n END), 'course', 'Course',
            CASE WHEN gone THEN 'cancelled' ELSE 'assigned' END, pg_temp.id(n / 1000 + 1), 1, n % 1000, NOT gone, made,
            made + interval '90 days', CASE WHEN gone THEN made + interval '1 hour' END, CASE WHEN gone THEN 'student' END
         FROM (
            SELECT n, n % 200 = 7 AS gone, timestamptz '2030-01-01Z' + n * interval '1 second' AS made
            FROM generate_series(1, 1000000) AS n
         ) AS numbers",
    ),
];

/// A million keys of one class, half of them in use.
const MILLION_KEYS: [(&str, &str); 3] = [
    (
        "grants",
        "INSERT INTO keys.grants (grant_id, kind, organization_id, name, instructors, starts_at, ends_at, event_key_until,
            time_zone, status, maximum_keys, maximum_is_default, version)
         VALUES (pg_temp.id(1), 'class', pg_temp.id(1), 'Class', '{}', now(), now() + interval '1 day',
            now() + interval '1 day', 'UTC', 'open', 1000000, false, 1)",
    ),
    (
        "training_keys",
        "INSERT INTO keys.training_keys (key_id, kind, organization_id, grant_id, batch_id, generation, masked_code, created_at,
            created_by)
         SELECT pg_temp.id(n), 'enrollment', pg_temp.id(1), pg_temp.id(1), pg_temp.id(n / 1000), 1, 'EK',
            timestamptz '2030-01-01Z' + n * interval '1 second', 'ada'
         FROM generate_series(1, 1000000) AS n",
    ),
    (
        "marks",
        "INSERT INTO keys.marks (redemption_id, key_id, organization_id, student_id, generation, redeemed_at)
         SELECT pg_temp.id(n), pg_temp.id(n), pg_temp.id(1), pg_temp.id(n), 1, timestamptz '2030-02-01Z' + n * interval '1 second'
         FROM generate_series(1, 1000000, 2) AS n",
    ),
];

/// A statement by parts of its text, and what a call binds to it.
struct Search {
    parts: &'static [&'static str],
    arguments: &'static str,
}

const SEARCHES: [Search; 17] = [
    Search {
        parts: &["CASE WHEN s.given_first"],
        arguments: "'abc', pg_temp.id(0), 'abc', 'abd', 51, NULL, pg_temp.id(1), false, NULL, NULL, NULL, 'abc', 'abd', NULL",
    },
    // One letter, of which there are a hundred thousand, and a page in the middle of them.
    Search {
        parts: &["CASE WHEN s.given_first"],
        arguments: "'a8', pg_temp.id(0), 'a', 'b', 51, NULL, pg_temp.id(1), false, NULL, NULL, true, 'a', 'b', NULL",
    },
    Search {
        parts: &["CASE WHEN s.email_folded"],
        arguments: "'a', pg_temp.id(0), 'a', 'b', 51, NULL, NULL, true, NULL, NULL, NULL, NULL, NULL, NULL",
    },
    Search {
        parts: &["(e.status_since, e.enrollment_id) < "],
        arguments: "'infinity', pg_temp.id(0), pg_temp.id(1), 51, NULL, '1970-01-01'",
    },
    Search {
        parts: &["(e.status_since, e.enrollment_id) < "],
        arguments: "'2030-01-08', pg_temp.id(0), pg_temp.id(1), 51, 'enrolled', '2030-01-02'",
    },
    Search {
        parts: &["UNION ALL (SELECT x.given_first", "FROM enrollment.enrollments e"],
        arguments: "pg_temp.id(1), 'b', 'a', pg_temp.id(0), 'a', 'b', 52, NULL, pg_temp.id(1), NULL, NULL, NULL, NULL",
    },
    Search {
        parts: &["UNION ALL (SELECT x.email_folded", "FROM enrollment.enrollments e"],
        arguments: "pg_temp.id(1), 'abd', 'abc', pg_temp.id(0), NULL, NULL, 52, NULL, NULL, NULL, NULL, NULL, NULL",
    },
    Search {
        parts: &["UNION ALL (SELECT x.given_first", "FROM enrollment.assignments a"],
        arguments: "pg_temp.id(1), 'b', 'a', pg_temp.id(0), 'a', 'b', 52, NULL, NULL, 'assigned', 'pool', NULL, NULL, NULL",
    },
    Search {
        parts: &["UNION ALL (SELECT x.email_folded", "FROM enrollment.assignments a"],
        arguments: "pg_temp.id(1), 'abd', 'abc', pg_temp.id(0), NULL, NULL, 52, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    },
    Search {
        parts: &["WHERE a.organization_id = $3 AND (a.assigned_at, a.assignment_id) <"],
        arguments: "'infinity', pg_temp.id(0), pg_temp.id(1), 51, '1970-01-01', false, pg_temp.id(1), NULL, NULL, NULL,
            pg_temp.id(1), NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    },
    Search {
        parts: &["WHERE a.organization_id = $3 AND (a.assigned_at, a.assignment_id) <"],
        arguments: "'2030-01-08', pg_temp.id(0), pg_temp.id(1), 51, '2030-01-02', false, pg_temp.id(1), NULL, NULL, NULL,
            pg_temp.id(1), 'assigned', 'pool', NULL, NULL, NULL, NULL, NULL",
    },
    Search {
        parts: &["WHERE a.pool_id = $3 AND (a.assigned_at, a.assignment_id) <"],
        arguments: "'infinity', pg_temp.id(0), pg_temp.id(7), 51, '1970-01-01', false, pg_temp.id(1), NULL, NULL, NULL,
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    },
    Search {
        parts: &["WHERE a.key_id = $3 AND (a.assigned_at, a.assignment_id) <"],
        arguments: "'infinity', pg_temp.id(0), pg_temp.id(7), 51, '1970-01-01', false, pg_temp.id(1), NULL, NULL, NULL,
            NULL, 'assigned', NULL, NULL, NULL, NULL, NULL, NULL",
    },
    Search {
        parts: &["WHERE a.student_id = $3 AND (a.assigned_at, a.assignment_id) <"],
        arguments: "'infinity', pg_temp.id(0), pg_temp.id(1), 51, '1970-01-01', true, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            NULL, NULL, NULL, NULL, NULL",
    },
    Search {
        parts: &["(i.status_since, i.enrollment_id)"],
        arguments: "ARRAY[pg_temp.id(1)], '1970-01-01', 'infinity', pg_temp.id(0), '1970-01-01', pg_temp.id(0), 0, 51, 3600",
    },
    Search {
        parts: &["(i.status_since, i.enrollment_id)"],
        arguments: "ARRAY[pg_temp.id(1)], '1970-01-01', 'infinity', pg_temp.id(1), '2030-01-08', pg_temp.id(0), 0, 51, 3600",
    },
    Search {
        parts: &["(i.assigned_at, i.assignment_id)"],
        arguments: "ARRAY[pg_temp.id(1)], '1970-01-01', 'infinity', pg_temp.id(0), '1970-01-01', pg_temp.id(0), 0, 51, 3600",
    },
];

const SEARCHES_OF_KEYS: [Search; 6] = [
    // The newest of a class; those generated within a day, somewhere in the middle; of an organization; those in use. For exports,
    // the newest of a class and of an organization.
    Search {
        parts: &["k.masked_code", "WHERE k.grant_id = $6 AND g.status"],
        arguments: "ARRAY[pg_temp.id(1)], 'ffffffff-ffff-ffff-ffff-ffffffffffff', 51, NULL, NULL, pg_temp.id(1), NULL, NULL,
            'class', pg_temp.id(0), NULL, NULL, NULL, NULL",
    },
    Search {
        parts: &["k.masked_code", "WHERE k.grant_id = $6 AND g.status"],
        arguments: "ARRAY[pg_temp.id(1)], pg_temp.id(432000), 51, NULL, NULL, pg_temp.id(1), NULL, NULL, 'class',
            pg_temp.id(400000), '2030-01-01', '2030-01-06', NULL, NULL",
    },
    Search {
        parts: &[
            "k.masked_code",
            "WHERE k.organization_id = r.organization_id AND g.status",
        ],
        arguments: "ARRAY[pg_temp.id(1)], pg_temp.id(500000), 51, 'enrollment', 'available', NULL, NULL, NULL, NULL,
            pg_temp.id(0), NULL, NULL, NULL, NULL",
    },
    Search {
        parts: &["k.masked_code", "WHERE k.grant_id = $6 AND g.status"],
        arguments: "ARRAY[pg_temp.id(1)], pg_temp.id(900000), 51, NULL, 'redeemed', pg_temp.id(1), NULL, NULL, 'class',
            pg_temp.id(0), NULL, NULL, '2030-02-01', '2031-01-01'",
    },
    Search {
        parts: &["c.sealed_code", "WHERE k.grant_id = $6 AND g.status"],
        arguments: "ARRAY[pg_temp.id(1)], 'ffffffff-ffff-ffff-ffff-ffffffffffff', 51, NULL, NULL, pg_temp.id(1), NULL, NULL,
            'class', pg_temp.id(0), NULL, NULL, NULL, NULL",
    },
    Search {
        parts: &[
            "c.sealed_code",
            "WHERE k.organization_id = r.organization_id AND g.status",
        ],
        arguments: "ARRAY[pg_temp.id(1)], pg_temp.id(500000), 51, NULL, NULL, NULL, NULL, NULL, NULL, pg_temp.id(0), NULL, NULL,
            NULL, NULL",
    },
];

/// The checked statement with all `parts` in it.
fn statement(parts: &[&str]) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sqlx");
    let files = std::fs::read_dir(directory).expect("the checked statements");
    let read = |file: std::fs::DirEntry| std::fs::read_to_string(file.path()).expect("a file");
    let mut found = files
        .map(|file| read(file.expect("a file")))
        .map(|text| serde_json::from_str::<Value>(&text).expect("JSON"))
        .map(|file| file["query"].as_str().expect("a statement").to_owned())
        .filter(|statement| parts.iter().all(|part| statement.contains(part)));
    let statement = found
        .next()
        .unwrap_or_else(|| panic!("no statement has {parts:?}"));
    assert_eq!(found.next(), None, "several have {parts:?}");
    statement
}

/// Fills a table, whose indexes are made when all is there: that takes a third of the time.
async fn fill(database: &mut PgConnection, schema: &str, table: &str, sql: &str) {
    let indexes = format!(
        "SELECT indexdef, schemaname || '.' || indexname FROM pg_indexes
         WHERE schemaname = '{schema}' AND tablename = '{table}'
           AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conname IS NOT NULL)"
    );
    let rows = sqlx::raw_sql(AssertSqlSafe(indexes))
        .fetch_all(&mut *database)
        .await;
    let indexes: Vec<(String, String)> = rows
        .expect("indexes")
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    for (_, name) in &indexes {
        run(database, &format!("DROP INDEX {name}")).await;
    }
    run(database, sql).await;
    for (definition, _) in &indexes {
        run(database, definition).await;
    }
    run(database, &format!("VACUUM ANALYZE {schema}.{table}")).await;
}

/// Every kind of node of a plan, with the table or index it reads.
fn nodes(plan: &Value, found: &mut Vec<String>) {
    let text = |field: &str| plan[field].as_str().unwrap_or_default().to_owned();
    found.push(format!(
        "{} {}{}",
        text("Node Type"),
        text("Relation Name"),
        text("Index Name")
    ));
    for inner in plan["Plans"].as_array().into_iter().flatten() {
        nodes(inner, found);
    }
}

/// Fills tables of a schema, and tries searches in them.
async fn try_all((schema, unlogged): (&str, &str), tables: &[(&str, &str)], searches: &[Search]) {
    // One after the other: each fills a good part of a gigabyte.
    static TURN: Mutex<()> = Mutex::const_new(());
    let _turn = TURN.lock().await;
    let own = cluster().database().await;
    let mut database = own.connect().await;
    let began = Instant::now();
    run(
        &mut database,
        "SET synchronous_commit = off;
         CREATE FUNCTION pg_temp.id(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT lpad(to_hex(n), 32, '0')::uuid $$",
    )
    .await;
    run(&mut database, unlogged).await;
    for (table, sql) in tables {
        fill(&mut database, schema, table, sql).await;
    }
    println!("filled in {:?}", began.elapsed());
    plan_as_services(&mut database).await;
    for search in searches {
        touches_few_pages(&mut database, search).await;
    }
    drop(database);
    cluster().drop_database(&own.name).await;
}

async fn touches_few_pages(database: &mut PgConnection, search: &Search) {
    let Search { parts, arguments } = search;
    let statement = statement(parts);
    run(database, "DEALLOCATE ALL").await;
    run(database, &format!("PREPARE search AS {statement}")).await;
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE search ({arguments})");
    let row = sqlx::raw_sql(AssertSqlSafe(explain))
        .fetch_one(database)
        .await;
    let plan: Value = row
        .unwrap_or_else(|error| panic!("{error}: {parts:?}"))
        .get(0);
    let plan = &plan[0]["Plan"];
    let pages = ["Shared Hit Blocks", "Shared Read Blocks"].map(|one| plan[one].as_u64());
    let pages: u64 = pages.into_iter().flatten().sum();
    println!("{pages} pages, {} rows: {parts:?}", plan["Actual Rows"]);
    let mut all = Vec::new();
    nodes(plan, &mut all);
    // Of organizations and classes there are few.
    let few = |node: &String| node.ends_with("organizations") || node.ends_with("grants");
    let scanned = all
        .iter()
        .any(|node| node.starts_with("Seq Scan") && !few(node));
    assert!(
        !scanned && pages < PAGES,
        "{pages} pages: {parts:?}\n{plan:#}"
    );
    let rows = plan["Actual Rows"].as_f64();
    assert!(rows > Some(40.0), "{parts:?} finds too few\n{plan:#}");
}

#[tokio::test]
async fn each_search_walks_an_index_and_touches_few_pages_of_a_million_rows() {
    try_all(("enrollment", UNLOGGED), &MILLION, &SEARCHES).await;
}

#[tokio::test]
async fn each_list_of_keys_walks_an_index_and_touches_few_pages_of_a_million_rows() {
    try_all(("keys", UNLOGGED_KEYS), &MILLION_KEYS, &SEARCHES_OF_KEYS).await;
}
