//! Each way into the trail goes along an index of its own, whatever the table's size.

use crate::harness::Stack;
use crate::harness::plans::{plan, statements};

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
        let list = format!("SELECT e.event_id FROM {schema}.audit_events e");
        for statement in statements(&list) {
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
