//! Courses at one's own pace: the key of a pool assigns its course to one student, until the assignment expires.

use chrono::TimeDelta;
use futures::future::join_all;
use latchkey_proto::audit::v1::ListAuditEventsRequest;
use latchkey_proto::enrollment::v1::{
    AccessDenial, Assignment, AssignmentEndedBy, AssignmentStatus, CancelAssignmentRequest,
    CancelAssignmentResponse, CourseAssignment, GetAccessRequest, GetAccessResponse,
    GetRedemptionRequest, ListAssignmentsRequest, RecordLaunchRequest, RecordLaunchResponse,
    RedeemKeyResponse, RedemptionOutcome,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    GetKeyPoolRequest, GetTrainingKeyRequest, KeyKind, KeyPool, KeyState, UpdateKeyPoolRequest,
};
use latchkey_service_kit::status::metadata_of;
use tonic::{Response, Status};

use crate::harness::time::read;
use crate::harness::world::{check, mask, redeem, redeem_as, redemption};
use crate::harness::{
    Caller, Options, Organization, PoolDraft, Stack, at, eventually, new_id, now, reason_of,
    refused,
};
use crate::registration::registration;

/// A pool with one key; its code and the key's id.
async fn keyed_pool(
    organization: &Organization<'_>,
    draft: PoolDraft,
) -> (KeyPool, String, String) {
    let pool = organization.pool(draft).await;
    let code = organization.pool_keys(&pool.pool_id, 1).await.remove(0);
    (pool, code.code, code.key_id)
}

fn assignment(answer: Result<Response<RedeemKeyResponse>, Status>) -> CourseAssignment {
    let answer = answer.expect("granted").into_inner();
    assert!(answer.enrollment.is_none() && answer.opened_class.is_none());
    answer.course_assignment.expect("an assignment")
}

fn course(assignment: Option<Assignment>) -> CourseAssignment {
    let assignment = assignment.expect("an assignment");
    assert!(assignment.subscription_assignment.is_none());
    assignment.course_assignment.expect("of a course")
}

pub(crate) async fn cancel(
    caller: &Caller,
    assignment_id: &str,
) -> Result<Response<CancelAssignmentResponse>, Status> {
    let request = CancelAssignmentRequest {
        assignment_id: assignment_id.to_owned(),
        reason: "a mistake".to_owned(),
    };
    caller.assignments().cancel_assignment(request).await
}

pub(crate) async fn launch(
    stack: &Stack,
    assignment_id: &str,
) -> Result<Response<RecordLaunchResponse>, Status> {
    let request = RecordLaunchRequest {
        assignment_id: assignment_id.to_owned(),
    };
    let platform = stack.platform();
    platform.assignments().record_launch(request).await
}

pub(crate) async fn access(stack: &Stack, student_id: &str, course_id: &str) -> GetAccessResponse {
    let request = GetAccessRequest {
        student_id: student_id.to_owned(),
        class_id: String::new(),
        course_id: course_id.to_owned(),
    };
    let platform = stack.platform();
    let answer = platform.enrollments().get_access(request).await;
    answer.expect("an answer").into_inner()
}

#[tokio::test]
async fn a_pool_key_assigns_its_course_and_the_pool_shows_to_whom_and_when() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (pool, code, key_id) = keyed_pool(&organization, PoolDraft::new()).await;
    let student = organization.student().await.student_id;
    let id = new_id();
    let answer = redeem_as(&stack, &id, &student, &code).await;
    let made = answer.as_ref().expect("assigned").get_ref().clone();
    assert_eq!(made.outcome(), RedemptionOutcome::Assigned);
    assert!(!made.replayed);
    let made = assignment(answer);
    assert_eq!((&made.assignment_id, &made.student_id), (&id, &student));
    assert_eq!((&made.pool_id, &made.key_id), (&pool.pool_id, &key_id));
    assert_eq!(made.course_id, pool.course_id);
    let lasts = read(made.expire_time.as_ref()) - read(made.assign_time.as_ref());
    assert_eq!(lasts, TimeDelta::days(90), "as long as the pool says");

    eventually("marked", async || {
        let request = GetTrainingKeyRequest {
            key_id: key_id.clone(),
        };
        let mut keys = organization.admin().training_keys();
        let key = keys.get_training_key(request).await.expect("the key");
        let key = key.into_inner().key.expect("a key");
        let shown = key.uses.first().cloned().unwrap_or_default();
        if key.state() == KeyState::Redeemed
            && shown.student_id == student
            && shown.redeem_time == made.assign_time
        {
            Ok(())
        } else {
            Err(format!("{key:?}"))
        }
    })
    .await;
    let request = GetKeyPoolRequest {
        pool_id: pool.pool_id.clone(),
    };
    let mut pools = organization.admin().key_pools();
    let count = pools.get_key_pool(request).await.expect("the pool");
    assert_eq!(count.into_inner().count.expect("a count").redeemed, 1);
    let request = ListAssignmentsRequest {
        pool_id: pool.pool_id.clone(),
        ..ListAssignmentsRequest::default()
    };
    let mut assignments = organization.admin().assignments();
    let listed = assignments.list_assignments(request).await.expect("a list");
    let listed = listed.into_inner().assignments.into_iter();
    assert_eq!(
        listed.map(|one| course(Some(one))).collect::<Vec<_>>(),
        [made]
    );
    let request = GetRedemptionRequest { redemption_id: id };
    let mut redemptions = organization.admin().redemptions();
    let recorded = redemptions.get_redemption(request).await.expect("recorded");
    let recorded = recorded.into_inner().redemption.expect("a redemption");
    assert_eq!(recorded.key_kind(), KeyKind::Pool);
    assert_eq!(recorded.assignment_id, recorded.redemption_id);
    stack.finish().await;
}

#[tokio::test]
async fn the_same_key_again_is_answered_with_the_same_assignment_and_is_no_other_students() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (_, code, key_id) = keyed_pool(&organization, PoolDraft::new()).await;
    let student = organization.student().await.student_id;
    let id = new_id();
    let made = assignment(redeem_as(&stack, &id, &student, &code).await);
    let again = redeem(&stack, &student, &code)
        .await
        .expect("there already");
    let again = again.into_inner();
    assert_eq!(again.outcome(), RedemptionOutcome::AlreadyIn);
    assert!(again.replayed);
    assert_eq!(again.course_assignment.as_ref(), Some(&made));
    let other = organization.student().await.student_id;
    refused(
        redeem(&stack, &other, &code).await,
        ErrorReason::KeyAlreadyRedeemed,
    );
    refused(
        redeem_as(&stack, &id, &other, &code).await,
        ErrorReason::RequestIdReused,
    );
    organization.revoke(&[&key_id]).await;
    let replay = redeem_as(&stack, &id, &student, &code).await;
    assert!(replay.as_ref().expect("the same").get_ref().replayed);
    assert_eq!(assignment(replay), made);
    stack.finish().await;
}

#[tokio::test]
async fn it_can_be_cancelled_while_nothing_was_launched_and_its_key_is_free_again() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (_, code, _) = keyed_pool(&organization, PoolDraft::new()).await;
    let [one, other] = [
        organization.student().await.student_id,
        organization.student().await.student_id,
    ];
    let made = assignment(redeem(&stack, &one, &code).await);
    for _ in 0..2 {
        let cancelled = cancel(&stack.student(&one), &made.assignment_id).await;
        let cancelled = cancelled.expect("cancelled").into_inner().assignment;
        let cancelled = course(cancelled);
        assert_eq!(cancelled.status(), AssignmentStatus::Cancelled);
        assert_eq!(cancelled.ended_by(), AssignmentEndedBy::Student);
    }
    refused(
        launch(&stack, &made.assignment_id).await,
        ErrorReason::AssignmentCancelled,
    );
    let second = assignment(redeem(&stack, &other, &code).await);
    assert_ne!(second.assignment_id, made.assignment_id);
    for _ in 0..2 {
        let launched = launch(&stack, &second.assignment_id).await;
        let launched = launched.expect("launched").into_inner().assignment;
        assert!(course(launched).launch_time.is_some());
    }
    refused(
        cancel(&organization.manager(), &second.assignment_id).await,
        ErrorReason::AssignmentLaunched,
    );
    refused(
        cancel(&stack.student(&one), &second.assignment_id).await,
        ErrorReason::AssignmentNotFound,
    );
    for (id, actions) in [
        (&made.assignment_id, ["assignment.cancel"]),
        (&second.assignment_id, ["assignment.launch"]),
    ] {
        let request = ListAuditEventsRequest {
            resource_id: id.clone(),
            outcome: latchkey_proto::audit::v1::AuditOutcome::Done.into(),
            ..ListAuditEventsRequest::default()
        };
        let mut audit = organization.admin().enrollment_audit();
        let events = audit.list_audit_events(request).await.expect("events");
        let events = events.into_inner().events;
        let found: Vec<&str> = events.iter().map(|event| &*event.action).collect();
        assert_eq!(found, actions, "once each");
    }
    stack.finish().await;
}

#[tokio::test]
async fn it_can_be_redeemed_from_the_start_of_the_pool_until_it_expires() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let hours = TimeDelta::hours;
    let draft = PoolDraft::new().dates(now() + hours(1), now() + hours(2));
    let (pool, code, _) = keyed_pool(&organization, draft).await;
    let student = organization.student().await.student_id;
    let early = refused(
        redeem(&stack, &student, &code).await,
        ErrorReason::WindowNotOpen,
    );
    let opens = metadata_of(&early)["opens_at"].parse::<chrono::DateTime<chrono::Utc>>();
    assert_eq!(opens.expect("a time"), read(pool.start_time.as_ref()));
    let dates = |start, expiry| UpdateKeyPoolRequest {
        pool_id: pool.pool_id.clone(),
        update_mask: mask(&["start_time", "expire_time"]),
        start_time: at(now() + start),
        expire_time: at(now() + expiry),
        ..UpdateKeyPoolRequest::default()
    };
    let mut pools = organization.admin().key_pools();
    let moved = dates(hours(-2), hours(-1));
    pools.update_key_pool(moved).await.expect("moved");
    refused(
        redeem(&stack, &student, &code).await,
        ErrorReason::WindowClosed,
    );
    let moved = dates(hours(-2), hours(1));
    pools.update_key_pool(moved).await.expect("moved");
    let made = assignment(redeem(&stack, &student, &code).await);
    let moved = dates(hours(-2), hours(-1));
    pools.update_key_pool(moved).await.expect("moved");
    let kept = access(&stack, &student, &made.course_id).await;
    assert!(kept.allowed, "what was granted stays");
    stack.finish().await;
}

#[tokio::test]
async fn students_of_organizations_below_may_redeem_only_if_the_pool_is_open_to_them() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let below = organization.child().await.student().await.student_id;
    let (_, closed, _) = keyed_pool(&organization, PoolDraft::new()).await;
    refused(
        redeem(&stack, &below, &closed).await,
        ErrorReason::OrganizationMismatch,
    );
    let draft = PoolDraft::new().change(|request| request.open_to_descendants = true);
    let (_, open, _) = keyed_pool(&organization, draft.clone()).await;
    assignment(redeem(&stack, &below, &open).await);
    let (_, open, _) = keyed_pool(
        &organization,
        draft.change(|request| request.request_id = new_id()),
    )
    .await;
    let stranger = Organization::new(&stack).await.student().await.student_id;
    refused(
        redeem(&stack, &stranger, &open).await,
        ErrorReason::OrganizationMismatch,
    );
    stack.finish().await;
}

#[tokio::test]
async fn who_registers_with_it_gets_an_account_and_the_course() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    organization.let_register(true).await;
    let (_, code, _) = keyed_pool(&organization, PoolDraft::new()).await;
    let request = registration(&organization.id, &code);
    let platform = stack.platform();
    for replayed in [false, true] {
        let mut redemptions = platform.redemptions();
        let answer = redemptions.register_with_key(request.clone()).await;
        let answer = answer.expect("registered").into_inner();
        assert_eq!(answer.replayed, replayed);
        let assignment = answer.course_assignment.expect("an assignment");
        let student = answer.student.expect("an account").student_id;
        assert_eq!(assignment.student_id, student);
        assert_eq!(assignment.assignment_id, request.redemption_id);
    }
    let late = registration(&organization.id, &code);
    let answer = platform.redemptions().register_with_key(late).await;
    refused(answer, ErrorReason::KeyAlreadyRedeemed);
    stack.finish().await;
}

#[tokio::test]
async fn the_check_and_the_access_answer_tell_of_the_course() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = PoolDraft::new().change(|request| request.course_id = new_id());
    let (pool, code, _) = keyed_pool(&organization, draft).await;
    let student = organization.student().await.student_id;
    let checked = check(&stack, &student, &code).await;
    let checked = checked.expect("good").into_inner();
    assert_eq!(checked.key_kind(), KeyKind::Pool);
    assert!(checked.opened_class.is_none() && !checked.already_in);
    assert_eq!(checked.redeemable_until, pool.expire_time);
    let course = checked.opened_course.expect("a course");
    assert_eq!(course.course_name, pool.course_name);
    let lasts = read(course.expire_time.as_ref()) - now();
    assert!(lasts > TimeDelta::days(89) && lasts <= TimeDelta::days(90));

    let before = access(&stack, &student, &pool.course_id).await;
    assert_eq!(before.denial(), AccessDenial::NotAssigned);
    let made = assignment(redeem(&stack, &student, &code).await);
    let open = access(&stack, &student, &pool.course_id).await;
    assert!(open.allowed && open.enrollment.is_none());
    assert_eq!(open.access_from, made.assign_time);
    assert_eq!(open.access_until, made.expire_time);
    assert_eq!(open.course_assignment, Some(made.clone()));
    let checked = check(&stack, &student, &code).await;
    assert!(
        checked
            .expect("used by the student")
            .into_inner()
            .already_in
    );
    let cancelled = cancel(&organization.admin(), &made.assignment_id).await;
    cancelled.expect("cancelled");
    let after = access(&stack, &student, &pool.course_id).await;
    assert_eq!(after.denial(), AccessDenial::NotAssigned);
    stack.finish().await;
}

#[tokio::test]
async fn of_50_students_racing_for_one_pool_key_over_two_processes_one_has_the_course() {
    let stack = Stack::with(Options {
        replicas: 2,
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await;
    let codes = organization.pool_keys(&pool.pool_id, 3).await;
    let students = organization.students(50).await;
    let platform = stack.platform();
    let rush = students.iter().enumerate().flat_map(|(number, student)| {
        let caller = platform.on(number % 2);
        codes.iter().map(move |code| {
            let request = redemption(&new_id(), student, &code.code);
            let mut redemptions = caller.redemptions();
            async move { redemptions.redeem_key(request).await }
        })
    });
    let answers = join_all(rush).await;
    let granted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(granted, 3, "one for each key");
    let refusals = answers.iter().filter_map(|answer| answer.as_ref().err());
    assert!(
        refusals
            .map(reason_of)
            .all(|reason| reason == ErrorReason::KeyAlreadyRedeemed)
    );
    stack.finish().await;
}
