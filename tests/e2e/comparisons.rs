//! The two services are compared at intervals, and by `latchkey verify` while calls go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use latchkey::verify::{Databases, Drain, verify};
use latchkey_proto::enrollment::v1::{CancelEnrollmentRequest, UpdateClassRequest};
use latchkey_proto::keys::v1::SetEventKeyRequest;
use sqlx::PgConnection;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::harness::cluster::cluster;
use crate::harness::invariants::told;
use crate::harness::logs;
use crate::harness::plans::{plan_as_services, plan_on, run, statements};
use crate::harness::world::{come_in, generated_with_grace, mask, redemption};
use crate::harness::{
    Caller, ClassDraft, Options, Organization, Stack, a_session, eventually, new_id,
};
use crate::held_classes::let_go;

/// How long the load goes on, and how often at least it is verified meanwhile.
const LOAD: Duration = Duration::from_secs(6);
const AT_LEAST: usize = 3;

#[tokio::test]
async fn a_mark_that_got_lost_in_keys_is_there_again_after_the_next_comparison() {
    let stack = Stack::with(Options {
        replicas: 2,
        enrollment: "[sweeper]\ncomparison_interval_s = 1",
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let enrollment = come_in(&stack, &student, &code).await;
    eventually("keys knows of it", async || told(&stack).await).await;
    let lost = sqlx::query("DELETE FROM keys.marks WHERE redemption_id = $1::uuid")
        .bind(&enrollment.enrollment_id)
        .execute(&mut stack.database().await)
        .await;
    assert_eq!(lost.expect("deleted").rows_affected(), 1);
    // Nothing is owed: only a comparison can tell. `finish` waits for it.
    stack.finish().await;
}

/// Closes a table that nothing but a look at all invariants reads, to everybody else, in a transaction of `holder`'s.
async fn close(holder: &mut PgConnection) {
    run(
        holder,
        "BEGIN; LOCK TABLE enrollment.billing_closings IN ACCESS EXCLUSIVE MODE",
    )
    .await;
}

#[tokio::test]
async fn a_look_at_all_rows_may_take_longer_than_other_statements_and_reads_tables_whole() {
    let stack = Stack::with(Options {
        enrollment: "[database]\nstatement_timeout_ms = 500\nlock_timeout_ms = 20000\n\
                     [sweeper]\ncomparison_interval_s = 1",
        ..Options::default()
    })
    .await;
    let mut holder = stack.database().await;
    close(&mut holder).await;
    let long = "wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '1 second'";
    a_session(&stack, "waits for longer", long).await;
    let_go(&mut holder).await;
    eventually("compared, and looked", async || {
        let whole: bool = sqlx::query_scalar(
            "SELECT ended_at IS NOT NULL AND (
                SELECT s.seq_scan > 0 FROM pg_stat_user_tables s WHERE s.relid = 'enrollment.enrollments'::regclass
            ) FROM enrollment.comparisons",
        )
        .fetch_one(&mut stack.database().await)
        .await
        .expect("a comparison");
        whole.then_some(()).ok_or_else(|| "it is not".to_owned())
    })
    .await;
    stack.finish().await;
}

#[tokio::test]
async fn what_was_compared_is_told_also_when_the_invariants_cannot_be_looked_at() {
    let stack = Stack::with(Options {
        enrollment: "[database]\nlock_timeout_ms = 100\n[sweeper]\ncomparison_interval_s = 1",
        ..Options::default()
    })
    .await;
    let mut holder = stack.database().await;
    close(&mut holder).await;
    for told in [
        "compared with the keys service",
        "the invariants could not be looked at",
    ] {
        eventually(told, async || {
            let logged = logs::all(stack.site());
            let found = logged.contains(told);
            found.then_some(()).ok_or(logged)
        })
        .await;
    }
    let_go(&mut holder).await;
    stack.finish().await;
}

#[tokio::test]
async fn uses_are_read_page_by_page_in_the_order_of_indexes_whatever_they_granted() {
    let empty = cluster().database().await;
    let mut database = empty.connect().await;
    plan_as_services(&mut database).await;
    for ordered in ["ORDER BY u.redemption_id", "ORDER BY u.changed_xid"] {
        let found = statements(ordered);
        assert!(!found.is_empty(), "{ordered}");
        for statement in found {
            let parameters = (1..).take_while(|one| statement.contains(&format!("${one}")));
            let plan = plan_on(&mut database, &statement, parameters.count()).await;
            assert!(plan.contains("Merge Append"), "{statement}:\n{plan}");
        }
    }
    drop(database);
    cluster().drop_database(&empty.name).await;
}

/// A student comes by the event key and leaves by themselves, again and again; how often.
async fn come_and_go(
    enough: Arc<AtomicBool>,
    (platform, student): (Caller, Caller),
    student_id: String,
    code: String,
) -> usize {
    let mut times = 0;
    while !enough.load(Ordering::Relaxed) {
        let request = redemption(&new_id(), &student_id, &code);
        let answer = platform.redemptions().redeem_key(request).await;
        let enrollment = answer.expect("in").into_inner().enrollment;
        let request = CancelEnrollmentRequest {
            enrollment_id: enrollment.expect("an enrollment").enrollment_id,
            ..CancelEnrollmentRequest::default()
        };
        let left = student.enrollments().cancel_enrollment(request).await;
        left.expect("cancelled");
        times += 1;
    }
    times
}

/// Staff rename the class and replace its code, again and again; how often.
async fn change(enough: Arc<AtomicBool>, admin: Caller, class_id: String) -> usize {
    let mut times = 0;
    while !enough.load(Ordering::Relaxed) {
        let request = UpdateClassRequest {
            class_id: class_id.clone(),
            update_mask: mask(&["name"]),
            name: new_id(),
            ..UpdateClassRequest::default()
        };
        admin.classes().update_class(request).await.expect("named");
        let request = SetEventKeyRequest {
            request_id: new_id(),
            class_id: class_id.clone(),
            // Long enough for those who have the first one.
            change: Some(generated_with_grace(86_400)),
            etag: String::new(),
        };
        let set = admin.training_keys().set_event_key(request).await;
        set.expect("replaced");
        times += 1;
        sleep(Duration::from_millis(20)).await;
    }
    times
}

#[tokio::test]
async fn verify_finds_nothing_while_students_come_and_go_and_staff_change_everything() {
    let stack = Stack::with(Options {
        replicas: 2,
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let enough = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    for (number, student) in organization.students(6).await.into_iter().enumerate() {
        let callers = (stack.platform(), stack.student(&student));
        let callers = (callers.0.on(number % 2), callers.1.on(number % 2));
        load.spawn(come_and_go(
            Arc::clone(&enough),
            callers,
            student,
            code.clone(),
        ));
    }
    let admin = organization.admin();
    load.spawn(change(Arc::clone(&enough), admin, class.class_id));

    let services = &stack.site().database.services;
    let databases = Databases::connect(&services.keys_url, &services.enrollment_url);
    let databases = databases.await.expect("connections");
    let (began, mut verified) = (Instant::now(), 0);
    while verified < AT_LEAST || began.elapsed() < LOAD {
        let report = verify(&databases, &Drain::default()).await;
        let report = report.expect("a report");
        assert!(report.is_ok(), "{}", report.for_people());
        verified += 1;
    }
    enough.store(true, Ordering::Relaxed);
    let times: Vec<usize> = load.join_all().await;
    assert!(times.iter().all(|&times| times > 0), "{times:?}");
    println!("verified {verified} times meanwhile: {times:?}");
    databases.close().await;
    stack.finish().await;
}
