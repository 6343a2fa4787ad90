//! Staff enroll many students in one call, each with an outcome of their own.

use latchkey_proto::enrollment::v1::{
    BatchEnrollStudentsRequest, DeactivateStudentRequest, EnrollmentOutcome, EnrollmentStatus,
};
use latchkey_proto::errors::v1::ErrorReason;

use crate::harness::world::enrolled;
use crate::harness::{ClassDraft, Organization, Stack, new_id, refused};

fn request(class_id: &str, student_ids: &[String]) -> BatchEnrollStudentsRequest {
    BatchEnrollStudentsRequest {
        request_id: new_id(),
        class_id: class_id.to_owned(),
        student_ids: student_ids.to_vec(),
        ..BatchEnrollStudentsRequest::default()
    }
}

async fn enroll(
    organization: &Organization<'_>,
    request: &BatchEnrollStudentsRequest,
) -> Vec<EnrollmentOutcome> {
    let mut enrollments = organization.admin().enrollments();
    let answer = enrollments.batch_enroll_students(request.clone()).await;
    answer.expect("outcomes").into_inner().outcomes
}

#[tokio::test]
async fn seats_go_in_the_order_of_the_request_and_who_is_refused_keeps_nobody_out() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    // More than one transaction takes at once.
    let class = organization.class(ClassDraft::new().maximum(58)).await;
    let elsewhere = Organization::new(&stack).await;
    let mut students = organization.students(60).await;
    students[1] = elsewhere.student().await.student_id;
    students[2] = new_id();
    let deactivate = DeactivateStudentRequest {
        student_id: students[3].clone(),
    };
    let mut accounts = organization.admin().students();
    let done = accounts.deactivate_student(deactivate).await;
    done.expect("deactivated");
    let more = organization.students(2).await;
    let request = request(&class.class_id, &[students, more].concat());
    let outcomes = enroll(&organization, &request).await;
    let ids: Vec<&String> = outcomes.iter().map(|one| &one.student_id).collect();
    assert_eq!(ids, request.student_ids.iter().collect::<Vec<_>>());
    for (place, outcome) in outcomes.iter().enumerate() {
        let reason = match place {
            1 | 2 => ErrorReason::StudentNotFound,
            3 => ErrorReason::StudentInactive,
            61 => ErrorReason::ClassFull,
            _ => ErrorReason::Unspecified,
        };
        assert_eq!(outcome.reason(), reason, "{place}");
        let is_in = reason == ErrorReason::Unspecified;
        assert_eq!(outcome.enrollment.is_some(), is_in, "{place}");
        assert_eq!(outcome.message.is_empty(), is_in, "{place}");
        assert!(!outcome.already_in);
    }
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 58);

    // The same again is the same; with other content it is another's.
    assert_eq!(enroll(&organization, &request).await, outcomes);
    let other = BatchEnrollStudentsRequest {
        student_ids: request.student_ids[..1].to_vec(),
        ..request
    };
    let mut enrollments = organization.admin().enrollments();
    let answer = enrollments.batch_enroll_students(other).await;
    refused(answer, ErrorReason::RequestIdReused);
    stack.finish().await;
}

#[tokio::test]
async fn who_is_in_already_is_told_so_and_a_status_can_be_named() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new().maximum(2)).await;
    let students = organization.students(4).await;
    let first = request(&class.class_id, &students[..2]);
    enroll(&organization, &first).await;
    let waiting = BatchEnrollStudentsRequest {
        status: EnrollmentStatus::WaitListed.into(),
        ..request(&class.class_id, &students)
    };
    let outcomes = enroll(&organization, &waiting).await;
    for (place, outcome) in outcomes.into_iter().enumerate() {
        let enrollment = outcome.enrollment.expect("an enrollment");
        let was_in = place < 2;
        assert_eq!(outcome.already_in, was_in);
        let expected = if was_in {
            EnrollmentStatus::Enrolled
        } else {
            EnrollmentStatus::WaitListed
        };
        assert_eq!(enrollment.status(), expected);
    }
    let roster = organization.roster(&class.class_id).await;
    // At one instant, they have no order.
    let [mut found, mut wanted] = [enrolled(&roster), students[..2].to_vec()];
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    let twice = request(&class.class_id, &[students[0].clone(), students[0].clone()]);
    let mut enrollments = organization.admin().enrollments();
    let answer = enrollments.batch_enroll_students(twice).await;
    refused(answer, ErrorReason::FieldInvalid);
    stack.finish().await;
}
