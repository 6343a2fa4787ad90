//! An enrollment moves from one class to another in one step.

use futures::future::join_all;
use latchkey_proto::enrollment::v1::{
    Enrollment, EnrollmentStatus, MoveEnrollmentRequest, MoveEnrollmentResponse,
};
use latchkey_proto::errors::v1::ErrorReason;
use tonic::{Response, Status};

use crate::harness::world::{come_in, enrolled, redeem, redeem_as};
use crate::harness::{Caller, ClassDraft, Organization, Stack, new_id, reason_of, refused};
use crate::statuses::{get, put};

async fn try_to_move(
    caller: &Caller,
    enrollment: &Enrollment,
    class_id: &str,
) -> Result<Response<MoveEnrollmentResponse>, Status> {
    let request = MoveEnrollmentRequest {
        enrollment_id: enrollment.enrollment_id.clone(),
        class_id: class_id.to_owned(),
        reason: "asked for spring".to_owned(),
        etag: String::new(),
    };
    caller.enrollments().move_enrollment(request).await
}

#[tokio::test]
async fn seats_change_in_both_classes_and_the_key_is_free_for_another() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().maximum(1);
    let (autumn, codes) = organization.keyed_class(draft.clone(), 1).await;
    let request_id = new_id();
    let spring = draft.change(|request| request.request_id = request_id);
    let spring = organization.class(spring).await;
    let students = organization.students(2).await;
    let redemption = new_id();
    let code = codes[0].code.as_str();
    let came = redeem_as(&stack, &redemption, &students[0], code).await;
    let came = came.expect("in").into_inner().enrollment.expect("it");
    let admin = organization.admin();
    let moved = try_to_move(&admin, &came, &spring.class_id).await;
    let moved = moved.expect("moved").into_inner().enrollment.expect("it");
    assert_eq!(moved.enrollment_id, came.enrollment_id);
    assert_eq!(moved.class_id, spring.class_id);
    assert_eq!(
        (moved.status(), &moved.origin),
        (EnrollmentStatus::Enrolled, &came.origin)
    );
    // Again, nothing changes.
    let again = try_to_move(&admin, &came, &spring.class_id).await;
    assert_eq!(
        again.expect("there").into_inner().enrollment.as_ref(),
        Some(&moved)
    );
    let rosters = [&autumn, &spring].map(|class| organization.roster(&class.class_id));
    let [left, entered] = join_all(rosters).await.try_into().expect("two");
    assert_eq!((left.seats_taken, entered.seats_taken), (0, 1));
    assert_eq!(enrolled(&entered), std::slice::from_ref(&students[0]));
    come_in(&stack, &students[1], code).await;
    // The redemption is answered as it was decided, with the enrollment as it is now.
    let replayed = redeem_as(&stack, &redemption, &students[0], code).await;
    let replayed = replayed.expect("in").into_inner();
    assert!(replayed.replayed);
    assert_eq!(replayed.enrollment, Some(moved.clone()));

    // Back again, it takes no key, and finds no seat.
    let full = try_to_move(&admin, &moved, &autumn.class_id).await;
    refused(full, ErrorReason::ClassFull);
    assert_eq!(get(&organization, &moved).await, moved, "nothing was done");
    stack.finish().await;
}

#[tokio::test]
async fn only_what_is_live_moves_and_only_into_a_class_where_the_student_is_not() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let running = organization.class(ClassDraft::new().running()).await;
    let ahead = organization.class(ClassDraft::new()).await;
    let foreign = Organization::new(&stack).await;
    let foreign = foreign.class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let (admin, manager) = (organization.admin(), organization.manager());
    let status = EnrollmentStatus::Enrolled;
    let seated = put(&organization, &running.class_id, &student, status).await;
    let answer = try_to_move(&admin, &seated, &foreign.class_id).await;
    refused(answer, ErrorReason::ClassNotFound);
    let below = organization.child().await;
    let below = below.class(ClassDraft::new()).await;
    let answer = try_to_move(&manager, &seated, &below.class_id).await;
    refused(answer, ErrorReason::OrganizationMismatch);
    let answer = try_to_move(&admin, &seated, &ahead.class_id).await;
    refused(answer, ErrorReason::ClassStarted);
    let there = EnrollmentStatus::WaitListed;
    let there = put(&organization, &ahead.class_id, &student, there).await;
    let answer = try_to_move(&manager, &seated, &ahead.class_id).await;
    refused(answer, ErrorReason::StudentAlreadyIn);
    organization.cancel(&there.enrollment_id, "no").await;
    let answer = try_to_move(&manager, &there, &running.class_id).await;
    refused(answer, ErrorReason::StatusUnreachable);
    try_to_move(&manager, &seated, &ahead.class_id)
        .await
        .expect("moved");
    stack.finish().await;
}

#[tokio::test]
async fn moves_there_and_back_at_once_among_redemptions_come_to_an_end_and_fit() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (one, code) = organization.event_class(ClassDraft::new().maximum(6)).await;
    let other = organization.class(ClassDraft::new().maximum(4)).await;
    let students = organization.students(12).await;
    let mut places = Vec::new();
    for (index, student) in students[..8].iter().enumerate() {
        let class = if index % 2 == 0 { &one } else { &other };
        let status = EnrollmentStatus::Enrolled;
        places.push(put(&organization, &class.class_id, student, status).await);
    }
    let admin = organization.admin();
    let moves = places.iter().map(async |place| {
        let there = place.class_id == one.class_id;
        let to = if there { &other } else { &one };
        let answer = try_to_move(&admin, place, &to.class_id).await;
        answer.map(drop)
    });
    let coming = students[8..].iter().map(async |student| {
        let answer = redeem(&stack, student, &code).await;
        answer.map(drop)
    });
    let (moves, coming) = futures::join!(join_all(moves), join_all(coming));
    for refusal in moves.into_iter().chain(coming).filter_map(Result::err) {
        let possible = [ErrorReason::ClassFull, ErrorReason::Conflict];
        assert!(possible.contains(&reason_of(&refusal)), "{refusal}");
    }
    for (class, maximum) in [(&one, 6), (&other, 4)] {
        let roster = organization.roster(&class.class_id).await;
        assert!(roster.seats_taken <= maximum);
        let seated = enrolled(&roster).len();
        assert_eq!(usize::try_from(roster.seats_taken), Ok(seated));
    }
    stack.finish().await;
}
