//! Who may not know of a thing does not wait for it: neither is the wait a sign that it is there, nor is anybody held up by
//! calls from where it is not known.

use sqlx::{Connection, PgConnection, Row as _};

use super::places::World;
use super::{Shows, ask, expected, judge, request, row, services, unreached};
use crate::harness::Stack;
use crate::harness::dynamic::{methods, path_of};

/// Locks every row of the organizations in every table of both services, in a transaction of `holder`'s; how many.
async fn hold_all(holder: &mut PgConnection, organizations: &[String]) -> usize {
    sqlx::query("BEGIN")
        .execute(&mut *holder)
        .await
        .expect("a transaction");
    let tables = sqlx::query(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.columns
         JOIN information_schema.tables USING (table_schema, table_name)
         WHERE table_schema IN ('keys', 'enrollment') AND column_name = 'organization_id' AND table_type = 'BASE TABLE'",
    );
    let tables = tables.fetch_all(&mut *holder).await.expect("tables");
    let mut held = 0;
    for table in tables {
        let table: String = table.get(0);
        let rows = format!(
            "SELECT 1 FROM {table} WHERE organization_id::text = ANY ($1) FOR NO KEY UPDATE"
        );
        let locked = sqlx::query(sqlx::AssertSqlSafe(rows))
            .bind(organizations)
            .fetch_all(&mut *holder)
            .await;
        held += locked.expect("locked").len();
    }
    held
}

#[tokio::test]
async fn nobody_waits_for_what_is_beyond_their_reach() {
    let stack = Stack::own().await;
    let world = World::new(&stack).await;
    let apart = world.scenes.iter().filter(|(place, _)| place.is_foreign());
    let organizations: Vec<String> = apart
        .map(|(_, scene)| scene.organization.id.clone())
        .collect();
    let mut holder = stack.database().await;
    let held = hold_all(&mut holder, &organizations).await;
    assert!(held > 30, "{held} rows");
    let (mut tried, mut wrong) = (0, Vec::new());
    for method in methods() {
        let row = row(&method);
        for (role, place, scene) in unreached(&world, &method) {
            if !place.is_foreign() {
                continue;
            }
            let shows = Shows::of(&method, row.beyond == super::matrix::Beyond::Empty, scene);
            let expected = expected(&row, role, place, &method);
            for service in services(&method) {
                let request = request(scene, &method, false).await;
                let answer = ask(service, &world.caller(role), &method, request).await;
                tried += 1;
                if let Err(what) = judge(answer, &expected, &shows) {
                    wrong.push(format!("{} by {role}: {what}", path_of(&method)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 100, "{tried} calls");
    holder.close().await.expect("let go");
    stack.finish().await;
}
