//! Cancelling frees the seat and the key; who may cancel, and until when; who can come back, and how.

use latchkey_proto::enrollment::v1::{
    CancelClassRequest, CancelEnrollmentRequest, CancelEnrollmentResponse, CancelledBy,
    EnrollStudentRequest, EnrollmentStatus, RedemptionOutcome, UpdateClassRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{GetTrainingKeyRequest, KeyState, RevokeTrainingKeysRequest};
use tonic::{Response, Status};

use crate::harness::plans::run;
use crate::harness::world::crowds::come_in_at_once;
use crate::harness::world::{enrolled, generated, redeem};
use crate::harness::{
    Caller, ClassDraft, Organization, Stack, at, eventually, new_id, now, refused,
};

async fn cancel(
    caller: &Caller,
    enrollment_id: &str,
) -> Result<Response<CancelEnrollmentResponse>, Status> {
    let request = CancelEnrollmentRequest {
        enrollment_id: enrollment_id.to_owned(),
        reason: "asked to".into(),
        ..CancelEnrollmentRequest::default()
    };
    caller.enrollments().cancel_enrollment(request).await
}

/// Redeems and returns the id of the enrollment.
async fn come_in(stack: &Stack, student_id: &str, code: &str) -> String {
    let answer = redeem(stack, student_id, code)
        .await
        .expect("in")
        .into_inner();
    assert_eq!(answer.outcome(), RedemptionOutcome::Enrolled);
    answer.enrollment.expect("an enrollment").enrollment_id
}

async fn enroll_directly(organization: &Organization<'_>, class_id: &str, student_id: &str) {
    let request = EnrollStudentRequest {
        request_id: new_id(),
        class_id: class_id.to_owned(),
        student_id: student_id.to_owned(),
        ..EnrollStudentRequest::default()
    };
    organization
        .admin()
        .enrollments()
        .enroll_student(request)
        .await
        .expect("enrolled");
}

#[tokio::test]
async fn a_cancellation_frees_the_seat_and_the_key_for_another_student() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization
        .keyed_class(ClassDraft::new().maximum(1), 1)
        .await;
    let (first, second) = (
        organization.student().await.student_id,
        organization.student().await.student_id,
    );
    let enrollment = come_in(&stack, &first, &codes[0].code).await;
    refused(
        redeem(&stack, &second, &codes[0].code).await,
        ErrorReason::KeyAlreadyRedeemed,
    );

    let cancelled = cancel(&stack.student(&first), &enrollment)
        .await
        .expect("cancelled")
        .into_inner();
    let cancelled = cancelled.enrollment.expect("an enrollment");
    assert_eq!(cancelled.status(), EnrollmentStatus::Cancelled);
    assert_eq!(cancelled.cancelled_by(), CancelledBy::Student);
    assert!(cancelled.cancel_time.is_some());
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 0);

    come_in(&stack, &second, &codes[0].code).await;
    assert_eq!(
        enrolled(&organization.roster(&class.class_id).await),
        std::slice::from_ref(&second)
    );
    eventually("marked as used by the second", async || {
        let request = GetTrainingKeyRequest {
            key_id: codes[0].key_id.clone(),
        };
        let got = organization
            .admin()
            .training_keys()
            .get_training_key(request)
            .await
            .expect("the key");
        let key = got.into_inner().key.expect("a key");
        let users: Vec<&str> = key
            .uses
            .iter()
            .map(|usage| usage.student_id.as_str())
            .collect();
        if key.state() == KeyState::Redeemed && users == [second.as_str()] {
            Ok(())
        } else {
            Err(format!("{key:?}"))
        }
    })
    .await;
    stack.finish().await;
}

/// Has a statement fail that changes more than 2000 enrollments at once: it could take longer than it may.
const IN_CHUNKS: &str = "
    CREATE FUNCTION enrollment.in_chunks() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (SELECT count(*) FROM changed) > 2000 THEN RAISE EXCEPTION 'too many at once'; END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER in_chunks AFTER UPDATE ON enrollment.enrollments REFERENCING NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION enrollment.in_chunks()";

#[tokio::test]
async fn a_class_is_cancelled_however_many_are_in_it() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let (class, _) = organization.event_class(ClassDraft::new()).await;
    come_in_at_once(&stack, &class.class_id, 4_500).await;
    let mut database = stack.database().await;
    run(&mut database, IN_CHUNKS).await;
    let request = CancelClassRequest {
        class_id: class.class_id.clone(),
        ..CancelClassRequest::default()
    };
    let answer = organization.admin().classes().cancel_class(request).await;
    assert_eq!(
        answer
            .expect("cancelled")
            .into_inner()
            .cancelled_enrollments,
        4_500
    );
    let (cancelled, told): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM enrollment.enrollments WHERE status = 'cancelled' AND NOT holds_key),
            (SELECT count(DISTINCT resource_id) FROM enrollment.audit_events WHERE action = 'enrollment.cancel')",
    )
    .fetch_one(&mut database)
    .await
    .expect("numbers");
    assert_eq!((cancelled, told), (4_500, 4_500));
    eventually("released in keys", async || {
        let released: i64 =
            sqlx::query_scalar("SELECT count(*) FROM keys.marks WHERE released_at IS NOT NULL")
                .fetch_one(&mut stack.database().await)
                .await
                .expect("a number");
        (released == 4_500)
            .then_some(())
            .ok_or_else(|| released.to_string())
    })
    .await;
    stack.finish_after_untruths().await;
}

#[tokio::test]
async fn cancelling_again_changes_nothing() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let enrollment = come_in(&stack, &student, &code).await;
    let first = cancel(&stack.student(&student), &enrollment)
        .await
        .expect("cancelled")
        .into_inner();
    come_in(&stack, &organization.student().await.student_id, &code).await;
    let again = cancel(&organization.admin(), &enrollment)
        .await
        .expect("cancelled before")
        .into_inner();
    assert_eq!(first, again);
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 1);
    stack.finish().await;
}

#[tokio::test]
async fn who_cancelled_by_themselves_comes_back_by_the_event_key_who_was_removed_does_not() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let (left, removed) = (
        organization.student().await.student_id,
        organization.student().await.student_id,
    );
    let enrollment = come_in(&stack, &left, &code).await;
    cancel(&stack.student(&left), &enrollment)
        .await
        .expect("cancelled");
    come_in(&stack, &left, &code).await;

    let enrollment = come_in(&stack, &removed, &code).await;
    let cancelled = cancel(&organization.admin(), &enrollment)
        .await
        .expect("removed")
        .into_inner();
    assert_eq!(
        cancelled.enrollment.expect("an enrollment").cancelled_by(),
        CancelledBy::Staff
    );
    refused(
        redeem(&stack, &removed, &code).await,
        ErrorReason::StudentBlocked,
    );
    // Nor by any other generation.
    organization
        .set_event_key(&class.class_id, generated())
        .await;
    let code = organization.event_code(&class.class_id).await;
    refused(
        redeem(&stack, &removed, &code).await,
        ErrorReason::StudentBlocked,
    );

    // Direct enrollment by staff lifts the block.
    enroll_directly(&organization, &class.class_id, &removed).await;
    let roster = organization.roster(&class.class_id).await;
    let again = roster
        .entries
        .iter()
        .filter_map(|entry| entry.enrollment.as_ref())
        .find(|enrollment| {
            enrollment.student_id == removed && enrollment.status() == EnrollmentStatus::Enrolled
        });
    cancel(
        &stack.student(&removed),
        &again.expect("in again").enrollment_id,
    )
    .await
    .expect("left by themselves");
    come_in(&stack, &removed, &code).await;
    stack.finish().await;
}

#[tokio::test]
async fn who_was_removed_can_still_use_an_enrollment_key() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let enrollment = come_in(&stack, &student, &code).await;
    cancel(&organization.admin(), &enrollment)
        .await
        .expect("removed");
    let codes = organization.generate(&class.class_id, 1).await;
    come_in(&stack, &student, &codes[0].code).await;
    stack.finish().await;
}

#[tokio::test]
async fn after_the_class_began_only_an_operations_manager_cancels() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new().running()).await;
    let student = organization.student().await.student_id;
    let enrollment = come_in(&stack, &student, &code).await;
    refused(
        cancel(&stack.student(&student), &enrollment).await,
        ErrorReason::ClassStarted,
    );
    refused(
        cancel(&organization.admin(), &enrollment).await,
        ErrorReason::ClassStarted,
    );
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 1);
    cancel(&organization.manager(), &enrollment)
        .await
        .expect("cancelled");
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 0);

    // Moved into the future, the class has not begun any more.
    let other = organization.student().await.student_id;
    let enrollment = come_in(&stack, &other, &code).await;
    let change = UpdateClassRequest {
        start_time: at(now() + chrono::TimeDelta::minutes(30)),
        ..UpdateClassRequest::default()
    };
    organization
        .update_class(&class.class_id, &["start_time"], change)
        .await;
    cancel(&stack.student(&other), &enrollment)
        .await
        .expect("cancelled");
    stack.finish().await;
}

#[tokio::test]
async fn a_second_key_of_the_class_stays_unspent_and_is_there_for_another() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization.keyed_class(ClassDraft::new(), 2).await;
    let (student, other) = (
        organization.student().await.student_id,
        organization.student().await.student_id,
    );
    let enrollment = come_in(&stack, &student, &codes[0].code).await;
    let second = redeem(&stack, &student, &codes[1].code)
        .await
        .expect("already in")
        .into_inner();
    assert_eq!(
        (second.outcome(), second.replayed),
        (RedemptionOutcome::AlreadyIn, true)
    );
    assert_eq!(
        second.enrollment.expect("the first").enrollment_id,
        enrollment
    );
    come_in(&stack, &other, &codes[1].code).await;
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 2);
    stack.finish().await;
}

#[tokio::test]
async fn revoking_a_redeemed_key_keeps_the_enrollment_and_stops_reuse() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
    let (student, other) = (
        organization.student().await.student_id,
        organization.student().await.student_id,
    );
    let enrollment = come_in(&stack, &student, &codes[0].code).await;
    let request = RevokeTrainingKeysRequest {
        key_ids: vec![codes[0].key_id.clone()],
        reason: "left".into(),
    };
    organization
        .manager()
        .training_keys()
        .revoke_training_keys(request)
        .await
        .expect("revoked");
    assert_eq!(
        enrolled(&organization.roster(&class.class_id).await),
        std::slice::from_ref(&student)
    );
    cancel(&stack.student(&student), &enrollment)
        .await
        .expect("cancelled");
    refused(
        redeem(&stack, &other, &codes[0].code).await,
        ErrorReason::KeyRevoked,
    );
    refused(
        redeem(&stack, &student, &codes[0].code).await,
        ErrorReason::KeyRevoked,
    );
    stack.finish().await;
}
