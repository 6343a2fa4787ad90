//! What keys must be told arrives, whatever stood in its way; and who was answered once is answered again without keys.

use latchkey::stack::Service;
use latchkey_proto::enrollment::v1::CancelEnrollmentRequest;
use latchkey_proto::errors::v1::ErrorReason;

use crate::harness::world::{come_in, redeem, redeem_as};
use crate::harness::{Caller, ClassDraft, Organization, Stack, new_id, refused};

/// A class with one key and two students.
struct Cast {
    admin: Caller,
    code: String,
    students: [String; 2],
}

async fn cast(stack: &Stack) -> Cast {
    let organization = Organization::new(stack).await;
    let (_, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
    Cast {
        admin: organization.admin(),
        code: codes[0].code.clone(),
        students: [
            organization.student().await.student_id,
            organization.student().await.student_id,
        ],
    }
}

#[tokio::test]
async fn without_keys_nothing_is_decided_anew_and_everything_decided_is_answered_again() {
    let mut stack = Stack::own().await;
    let Cast { code, students, .. } = cast(&stack).await;
    let id = new_id();
    let first = redeem_as(&stack, &id, &students[0], &code).await;
    let first = first.expect("in").into_inner();
    stack.replica(Service::Keys, 0).kill().await;

    let again = redeem_as(&stack, &id, &students[0], &code).await;

    let again = again.expect("the same answer").into_inner();
    assert!(again.replayed);
    assert_eq!(again.enrollment, first.enrollment);
    let answer = redeem(&stack, &students[1], &code).await;
    refused(answer, ErrorReason::DependencyUnavailable);
    stack.replica(Service::Keys, 0).run().await;
    let answer = redeem(&stack, &students[1], &code).await;
    refused(answer, ErrorReason::KeyAlreadyRedeemed);
    stack.finish().await;
}

#[tokio::test]
async fn a_key_given_up_while_keys_is_away_is_free_at_once_when_keys_is_back() {
    let mut stack = Stack::own().await;
    let Cast {
        admin,
        code,
        students,
    } = cast(&stack).await;
    let enrollment = come_in(&stack, &students[0], &code).await;
    stack.replica(Service::Keys, 0).kill().await;
    let cancelled = admin
        .enrollments()
        .cancel_enrollment(CancelEnrollmentRequest {
            enrollment_id: enrollment.enrollment_id,
            reason: "moved".to_owned(),
        })
        .await;
    cancelled.expect("cancelled without keys");
    stack.replica(Service::Keys, 0).run().await;

    // Whether or not keys was told by now that the key was given up.
    come_in(&stack, &students[1], &code).await;

    // It was, and of the new use: `finish` waits for both.
    stack.finish().await;
}
