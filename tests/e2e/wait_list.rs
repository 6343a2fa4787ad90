//! A seat that a student gives up goes to who waits for it, in the same step; and is given up late or in time.

use chrono::TimeDelta;
use futures::future::join_all;
use latchkey_proto::enrollment::v1::{
    BatchEnrollStudentsRequest, CancelEnrollmentRequest, CancelEnrollmentResponse,
    DeactivateStudentRequest, Enrollment, EnrollmentStatus, IfFull, RedeemKeyResponse,
    RedemptionOutcome, UpdateOrganizationRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use prost_types::Duration;
use tonic::{Response, Status};

use crate::harness::world::{come_in, enrolled, mask, redeem, redemption};
use crate::harness::{Caller, ClassDraft, Organization, Stack, new_id, now, refused};
use crate::statuses::{get, put};

async fn promote(organization: &Organization<'_>, enabled: bool) {
    let request = UpdateOrganizationRequest {
        organization_id: organization.id.clone(),
        update_mask: mask(&["wait_list_promotion_enabled"]),
        wait_list_promotion_enabled: enabled,
        ..UpdateOrganizationRequest::default()
    };
    let mut organizations = organization.admin().organizations();
    let updated = organizations.update_organization(request).await;
    let updated = updated.expect("updated").into_inner().organization;
    assert_eq!(updated.expect("it").wait_list_promotion_enabled, enabled);
}

async fn cancel(
    caller: &Caller,
    enrollment: &Enrollment,
    replacement: Option<&Enrollment>,
) -> Result<Response<CancelEnrollmentResponse>, Status> {
    let request = CancelEnrollmentRequest {
        enrollment_id: enrollment.enrollment_id.clone(),
        reason: "cannot come".to_owned(),
        replacement_enrollment_id: replacement
            .map(|one| one.enrollment_id.clone())
            .unwrap_or_default(),
    };
    caller.enrollments().cancel_enrollment(request).await
}

async fn leave(stack: &Stack, enrollment: &Enrollment) -> Enrollment {
    let left = cancel(&stack.student(&enrollment.student_id), enrollment, None).await;
    let left = left.expect("cancelled").into_inner();
    assert_eq!(
        left.replacement, None,
        "it is none of the student's business"
    );
    left.enrollment.expect("an enrollment")
}

/// Puts students into a class, one after the other, each in a status.
async fn put_all<const N: usize>(
    organization: &Organization<'_>,
    class_id: &str,
    students: &[String],
    statuses: [EnrollmentStatus; N],
) -> [Enrollment; N] {
    assert_eq!(students.len(), N);
    let mut placed = Vec::new();
    for (student, status) in students.iter().zip(statuses) {
        placed.push(put(organization, class_id, student, status).await);
    }
    placed.try_into().expect("one for each")
}

#[tokio::test]
async fn a_seat_that_a_student_gives_up_goes_to_the_earliest_who_waits() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    promote(&organization, true).await;
    let draft = ClassDraft::new().maximum(1);
    let (class, code) = organization.event_class(draft).await;
    let class_id = class.class_id.as_str();
    let students = organization.students(5).await;
    let mut seated = come_in(&stack, &students[0], &code).await;
    let statuses = [
        EnrollmentStatus::Requested,
        EnrollmentStatus::WaitListed,
        EnrollmentStatus::WaitListed,
        EnrollmentStatus::Audit,
    ];
    let [requested, first, second, _] =
        put_all(&organization, class_id, &students[1..], statuses).await;
    for next in [first, second, requested] {
        leave(&stack, &seated).await;
        seated = get(&organization, &next).await;
        assert_eq!(seated.status(), EnrollmentStatus::Enrolled);
        assert_ne!(seated.status_time, next.status_time);
        let roster = organization.roster(class_id).await;
        assert_eq!(roster.seats_taken, 1);
        assert_eq!(enrolled(&roster), [next.student_id]);
    }
    leave(&stack, &seated).await;
    assert_eq!(organization.roster(class_id).await.seats_taken, 0);
    stack.finish().await;
}

#[tokio::test]
async fn nobody_moves_up_by_staffs_doing_nor_where_the_organization_does_not_want_it() {
    let stack = Stack::shared().await;
    let above = Organization::new(&stack).await;
    promote(&above, true).await;
    let organization = above.child().await;
    let class = organization.class(ClassDraft::new().maximum(1)).await;
    let class_id = class.class_id.as_str();
    let students = organization.students(2).await;
    let [waits] = put_all(
        &organization,
        class_id,
        &students[1..],
        [EnrollmentStatus::WaitListed],
    )
    .await;
    for wanted in [false, true] {
        promote(&organization, wanted).await;
        let [seated] = put_all(
            &organization,
            class_id,
            &students[..1],
            [EnrollmentStatus::Enrolled],
        )
        .await;
        if wanted {
            organization.cancel(&seated.enrollment_id, "removed").await;
        } else {
            leave(&stack, &seated).await;
        }
        assert_eq!(get(&organization, &waits).await, waits);
    }
    stack.finish().await;
}

#[tokio::test]
async fn who_cannot_come_any_more_is_passed_over() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    promote(&organization, true).await;
    let class = organization.class(ClassDraft::new().maximum(1)).await;
    let class_id = class.class_id.as_str();
    let students = organization.students(3).await;
    let statuses = [
        EnrollmentStatus::Enrolled,
        EnrollmentStatus::WaitListed,
        EnrollmentStatus::WaitListed,
    ];
    let [seated, first, second] = put_all(&organization, class_id, &students, statuses).await;
    let request = DeactivateStudentRequest {
        student_id: students[1].clone(),
    };
    let mut accounts = organization.admin().students();
    let done = accounts.deactivate_student(request).await;
    done.expect("deactivated");
    leave(&stack, &seated).await;
    assert_eq!(get(&organization, &first).await, first);
    let second = get(&organization, &second).await;
    assert_eq!(second.status(), EnrollmentStatus::Enrolled);
    stack.finish().await;
}

#[tokio::test]
async fn who_waits_comes_before_who_redeems_when_seats_come_free() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    promote(&organization, true).await;
    let draft = ClassDraft::new().maximum(5);
    let (class, code) = organization.event_class(draft).await;
    let class_id = class.class_id.as_str();
    let students = organization.students(15).await;
    let mut seated = Vec::new();
    for student in &students[..5] {
        seated.push(come_in(&stack, student, &code).await);
    }
    let waiting = [EnrollmentStatus::WaitListed; 5];
    put_all(&organization, class_id, &students[5..10], waiting).await;
    let leaving = seated.iter().map(|enrollment| leave(&stack, enrollment));
    let coming = students[10..]
        .iter()
        .map(|student| redeem(&stack, student, &code));
    let (_, answers) = futures::join!(join_all(leaving), join_all(coming));
    for answer in answers {
        refused(answer, ErrorReason::ClassFull);
    }
    let roster = organization.roster(class_id).await;
    assert_eq!(roster.seats_taken, 5);
    assert_eq!(enrolled(&roster), students[5..10]);
    stack.finish().await;
}

#[tokio::test]
async fn staff_who_cancel_name_who_gets_the_seat() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new().maximum(1)).await;
    let other = organization.class(ClassDraft::new()).await;
    let class_id = class.class_id.as_str();
    let students = organization.students(3).await;
    let statuses = [
        EnrollmentStatus::Enrolled,
        EnrollmentStatus::Approved,
        EnrollmentStatus::Requested,
    ];
    let [seated, waits, ended] = put_all(&organization, class_id, &students, statuses).await;
    let [elsewhere] = put_all(
        &organization,
        &other.class_id,
        &students[1..2],
        [EnrollmentStatus::WaitListed],
    )
    .await;
    organization.cancel(&ended.enrollment_id, "no").await;
    let admin = organization.admin();
    for (caller, replacement, reason) in [
        (&admin, &elsewhere, ErrorReason::EnrollmentNotFound),
        (&admin, &seated, ErrorReason::EnrollmentNotFound),
        (&admin, &ended, ErrorReason::StatusUnreachable),
        (
            &stack.student(&students[0]),
            &waits,
            ErrorReason::NotAllowed,
        ),
    ] {
        refused(cancel(caller, &seated, Some(replacement)).await, reason);
        assert_eq!(
            get(&organization, &seated).await,
            seated,
            "nothing was done"
        );
    }
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = cancel(&admin, &seated, Some(&waits)).await;
        answers.push(answer.expect("cancelled").into_inner());
    }
    assert_eq!(answers[0], answers[1]);
    let replacement = answers[0].replacement.clone().expect("the replacement");
    assert_eq!(replacement.status(), EnrollmentStatus::Enrolled);
    assert_eq!(replacement.enrollment_id, waits.enrollment_id);
    let roster = organization.roster(class_id).await;
    assert_eq!(enrolled(&roster), std::slice::from_ref(&students[1]));
    stack.finish().await;
}

#[tokio::test]
async fn a_seat_given_up_within_the_organizations_window_is_given_up_late() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let soon = organization.class(ClassDraft::new()).await;
    let (start, end) = (now() + TimeDelta::days(5), now() + TimeDelta::days(6));
    let later = organization
        .class(ClassDraft::new().dates(start, end))
        .await;
    let student = organization.student().await.student_id;
    let two_days = Duration {
        seconds: 2 * 86_400,
        nanos: 0,
    };
    for (window, class, status, late) in [
        (None, &soon, EnrollmentStatus::Enrolled, false),
        (Some(two_days), &soon, EnrollmentStatus::Enrolled, true),
        (Some(two_days), &soon, EnrollmentStatus::WaitListed, false),
        (Some(two_days), &later, EnrollmentStatus::Enrolled, false),
        (None, &soon, EnrollmentStatus::Enrolled, false),
    ] {
        let request = UpdateOrganizationRequest {
            organization_id: organization.id.clone(),
            update_mask: mask(&["late_cancellation_window"]),
            late_cancellation_window: window,
            ..UpdateOrganizationRequest::default()
        };
        let mut organizations = organization.admin().organizations();
        let updated = organizations.update_organization(request).await;
        let updated = updated.expect("updated").into_inner().organization;
        assert_eq!(updated.expect("it").late_cancellation_window, window);
        let place = put(&organization, &class.class_id, &student, status).await;
        let left = leave(&stack, &place).await;
        assert_eq!(left.late_cancellation, late, "{window:?} {status:?}");
    }
    stack.finish().await;
}

async fn redeem_or_wait(
    stack: &Stack,
    redemption_id: &str,
    student_id: &str,
    code: &str,
    if_full: IfFull,
) -> Result<Response<RedeemKeyResponse>, Status> {
    let mut request = redemption(redemption_id, student_id, code);
    request.set_if_full(if_full);
    stack.platform().redemptions().redeem_key(request).await
}

#[tokio::test]
async fn who_redeems_into_a_full_class_may_wait_with_the_key_or_without_it() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    promote(&organization, true).await;
    let (keeping, returning) = (IfFull::WaitKeepingKey, IfFull::WaitReturningKey);
    for if_full in [keeping, returning] {
        let draft = ClassDraft::new().maximum(1);
        let (class, codes) = organization.keyed_class(draft, 1).await;
        let class_id = class.class_id.as_str();
        let code = codes[0].code.as_str();
        let students = organization.students(3).await;
        let enrolled_as = EnrollmentStatus::Enrolled;
        let seated = put(&organization, class_id, &students[0], enrolled_as).await;
        let id = new_id();
        let answer = redeem_or_wait(&stack, &id, &students[1], code, if_full).await;
        let waits = answer.expect("waits").into_inner();
        assert_eq!(waits.outcome(), RedemptionOutcome::WaitListed);
        let place = waits.enrollment.clone().expect("an enrollment");
        assert_eq!(place.status(), EnrollmentStatus::WaitListed);
        assert_eq!(organization.roster(class_id).await.seats_taken, 1);
        // The same again is the same; a new wish finds that the student waits already; other content is another's.
        let again = redeem_or_wait(&stack, &id, &students[1], code, if_full).await;
        let again = again.expect("waits").into_inner();
        assert_eq!((again.outcome(), again.replayed), (waits.outcome(), true));
        let anew = redeem_or_wait(&stack, &new_id(), &students[1], code, if_full).await;
        let anew = anew.expect("waits").into_inner();
        assert_eq!(anew.outcome(), RedemptionOutcome::AlreadyIn);
        assert_eq!(anew.enrollment, waits.enrollment);
        let other = redeem_or_wait(&stack, &id, &students[1], code, IfFull::Unspecified).await;
        refused(other, ErrorReason::RequestIdReused);

        let third = redeem_or_wait(&stack, &new_id(), &students[2], code, if_full).await;
        if if_full == keeping {
            refused(third, ErrorReason::KeyAlreadyRedeemed);
        } else {
            let third = third.expect("waits").into_inner();
            assert_eq!(third.outcome(), RedemptionOutcome::WaitListed);
        }
        // The first who waits gets the seat, and needs no key for it.
        leave(&stack, &seated).await;
        let place = get(&organization, &place).await;
        assert_eq!(place.status(), EnrollmentStatus::Enrolled);
        let roster = organization.roster(class_id).await;
        assert_eq!(enrolled(&roster), std::slice::from_ref(&students[1]));
        let replayed = redeem_or_wait(&stack, &id, &students[1], code, if_full).await;
        let replayed = replayed.expect("as decided").into_inner();
        assert_eq!(replayed.outcome(), RedemptionOutcome::WaitListed);
        assert_eq!(replayed.enrollment, Some(place));
    }
    stack.finish().await;
}

#[tokio::test]
async fn of_those_who_are_put_on_it_together_the_first_is_let_in_first() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    promote(&organization, true).await;
    let (class, code) = organization.event_class(ClassDraft::new().maximum(1)).await;
    let students = organization.students(6).await;
    let mut seated = come_in(&stack, &students[0], &code).await;
    let request = BatchEnrollStudentsRequest {
        request_id: new_id(),
        class_id: class.class_id.clone(),
        student_ids: students[1..].to_vec(),
        status: EnrollmentStatus::WaitListed.into(),
    };
    let mut enrollments = organization.admin().enrollments();
    let put = enrollments.batch_enroll_students(request).await;
    for next in put.expect("outcomes").into_inner().outcomes {
        leave(&stack, &seated).await;
        seated = get(&organization, &next.enrollment.expect("waiting")).await;
        assert_eq!(seated.status(), EnrollmentStatus::Enrolled);
    }
    stack.finish().await;
}
