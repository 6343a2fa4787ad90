//! Lines of defence that hold even when the one before them does not: each of these tests fails when its line is gone,
//! which `planted_bugs` proves.

use futures::future::join_all;
use latchkey::stack::Service;
use latchkey_proto::enrollment::v1::{
    CancelClassRequest, CancelEnrollmentRequest, GetRosterRequest, RedemptionOutcome,
    RegisterWithKeyRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    ListMarksRequest, Mark, MarkKeysRequest, Release, ReleaseKeysRequest,
};
use latchkey_service_kit::config::DatabaseConfig;
use latchkey_service_kit::database;
use secrecy::ExposeSecret;

use crate::harness::invariants::told;
use crate::harness::logs;
use crate::harness::world::{come_in, enrolled, redeem, redeem_as, redemption};
use crate::harness::{
    ClassDraft, Options, Organization, Stack, at, eventually, new_id, now, reason_of, refused,
};
use crate::held_classes::{hold, let_go, somebody_waits};
use crate::registration::{registration, with_identity};

fn two_of_each() -> Options {
    Options {
        replicas: 2,
        ..Options::default()
    }
}

#[tokio::test]
async fn the_schema_itself_refuses_what_must_never_be() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
    let students = organization.students(2).await;
    let first = come_in(&stack, &students[0], &codes[0].code).await;
    let mut database = stack.database().await;
    // The row of the first enrollment once more, with another id and student: a second use of the key; then the same
    // student once more without a key, waiting for a seat; then one seat more than there are.
    for (statement, constraint) in [
        (
            "INSERT INTO enrollment.enrollments (enrollment_id, class_id, organization_id, student_id, status,
                 status_since, key_id, key_kind, generation, slot, holds_key, enrolled_at)
             SELECT $2, class_id, organization_id, $2, status, status_since, key_id, key_kind, generation, slot, holds_key,
                 enrolled_at
             FROM enrollment.enrollments WHERE enrollment_id = $1",
            "enrollments_key_slot",
        ),
        (
            "INSERT INTO enrollment.enrollments (enrollment_id, class_id, organization_id, student_id, status,
                 status_since, holds_key, enrolled_at)
             SELECT $2, class_id, organization_id, student_id, 'wait_listed', status_since, false, enrolled_at
             FROM enrollment.enrollments WHERE enrollment_id = $1",
            "enrollments_live",
        ),
        (
            "UPDATE enrollment.classes SET seats_taken = maximum_students + 1
             WHERE class_id = (SELECT class_id FROM enrollment.enrollments WHERE enrollment_id = $1) AND $2 IS NOT NULL",
            "seats_never_exceed_maximum",
        ),
    ] {
        let id: uuid::Uuid = first.enrollment_id.parse().expect("an id");
        let other: uuid::Uuid = students[1].parse().expect("an id");
        let done = sqlx::query(statement).bind(id).bind(other);
        let refusal = done.execute(&mut database).await;
        let refusal = refusal.err().unwrap_or_else(|| panic!("{constraint} is gone"));
        let refusal = refusal.into_database_error().expect("a constraint");
        assert_eq!(refusal.constraint(), Some(constraint), "{refusal}");
    }
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 1);
    stack.finish().await;
}

#[tokio::test]
async fn a_class_cancelled_in_the_rush_has_nobody_in_it() {
    let stack = Stack::with(two_of_each()).await;
    let organization = Organization::new(&stack).await;
    let (platform, admin) = (stack.platform(), organization.admin().on(1));
    for _ in 0..3 {
        let (class, code) = organization.event_class(ClassDraft::new()).await;
        let students = organization.students(24).await;
        // One after the other in each of four streams, so that some are on their way at any time.
        let rush = join_all(students.chunks(6).map(async |students| {
            let mut refusals = Vec::new();
            for student in students {
                let request = redemption(&new_id(), student, &code);
                let answer = platform.redemptions().redeem_key(request).await;
                refusals.extend(answer.err());
            }
            refusals
        }));
        let cancelling = async {
            let request = GetRosterRequest {
                class_id: class.class_id.clone(),
            };
            eventually("the first are in", async || {
                let roster = admin.enrollments().get_roster(request.clone()).await;
                let roster = roster.expect("the roster").into_inner();
                (roster.seats_taken > 1)
                    .then_some(())
                    .ok_or_else(|| "too few are".to_owned())
            })
            .await;
            let request = CancelClassRequest {
                class_id: class.class_id.clone(),
                ..CancelClassRequest::default()
            };
            let cancelled = admin.classes().cancel_class(request).await;
            cancelled.expect("cancelled");
        };
        let (refusals, ()) = futures::join!(rush, cancelling);
        for refusal in refusals.concat() {
            assert_eq!(reason_of(&refusal), ErrorReason::ClassCancelled);
        }
        let roster = organization.roster(&class.class_id).await;
        assert_eq!(enrolled(&roster), Vec::<String>::new(), "nobody stays in");
    }
    stack.finish().await;
}

#[tokio::test]
async fn what_was_answered_is_on_disk_however_soon_the_process_dies() {
    let mut stack = Stack::own().await;
    let id = new_id();
    {
        let organization = Organization::new(&stack).await;
        let (_, code) = organization.event_class(ClassDraft::new()).await;
        let student = organization.student().await.student_id;
        redeem_as(&stack, &id, &student, &code).await.expect("in");
    }
    let process = stack.replica(Service::Enrollment, 0);
    process.kill().await;
    process.run().await;
    let query = "SELECT count(*) FROM enrollment.redemptions WHERE redemption_id = $1::uuid";
    let mut database = stack.database().await;
    let recorded = sqlx::query_scalar(query).bind(&id).fetch_one(&mut database);
    let recorded: i64 = recorded.await.expect("a number");
    assert_eq!(recorded, 1, "it was answered and is not recorded");
    stack.finish().await;
}

#[tokio::test]
async fn the_neighbours_of_a_conflict_are_let_in() {
    let stack = Stack::with(two_of_each()).await;
    let organization = Organization::new(&stack).await;
    organization.let_register(true).await;
    let platform = stack.platform();
    for _ in 0..3 {
        let email = format!("{}@example.com", new_id());
        let mut conflicting = Vec::new();
        let mut neighbours = Vec::new();
        for replica in 0..2 {
            let (_, code) = organization.event_class(ClassDraft::new()).await;
            conflicting.push((
                replica,
                RegisterWithKeyRequest {
                    email: email.clone(),
                    credential: Some(with_identity(&new_id())),
                    ..registration(&organization.id, &code)
                },
            ));
            for student in organization.students(5).await {
                neighbours.push((replica, redemption(&new_id(), &student, &code)));
            }
        }
        let registering = join_all(conflicting.into_iter().map(|(replica, request)| {
            let mut client = platform.on(replica).redemptions();
            async move { client.register_with_key(request).await }
        }));
        let redeeming = join_all(neighbours.into_iter().map(|(replica, request)| {
            let mut client = platform.on(replica).redemptions();
            async move { client.redeem_key(request).await }
        }));
        let (registered, redeemed) = futures::join!(registering, redeeming);
        for answer in redeemed {
            let answer = answer.expect("a neighbour is let in").into_inner();
            assert_eq!(answer.outcome(), RedemptionOutcome::Enrolled);
        }
        let refusals: Vec<ErrorReason> = registered
            .iter()
            .filter_map(|answer| answer.as_ref().err())
            .map(reason_of)
            .collect();
        assert_eq!(refusals, [ErrorReason::EmailTaken]);
    }
    stack.finish().await;
}

#[tokio::test]
async fn an_id_that_is_decided_elsewhere_meanwhile_is_not_taken_for_anothers() {
    let mut stack = Stack::with(two_of_each()).await;
    let (platform, request) = {
        let organization = Organization::new(&stack).await;
        organization.let_register(true).await;
        let (_, code) = organization.event_class(ClassDraft::new()).await;
        let request = RegisterWithKeyRequest {
            credential: Some(with_identity(&new_id())),
            ..registration(&organization.id, &code)
        };
        (stack.platform(), request)
    };
    // The second process reads half of what is known, and the other half only after the first one has decided.
    let slow = stack.replica(Service::Enrollment, 1);
    slow.set_faults("facts::between=1*sleep(4000)").await;
    let register = async |replica: usize| {
        let mut client = platform.on(replica).redemptions();
        client.register_with_key(request.clone()).await
    };
    let (here, there) = futures::join!(register(1), register(0));
    let made = there.expect("registered").into_inner();
    let again = here.expect("the same answer").into_inner();
    assert_eq!(made.enrollment, again.enrollment);
    assert!(again.replayed);
    stack.finish().await;
}

#[tokio::test]
async fn who_came_first_gets_the_last_seats() {
    let stack = Stack::with(Options {
        enrollment: "[database]\nlock_timeout_ms = 20000\nstatement_timeout_ms = 25000",
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization
        .event_class(ClassDraft::new().maximum(10))
        .await;
    let students = organization.students(20).await;
    let mut holder = stack.database().await;
    hold(&mut holder, &class.class_id).await;
    let waiters = join_all(
        students
            .iter()
            .map(|student| redeem(&stack, student, &code)),
    );
    let meanwhile = async {
        somebody_waits(&stack, &mut holder).await;
        // Those behind the first must have come up to it.
        for _ in 0..2 {
            organization.roster(&class.class_id).await;
        }
        let_go(&mut holder).await;
    };
    let (answers, ()) = futures::join!(waiters, meanwhile);
    let in_order: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(in_order, [[true; 10], [false; 10]].concat());
    stack.finish().await;
}

#[tokio::test]
async fn a_failed_transaction_never_passes_for_a_committed_one() {
    let stack = Stack::shared().await;
    let url = &stack.site().database.services.enrollment_url;
    let config: DatabaseConfig =
        serde_json::from_value(serde_json::json!({ "url": url.expose_secret() }))
            .expect("a configuration");
    let pool = database::pool(&config, "latchkey-tests").expect("a pool");
    let mut transaction = database::begin(&pool).await.expect("a transaction");
    let failed = sqlx::query("SELECT 1 / 0").execute(&mut *transaction).await;
    failed.expect_err("a statement that fails, and that nobody heeds");
    let committed = transaction.commit().await;
    committed.expect_err("nothing was committed");
    pool.close().await;
}

#[tokio::test]
async fn what_keys_missed_it_is_told_again() {
    let mut stack = Stack::own().await;
    let (admin, enrollment_id) = {
        let organization = Organization::new(&stack).await;
        let (_, code) = organization.event_class(ClassDraft::new()).await;
        let student = organization.student().await.student_id;
        let enrollment = come_in(&stack, &student, &code).await;
        eventually("keys knows of it", async || told(&stack).await).await;
        (organization.admin(), enrollment.enrollment_id)
    };
    stack.replica(Service::Keys, 0).kill().await;
    let request = CancelEnrollmentRequest {
        enrollment_id,
        ..CancelEnrollmentRequest::default()
    };
    let cancelled = admin.enrollments().cancel_enrollment(request).await;
    cancelled.expect("cancelled");
    // Long enough for a delivery to have been tried, and to have failed.
    eventually("it was tried", async || {
        let tried = logs::all(stack.site()).contains("what the keys service is owed is late");
        tried.then_some(()).ok_or_else(|| "not yet".to_owned())
    })
    .await;
    stack.replica(Service::Keys, 0).run().await;
    stack.finish().await;
}

#[tokio::test]
async fn uses_told_in_any_order_and_number_come_to_the_same() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let (_, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
    let mark = || Mark {
        redemption_id: new_id(),
        key_id: codes[0].key_id.clone(),
        student_id: new_id(),
        generation: 1,
        redeem_time: at(now()),
        release_time: None,
    };
    let (earlier, later) = (mark(), mark());
    let mut keys = stack.enrollment_service().key_usage();
    let marks = |marks: &[&Mark]| MarkKeysRequest {
        marks: marks.iter().map(|&mark| mark.clone()).collect(),
    };
    let release = || ReleaseKeysRequest {
        releases: vec![Release {
            mark: Some(earlier.clone()),
            release_time: at(now()),
        }],
    };
    // The release of the earlier use arrives first, twice, and after the mark of the later one; its mark arrives last.
    keys.mark_keys(marks(&[&later])).await.expect("marked");
    keys.release_keys(release()).await.expect("released");
    keys.release_keys(release()).await.expect("released");
    keys.mark_keys(marks(&[&earlier, &later]))
        .await
        .expect("marked");
    let all = keys.list_marks(ListMarksRequest::default()).await;
    let mut marks = all.expect("the marks").into_inner().marks;
    marks.retain(|mark| mark.release_time.is_none());
    let live: Vec<&str> = marks.iter().map(|one| one.student_id.as_str()).collect();
    assert_eq!(live, [later.student_id.as_str()], "one use lives on");
    stack.finish_after_untruths().await;
}

#[tokio::test]
async fn a_key_whose_use_only_keys_remembers_is_refused_as_redeemed() {
    let mut stack = Stack::own().await;
    {
        let organization = Organization::new(&stack).await;
        let (_, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
        let student = organization.student().await.student_id;
        let marks = vec![Mark {
            redemption_id: new_id(),
            key_id: codes[0].key_id.clone(),
            student_id: new_id(),
            generation: 1,
            redeem_time: at(now()),
            release_time: None,
        }];
        let mut keys = stack.enrollment_service().key_usage();
        keys.mark_keys(MarkKeysRequest { marks })
            .await
            .expect("marked");
        refused(
            redeem(&stack, &student, &codes[0].code).await,
            ErrorReason::KeyAlreadyRedeemed,
        );
    }
    // Also by a process that has seen nothing of it.
    stack.replica(Service::Enrollment, 0).stop().await;
    stack.replica(Service::Enrollment, 0).run().await;
    stack.finish_after_untruths().await;
}
