//! Staff enroll a student without a key.

use latchkey_proto::enrollment::v1::{EnrollStudentRequest, EnrollStudentResponse};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::KeyKind;
use tonic::{Response, Status};

use crate::harness::world::{come_in, enrolled, redeem};
use crate::harness::{ClassDraft, Organization, Stack, new_id, refused};

async fn enroll(
    organization: &Organization<'_>,
    request_id: &str,
    class_id: &str,
    student_id: &str,
) -> Result<Response<EnrollStudentResponse>, Status> {
    let request = EnrollStudentRequest {
        request_id: request_id.to_owned(),
        class_id: class_id.to_owned(),
        student_id: student_id.to_owned(),
        ..EnrollStudentRequest::default()
    };
    let mut enrollments = organization.admin().enrollments();
    enrollments.enroll_student(request).await
}

#[tokio::test]
async fn a_student_enrolled_by_staff_takes_a_seat_and_no_key() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().maximum(1);
    let (class, codes) = organization.keyed_class(draft, 1).await;
    let [one, other]: [String; 2] = organization.students(2).await.try_into().expect("two");
    let answer = enroll(&organization, &new_id(), &class.class_id, &one).await;
    let answer = answer.expect("enrolled").into_inner();
    assert!(!answer.already_in);
    let origin = answer.enrollment.expect("an enrollment").origin;
    let origin = origin.unwrap_or_default();
    assert_eq!(origin.key_kind(), KeyKind::Unspecified);
    assert!(origin.key_id.is_empty());
    let roster = organization.roster(&class.class_id).await;
    assert_eq!((roster.seats_taken, roster.seats_left), (1, 0));

    let full = enroll(&organization, &new_id(), &class.class_id, &other).await;
    refused(full, ErrorReason::ClassFull);
    let full = redeem(&stack, &other, &codes[0].code).await;
    refused(full, ErrorReason::ClassFull);
    stack.finish().await;
}

#[tokio::test]
async fn the_same_request_again_enrolls_nobody_twice() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    let [one, other]: [String; 2] = organization.students(2).await.try_into().expect("two");
    let id = new_id();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let answer = enroll(&organization, &id, &class.class_id, &one).await;
        let enrollment = answer.expect("enrolled").into_inner().enrollment;
        seen.push(enrollment.expect("an enrollment").enrollment_id);
    }
    assert_eq!(seen[0], seen[1]);
    let reused = enroll(&organization, &id, &class.class_id, &other).await;
    refused(reused, ErrorReason::RequestIdReused);

    let again = enroll(&organization, &new_id(), &class.class_id, &one).await;
    let again = again.expect("in already").into_inner();
    assert!(again.already_in);
    assert_eq!(
        again.enrollment.expect("an enrollment").enrollment_id,
        seen[0]
    );
    assert_eq!(enrolled(&organization.roster(&class.class_id).await), [one]);
    stack.finish().await;
}

#[tokio::test]
async fn a_direct_enrollment_lifts_the_block_of_a_removal() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let removed = come_in(&stack, &student, &code).await;
    organization
        .cancel(&removed.enrollment_id, "misbehaved")
        .await;
    let blocked = redeem(&stack, &student, &code).await;
    refused(blocked, ErrorReason::StudentBlocked);

    let let_in = enroll(&organization, &new_id(), &class.class_id, &student).await;
    let let_in = let_in.expect("enrolled").into_inner().enrollment;
    let myself = latchkey_proto::enrollment::v1::CancelEnrollmentRequest {
        enrollment_id: let_in.expect("an enrollment").enrollment_id,
        ..latchkey_proto::enrollment::v1::CancelEnrollmentRequest::default()
    };
    let mut enrollments = stack.student(&student).enrollments();
    enrollments.cancel_enrollment(myself).await.expect("left");
    come_in(&stack, &student, &code).await;
    stack.finish().await;
}
