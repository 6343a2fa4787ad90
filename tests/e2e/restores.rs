//! Either database alone is put back to what it was before: what can be derived is mended, the rest is listed, and
//! nothing that was decided is undone.

use latchkey::verify::{Databases, Drain, Repaired, repair};
use latchkey_enrollment::Config;
use latchkey_proto::enrollment::v1::UpdateClassRequest;
use latchkey_proto::errors::v1::ErrorReason;
use sqlx::AssertSqlSafe;

use crate::harness::world::{come_in, generated, redeem};
use crate::harness::{ClassDraft, Organization, Stack, refused};

/// Tables of each schema, those that are referred to first.
const KEYS: [&str; 10] = [
    "keys.organizations",
    "keys.grants",
    "keys.pools",
    "keys.training_keys",
    "keys.subscription_keys",
    "keys.codes",
    "keys.marks",
    "keys.requests",
    "keys.batches",
    "keys.audit_events",
];
const ENROLLMENT: [&str; 21] = [
    "enrollment.organizations",
    "enrollment.classes",
    "enrollment.students",
    "enrollment.profiles",
    "enrollment.redemptions",
    "enrollment.enrollments",
    "enrollment.assignments",
    "enrollment.billing_closings",
    "enrollment.billing_periods",
    "enrollment.billing_lines",
    "enrollment.notification_plans",
    "enrollment.notification_settings",
    "enrollment.class_notifications",
    "enrollment.notification_progress",
    "enrollment.notification_times",
    "enrollment.notification_expiries",
    "enrollment.notification_opt_outs",
    "enrollment.letters",
    "enrollment.deliveries",
    "enrollment.requests",
    "enrollment.audit_events",
];

async fn execute(stack: &Stack, statement: String) {
    let mut connection = stack.database().await;
    let done = sqlx::raw_sql(AssertSqlSafe(statement.clone()));
    done.execute(&mut connection).await.expect(&statement);
}

fn copy_of(table: &str) -> String {
    table.replace('.', "_backup_")
}

async fn back_up(stack: &Stack, tables: &[&str]) {
    for table in tables {
        let copy = copy_of(table);
        execute(
            stack,
            format!("CREATE TABLE public.{copy} AS TABLE {table}"),
        )
        .await;
    }
}

/// The columns of `table` that are written: of all but those that the database computes.
async fn columns(stack: &Stack, table: &str) -> String {
    sqlx::query_scalar(
        "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
         WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
    )
    .bind(table)
    .fetch_one(&mut stack.database().await)
    .await
    .expect("columns")
}

/// Puts the tables back; `and_then` is done in the same transaction.
async fn restore(stack: &Stack, tables: &[&str], and_then: &str) {
    let mut fill = Vec::new();
    for table in tables {
        let (copy, columns) = (copy_of(table), columns(stack, table).await);
        fill.push(format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM public.{copy};"
        ));
    }
    let fill = fill.concat();
    let all = tables.join(", ");
    execute(
        stack,
        format!("BEGIN; TRUNCATE {all}; {fill} {and_then}; COMMIT"),
    )
    .await;
}

async fn repaired(stack: &Stack) -> Repaired {
    let config = stack.site().enrollment[0].config.clone();
    let config = Config::load(Some(&config)).expect("a configuration");
    let services = &stack.site().database.services;
    let databases = Databases::connect(&services.keys_url, &services.enrollment_url);
    let databases = databases.await.expect("connections");
    let done = repair(&databases, &config, true, &Drain::default()).await;
    databases.close().await;
    done.expect("repaired")
}

/// What is left, each as the table and the id, in their order.
fn left(repaired: &Repaired) -> Vec<(&str, String)> {
    let findings = repaired.left.findings.iter();
    findings.map(|one| (one.table, one.id.clone())).collect()
}

#[tokio::test]
async fn of_keys_marks_and_copies_are_mended_and_lost_revocations_and_rotations_listed() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let (class, first) = organization.event_class(ClassDraft::new()).await;
    let codes = organization.generate(&class.class_id, 4).await;
    let students = organization.students(4).await;
    let before = come_in(&stack, &students[0], &codes[0].code).await;
    crate::harness::invariants::hold(&stack).await;
    back_up(&stack, &KEYS).await;

    organization.cancel(&before.enrollment_id, "moved").await;
    come_in(&stack, &students[1], &codes[1].code).await;
    organization.revoke(&[&codes[2].key_id]).await;
    let revoked = redeem(&stack, &students[2], &codes[2].code).await;
    refused(revoked, ErrorReason::KeyRevoked);
    organization
        .set_event_key(&class.class_id, generated())
        .await;
    refused(
        redeem(&stack, &students[2], &first).await,
        ErrorReason::CodeReplaced,
    );
    let renamed = UpdateClassRequest {
        name: "Another name".to_owned(),
        ..UpdateClassRequest::default()
    };
    organization
        .update_class(&class.class_id, &["name"], renamed)
        .await;
    crate::harness::invariants::hold(&stack).await;
    restore(&stack, &KEYS, "SELECT").await;

    let done = repaired(&stack).await;

    let mended = done.mended;
    assert_eq!(
        (mended.marks, mended.releases, mended.copies),
        (1, 1, 1),
        "{}",
        done.for_people()
    );
    let left = left(&done);
    assert_eq!(left.len(), 2, "{}", done.for_people());
    assert!(left.iter().all(|(table, _)| *table == "keys.training_keys"));
    assert!(left.iter().any(|(_, id)| *id == codes[2].key_id));
    come_in(&stack, &students[3], &codes[3].code).await;
    // The marks and copies are whole again.
    stack.finish().await;
}

#[tokio::test]
async fn of_enrollment_copies_get_newer_originals_and_keys_of_lost_redemptions_stay_refused() {
    let stack = Stack::own().await;
    let (codes, newcomer, other) = {
        let organization = Organization::new(&stack).await;
        let (class, codes) = organization.keyed_class(ClassDraft::new(), 3).await;
        let students = organization.students(2).await;
        come_in(&stack, &students[0], &codes[0].code).await;
        crate::harness::invariants::hold(&stack).await;
        back_up(&stack, &ENROLLMENT).await;
        let newcomer = organization.student().await.student_id;
        come_in(&stack, &newcomer, &codes[1].code).await;
        for name in ["Second name", "Third name"] {
            let renamed = UpdateClassRequest {
                name: name.to_owned(),
                ..UpdateClassRequest::default()
            };
            organization
                .update_class(&class.class_id, &["name"], renamed)
                .await;
        }
        crate::harness::invariants::hold(&stack).await;
        (codes, newcomer, students[1].clone())
    };
    // As from a server that was far ahead.
    let ahead = "UPDATE enrollment.enrollments SET changed_xid = '4000000000';
        UPDATE enrollment.deliveries SET delivered_below = '4000000001'";
    restore(&stack, &ENROLLMENT, ahead).await;

    let done = repaired(&stack).await;

    assert_eq!(done.mended.copies, 1, "{}", done.for_people());
    let left = left(&done);
    let tables: Vec<&str> = left.iter().map(|(table, _)| *table).collect();
    assert_eq!(
        tables,
        ["enrollment.students", "keys.marks"],
        "{}",
        done.for_people()
    );
    assert_eq!(left[0].1, newcomer);
    refused(
        redeem(&stack, &other, &codes[1].code).await,
        ErrorReason::KeyAlreadyRedeemed,
    );
    // What is decided from now on is told as ever.
    come_in(&stack, &other, &codes[2].code).await;
    crate::harness::eventually("told", async || {
        let again = Box::pin(repaired(&stack)).await;
        let count = again.left.findings.len();
        (count == 2).then_some(()).ok_or(again.for_people())
    })
    .await;
    stack.finish_after_untruths().await;
}
