//! The same redemption id has the same answer, with the enrollment as it is now, whatever happened to the key since.

use latchkey_proto::enrollment::v1::{
    CancelClassRequest, CancelEnrollmentRequest, EnrollmentStatus, GetRedemptionRequest,
    ListRedemptionsRequest, RedeemKeyResponse, RedemptionOutcome,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::RevokeTrainingKeysRequest;
use tonic::{Response, Status};

use crate::harness::world::{generated, off, redeem, redeem_as};
use crate::harness::{ClassDraft, Organization, Stack, new_id, refused};

/// Fails unless the answer repeats the enrollment with this id, which is in this status now.
#[track_caller]
fn is_replay(
    answer: Result<Response<RedeemKeyResponse>, Status>,
    id: &str,
    status: EnrollmentStatus,
) {
    let answer = answer.expect("the answer of the first time").into_inner();
    assert!(answer.replayed);
    assert_eq!(answer.outcome(), RedemptionOutcome::Enrolled);
    let enrollment = answer.enrollment.expect("an enrollment");
    assert_eq!(
        (enrollment.enrollment_id.as_str(), enrollment.status()),
        (id, status)
    );
}

async fn cancel(organization: &Organization<'_>, enrollment_id: &str) {
    let request = CancelEnrollmentRequest {
        enrollment_id: enrollment_id.to_owned(),
        ..CancelEnrollmentRequest::default()
    };
    organization
        .admin()
        .enrollments()
        .cancel_enrollment(request)
        .await
        .expect("cancelled");
}

#[tokio::test]
async fn after_the_event_key_was_rotated_and_turned_off() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let (student, id) = (organization.student().await.student_id, new_id());
    let first = redeem_as(&stack, &id, &student, &code)
        .await
        .expect("in")
        .into_inner();
    assert!(!first.replayed);

    organization
        .set_event_key(&class.class_id, generated())
        .await;
    is_replay(
        redeem_as(&stack, &id, &student, &code).await,
        &id,
        EnrollmentStatus::Enrolled,
    );
    organization.set_event_key(&class.class_id, off()).await;
    is_replay(
        redeem_as(&stack, &id, &student, &code).await,
        &id,
        EnrollmentStatus::Enrolled,
    );
    // For others the code is dead.
    let other = organization.student().await.student_id;
    refused(
        redeem(&stack, &other, &code).await,
        ErrorReason::CodeReplaced,
    );
    stack.finish().await;
}

#[tokio::test]
async fn after_the_key_was_revoked() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (_, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
    let (student, id) = (organization.student().await.student_id, new_id());
    redeem_as(&stack, &id, &student, &codes[0].code)
        .await
        .expect("in");
    let request = RevokeTrainingKeysRequest {
        key_ids: vec![codes[0].key_id.clone()],
        reason: "lost".into(),
    };
    organization
        .manager()
        .training_keys()
        .revoke_training_keys(request)
        .await
        .expect("revoked");
    is_replay(
        redeem_as(&stack, &id, &student, &codes[0].code).await,
        &id,
        EnrollmentStatus::Enrolled,
    );
    stack.finish().await;
}

#[tokio::test]
async fn after_the_enrollment_was_cancelled_and_the_key_went_to_another() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (_, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
    let (student, other) = (
        organization.student().await.student_id,
        organization.student().await.student_id,
    );
    let id = new_id();
    redeem_as(&stack, &id, &student, &codes[0].code)
        .await
        .expect("in");
    cancel(&organization, &id).await;
    is_replay(
        redeem_as(&stack, &id, &student, &codes[0].code).await,
        &id,
        EnrollmentStatus::Cancelled,
    );
    redeem(&stack, &other, &codes[0].code)
        .await
        .expect("the freed key");
    is_replay(
        redeem_as(&stack, &id, &student, &codes[0].code).await,
        &id,
        EnrollmentStatus::Cancelled,
    );
    stack.finish().await;
}

#[tokio::test]
async fn after_the_class_was_cancelled() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let (student, id) = (organization.student().await.student_id, new_id());
    redeem_as(&stack, &id, &student, &code).await.expect("in");
    let request = CancelClassRequest {
        class_id: class.class_id,
        ..CancelClassRequest::default()
    };
    organization
        .admin()
        .classes()
        .cancel_class(request)
        .await
        .expect("cancelled");
    is_replay(
        redeem_as(&stack, &id, &student, &code).await,
        &id,
        EnrollmentStatus::Cancelled,
    );
    stack.finish().await;
}

#[tokio::test]
async fn a_refusal_too_stays_as_it_was_with_its_words_and_details() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new().maximum(1)).await;
    let first = redeem(&stack, &organization.student().await.student_id, &code)
        .await
        .expect("in")
        .into_inner();
    let (late, id) = (organization.student().await.student_id, new_id());

    let refusal = refused(
        redeem_as(&stack, &id, &late, &code).await,
        ErrorReason::ClassFull,
    );
    cancel(
        &organization,
        &first.enrollment.expect("an enrollment").enrollment_id,
    )
    .await;
    let again = refused(
        redeem_as(&stack, &id, &late, &code).await,
        ErrorReason::ClassFull,
    );
    assert_eq!(
        (refusal.message(), refusal.details()),
        (again.message(), again.details())
    );
    redeem(&stack, &late, &code)
        .await
        .expect("a new wish under a new id");
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 1);
    stack.finish().await;
}

#[tokio::test]
async fn the_answer_already_in_is_recorded_too() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (_, codes) = organization.keyed_class(ClassDraft::new(), 2).await;
    let student = organization.student().await.student_id;
    let (first, second) = (new_id(), new_id());
    redeem_as(&stack, &first, &student, &codes[0].code)
        .await
        .expect("in");
    let already = redeem_as(&stack, &second, &student, &codes[1].code)
        .await
        .expect("already in")
        .into_inner();
    assert_eq!(
        (already.outcome(), already.replayed),
        (RedemptionOutcome::AlreadyIn, true)
    );
    assert_eq!(already.enrollment.expect("the first").enrollment_id, first);

    // Its own retry, after a cancellation in between, does not enroll anew.
    cancel(&organization, &first).await;
    let again = redeem_as(&stack, &second, &student, &codes[1].code)
        .await
        .expect("as before")
        .into_inner();
    assert_eq!(
        (again.outcome(), again.replayed),
        (RedemptionOutcome::AlreadyIn, true)
    );
    assert_eq!(
        again.enrollment.expect("the first").status(),
        EnrollmentStatus::Cancelled
    );
    let anew = redeem(&stack, &student, &codes[1].code)
        .await
        .expect("a new wish")
        .into_inner();
    assert_eq!(anew.outcome(), RedemptionOutcome::Enrolled);
    stack.finish().await;
}

#[tokio::test]
async fn an_id_with_other_content_is_refused_and_changes_nothing() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization.keyed_class(ClassDraft::new(), 2).await;
    let (student, other) = (
        organization.student().await.student_id,
        organization.student().await.student_id,
    );
    let id = new_id();
    redeem_as(&stack, &id, &student, &codes[0].code)
        .await
        .expect("in");
    for (student, code) in [
        (&student, &codes[1].code),
        (&other, &codes[0].code),
        (&other, &codes[1].code),
    ] {
        refused(
            redeem_as(&stack, &id, student, code).await,
            ErrorReason::RequestIdReused,
        );
    }
    // Another spelling of the same code is the same content.
    let spelled = codes[0].code.to_lowercase().replace('-', " ");
    is_replay(
        redeem_as(&stack, &id, &student, &spelled).await,
        &id,
        EnrollmentStatus::Enrolled,
    );
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 1);
    stack.finish().await;
}

#[tokio::test]
async fn the_history_tells_what_was_decided_and_leaves_out_what_was_not() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
    let (winner, loser) = (
        organization.student().await.student_id,
        organization.student().await.student_id,
    );
    let (won, lost, unknown) = (new_id(), new_id(), new_id());
    redeem_as(&stack, &won, &winner, &codes[0].code)
        .await
        .expect("in");
    refused(
        redeem_as(&stack, &lost, &loser, &codes[0].code).await,
        ErrorReason::KeyAlreadyRedeemed,
    );
    refused(
        redeem_as(&stack, &unknown, &loser, "no-such-code").await,
        ErrorReason::KeyNotFound,
    );

    let get = async |id: &str| {
        let request = GetRedemptionRequest {
            redemption_id: id.to_owned(),
        };
        stack.operator().redemptions().get_redemption(request).await
    };
    let decided = get(&lost)
        .await
        .expect("a decision")
        .into_inner()
        .redemption
        .expect("a decision");
    assert_eq!(decided.outcome(), RedemptionOutcome::Refused);
    assert_eq!(decided.reason(), ErrorReason::KeyAlreadyRedeemed);
    assert_eq!(
        (decided.student_id.as_str(), decided.key_id.as_str()),
        (loser.as_str(), codes[0].key_id.as_str())
    );
    assert_eq!(
        (decided.caller.as_str(), decided.class_id.as_str()),
        ("platform", class.class_id.as_str())
    );
    refused(get(&unknown).await, ErrorReason::RedemptionNotFound);

    let request = ListRedemptionsRequest {
        key_id: codes[0].key_id.clone(),
        ..ListRedemptionsRequest::default()
    };
    let listed = organization
        .admin()
        .redemptions()
        .list_redemptions(request)
        .await
        .expect("a list")
        .into_inner();
    let ids: Vec<&str> = listed
        .redemptions
        .iter()
        .map(|redemption| redemption.redemption_id.as_str())
        .collect();
    assert_eq!(ids, [lost.as_str(), won.as_str()], "newest first");
    stack.finish().await;
}
