//! All statuses of an enrollment: who changes them into which, and what each is worth.

use futures::future::join_all;
use latchkey_proto::enrollment::v1::{
    AccessDenial, CancelEnrollmentRequest, CancelledBy, ChangeEnrollmentStatusRequest,
    ChangeEnrollmentStatusResponse, EnrollStudentRequest, Enrollment, EnrollmentStatus,
    EraseStudentRequest, GetAccessRequest, GetEnrollmentRequest, GetRosterResponse,
};
use latchkey_proto::errors::v1::ErrorReason;
use tonic::{Response, Status};

use crate::harness::world::{come_in, redeem};
use crate::harness::{Caller, ClassDraft, Organization, Stack, new_id, reason_of, refused};

const WAITING: [EnrollmentStatus; 3] = [
    EnrollmentStatus::Requested,
    EnrollmentStatus::WaitListed,
    EnrollmentStatus::Approved,
];

/// Puts a student on the roster of a class, as staff.
pub(crate) async fn put(
    organization: &Organization<'_>,
    class_id: &str,
    student_id: &str,
    status: EnrollmentStatus,
) -> Enrollment {
    let request = EnrollStudentRequest {
        request_id: new_id(),
        class_id: class_id.to_owned(),
        student_id: student_id.to_owned(),
        status: status.into(),
    };
    let mut enrollments = organization.admin().enrollments();
    let answer = enrollments.enroll_student(request).await;
    let enrollment = answer.expect("enrolled").into_inner().enrollment;
    enrollment.expect("an enrollment")
}

async fn try_to_change(
    caller: &Caller,
    enrollment: &Enrollment,
    status: EnrollmentStatus,
) -> Result<Response<ChangeEnrollmentStatusResponse>, Status> {
    let request = ChangeEnrollmentStatusRequest {
        enrollment_id: enrollment.enrollment_id.clone(),
        status: status.into(),
        reason: "as agreed".to_owned(),
        etag: String::new(),
    };
    caller.enrollments().change_enrollment_status(request).await
}

async fn change(caller: &Caller, enrollment: &Enrollment, status: EnrollmentStatus) -> Enrollment {
    let answer = try_to_change(caller, enrollment, status).await;
    let changed = answer.expect("changed").into_inner().enrollment;
    changed.expect("an enrollment")
}

/// The enrollment as it is now.
pub(crate) async fn get(organization: &Organization<'_>, enrollment: &Enrollment) -> Enrollment {
    let request = GetEnrollmentRequest {
        enrollment_id: enrollment.enrollment_id.clone(),
    };
    let mut enrollments = organization.admin().enrollments();
    let got = enrollments.get_enrollment(request).await.expect("it");
    got.into_inner().enrollment.expect("an enrollment")
}

fn counts(roster: &GetRosterResponse) -> Vec<(EnrollmentStatus, i32)> {
    let counts = roster.counts.iter();
    counts.map(|count| (count.status(), count.count)).collect()
}

#[tokio::test]
async fn only_the_enrolled_take_a_seat_and_auditors_have_the_same_access() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().running().maximum(1);
    let class = organization.class(draft).await;
    let admin = organization.admin();
    let mut expected = Vec::new();
    for status in [
        EnrollmentStatus::Requested,
        EnrollmentStatus::WaitListed,
        EnrollmentStatus::Approved,
        EnrollmentStatus::Audit,
        EnrollmentStatus::Enrolled,
    ] {
        let student_id = organization.student().await.student_id;
        let enrollment = put(&organization, &class.class_id, &student_id, status).await;
        assert_eq!(enrollment.status(), status);
        assert_eq!(enrollment.status_time, enrollment.enroll_time);
        expected.push((status, 1));
        let request = GetAccessRequest {
            student_id,
            class_id: class.class_id.clone(),
            course_id: String::new(),
        };
        let access = admin.enrollments().get_access(request).await;
        let access = access.expect("an answer").into_inner();
        let denial = if WAITING.contains(&status) {
            AccessDenial::NotEnrolled
        } else {
            AccessDenial::Unspecified
        };
        assert_eq!(access.denial(), denial, "{status:?}");
        assert_eq!(access.enrollment.is_some(), access.allowed, "{status:?}");
    }
    let roster = organization.roster(&class.class_id).await;
    assert_eq!((roster.seats_taken, roster.seats_left), (1, 0));
    let mut counted = counts(&roster);
    counted.sort_by_key(|(status, _)| expected.iter().position(|(one, _)| one == status));
    assert_eq!(counted, expected);
    let waiting = roster.entries[1].enrollment.clone().expect("an enrollment");
    let full = try_to_change(&admin, &waiting, EnrollmentStatus::Enrolled).await;
    refused(full, ErrorReason::ClassFull);
    stack.finish().await;
}

#[tokio::test]
async fn staff_change_a_status_by_the_table_and_seats_follow() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let (admin, class_id) = (organization.admin(), class.class_id.as_str());
    let requested = put(
        &organization,
        class_id,
        &student,
        EnrollmentStatus::Requested,
    )
    .await;
    let seats = async || organization.roster(class_id).await.seats_taken;
    assert_eq!(seats().await, 0);
    let enrolled = change(&admin, &requested, EnrollmentStatus::Enrolled).await;
    assert_eq!(seats().await, 1);
    assert_ne!(enrolled.etag, requested.etag);
    assert_eq!(enrolled.enroll_time, requested.enroll_time);

    // What is so already is left as it is, whatever the etag; a change by an old one is refused.
    let old = |status: EnrollmentStatus| ChangeEnrollmentStatusRequest {
        enrollment_id: requested.enrollment_id.clone(),
        status: status.into(),
        reason: String::new(),
        etag: requested.etag.clone(),
    };
    let mut enrollments = admin.enrollments();
    let again = enrollments.change_enrollment_status(old(EnrollmentStatus::Enrolled));
    let again = again.await.expect("so already").into_inner().enrollment;
    assert_eq!(again, Some(enrolled.clone()));
    let stale = enrollments.change_enrollment_status(old(EnrollmentStatus::Audit));
    refused(stale.await, ErrorReason::EtagMismatch);

    let denied = try_to_change(&admin, &enrolled, EnrollmentStatus::Denied).await;
    refused(denied, ErrorReason::StatusUnreachable);
    let audit = change(&admin, &enrolled, EnrollmentStatus::Audit).await;
    assert_eq!(
        (audit.status(), seats().await),
        (EnrollmentStatus::Audit, 0)
    );
    change(&admin, &audit, EnrollmentStatus::Enrolled).await;
    assert_eq!(seats().await, 1);
    stack.finish().await;
}

#[tokio::test]
async fn once_the_class_has_begun_only_an_operations_manager_takes_a_seat_away() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new().running()).await;
    let students = organization.students(2).await;
    let class_id = class.class_id.as_str();
    let enrolled = put(
        &organization,
        class_id,
        &students[0],
        EnrollmentStatus::Enrolled,
    )
    .await;
    for status in [EnrollmentStatus::Audit, EnrollmentStatus::WaitListed] {
        let answer = try_to_change(&organization.admin(), &enrolled, status).await;
        refused(answer, ErrorReason::ClassStarted);
    }
    change(&organization.manager(), &enrolled, EnrollmentStatus::Audit).await;
    // Who only waits may still give it up.
    let waits = put(
        &organization,
        class_id,
        &students[1],
        EnrollmentStatus::WaitListed,
    )
    .await;
    let request = CancelEnrollmentRequest {
        enrollment_id: waits.enrollment_id,
        ..CancelEnrollmentRequest::default()
    };
    let mut enrollments = stack.student(&students[1]).enrollments();
    let answer = enrollments.cancel_enrollment(request).await;
    let cancelled = answer.expect("cancelled").into_inner().enrollment;
    let cancelled_by = cancelled.expect("an enrollment").cancelled_by();
    assert_eq!(cancelled_by, CancelledBy::Student);
    stack.finish().await;
}

#[tokio::test]
async fn a_key_is_given_up_for_good_by_a_denial_and_by_a_cancellation() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization.keyed_class(ClassDraft::new(), 2).await;
    let students = organization.students(4).await;
    let (admin, class_id) = (organization.admin(), class.class_id.as_str());
    for (code, pair) in codes.iter().zip(students.chunks(2)) {
        let first = come_in(&stack, &pair[0], &code.code).await;
        let waits = change(&admin, &first, EnrollmentStatus::WaitListed).await;
        let taken = redeem(&stack, &pair[1], &code.code).await;
        refused(taken, ErrorReason::KeyAlreadyRedeemed);
        if code == &codes[0] {
            change(&admin, &waits, EnrollmentStatus::Denied).await;
        } else {
            organization.cancel(&waits.enrollment_id, "no").await;
        }
        come_in(&stack, &pair[1], &code.code).await;
        // Brought back, it does not hold the key, which is another's now.
        let back = change(&admin, &first, EnrollmentStatus::Enrolled).await;
        assert_eq!(back.cancel_time, None);
        assert_eq!(back.origin, first.origin);
        organization.cancel(&first.enrollment_id, "after all").await;
        let taken = redeem(&stack, &pair[0], &code.code).await;
        refused(taken, ErrorReason::KeyAlreadyRedeemed);
    }
    assert_eq!(organization.roster(class_id).await.seats_taken, 2);
    stack.finish().await;
}

#[tokio::test]
async fn who_was_denied_does_not_come_by_the_event_key_until_brought_back() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let admin = organization.admin();
    let class_id = class.class_id.as_str();
    let asked = put(
        &organization,
        class_id,
        &student,
        EnrollmentStatus::Requested,
    )
    .await;
    let denied = change(&admin, &asked, EnrollmentStatus::Denied).await;
    let blocked = redeem(&stack, &student, &code).await;
    refused(blocked, ErrorReason::StudentBlocked);
    // Somebody in by another enrollment is not brought back by this one.
    let other = put(
        &organization,
        class_id,
        &student,
        EnrollmentStatus::WaitListed,
    )
    .await;
    let twice = try_to_change(&admin, &denied, EnrollmentStatus::Approved).await;
    refused(twice, ErrorReason::StudentAlreadyIn);
    organization.cancel(&other.enrollment_id, "no").await;
    let blocked = redeem(&stack, &student, &code).await;
    refused(blocked, ErrorReason::StudentBlocked);
    let approved = change(&admin, &denied, EnrollmentStatus::Approved).await;
    come_in(&stack, &student, &code).await;
    let gave_way = get(&organization, &approved).await;
    assert_eq!(gave_way.cancelled_by(), CancelledBy::Redemption);
    stack.finish().await;
}

#[tokio::test]
async fn who_waits_and_redeems_into_a_free_seat_is_enrolled() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().maximum(1);
    let (class, codes) = organization.keyed_class(draft, 1).await;
    let [one, other]: [String; 2] = organization.students(2).await.try_into().expect("two");
    let class_id = class.class_id.as_str();
    let code = codes[0].code.as_str();
    let seated = put(&organization, class_id, &other, EnrollmentStatus::Enrolled).await;
    for status in WAITING {
        let waits = put(&organization, class_id, &one, status).await;
        let full = redeem(&stack, &one, code).await;
        refused(full, ErrorReason::ClassFull);
        let admin = organization.admin();
        change(&admin, &seated, EnrollmentStatus::WaitListed).await;
        let enrolled = come_in(&stack, &one, code).await;
        let gave_way = get(&organization, &waits).await;
        assert_eq!(gave_way.cancelled_by(), CancelledBy::Redemption);
        assert_eq!(organization.roster(class_id).await.seats_taken, 1);
        // The key that one waits by oneself lets one in again, and nobody else.
        change(&admin, &enrolled, EnrollmentStatus::WaitListed).await;
        let taken = redeem(&stack, &other, code).await;
        refused(taken, ErrorReason::KeyAlreadyRedeemed);
        let again = come_in(&stack, &one, code).await;
        assert_ne!(again.enrollment_id, enrolled.enrollment_id);
        organization.cancel(&again.enrollment_id, "next").await;
        change(&admin, &seated, EnrollmentStatus::Enrolled).await;
    }
    stack.finish().await;
}

#[tokio::test]
async fn an_erasure_and_a_cancelled_class_end_all_that_is_live() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    let class_id = class.class_id.as_str();
    let all = [
        EnrollmentStatus::Requested,
        EnrollmentStatus::WaitListed,
        EnrollmentStatus::Approved,
        EnrollmentStatus::Audit,
        EnrollmentStatus::Enrolled,
    ];
    let mut erased = Vec::new();
    let mut ended = Vec::new();
    for status in all {
        let students = organization.students(2).await;
        erased.push(put(&organization, class_id, &students[0], status).await);
        ended.push(put(&organization, class_id, &students[1], status).await);
    }
    for enrollment in &erased {
        let request = EraseStudentRequest {
            student_id: enrollment.student_id.clone(),
            reason: "asked to".to_owned(),
            etag: String::new(),
        };
        let mut students = stack.platform().students();
        students.erase_student(request).await.expect("erased");
        let left = get(&organization, enrollment).await;
        assert_eq!(left.cancelled_by(), CancelledBy::Erasure);
    }
    assert_eq!(organization.roster(class_id).await.seats_taken, 1);
    organization.cancel_class(class_id).await;
    for enrollment in &ended {
        let left = get(&organization, enrollment).await;
        assert_eq!(left.cancelled_by(), CancelledBy::Class);
        let back = try_to_change(&organization.admin(), &left, EnrollmentStatus::Audit).await;
        refused(back, ErrorReason::ClassCancelled);
    }
    assert_eq!(organization.roster(class_id).await.seats_taken, 0);
    stack.finish().await;
}

#[tokio::test]
async fn staff_who_let_in_and_students_who_redeem_at_once_fill_the_seats_and_no_more() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().maximum(3);
    let (class, code) = organization.event_class(draft).await;
    let students = organization.students(12).await;
    let admin = organization.admin();
    let mut waiting = Vec::new();
    for student in &students {
        let class_id = class.class_id.as_str();
        waiting.push(
            put(
                &organization,
                class_id,
                student,
                EnrollmentStatus::WaitListed,
            )
            .await,
        );
    }
    let changes = waiting.iter().map(async |enrollment| {
        let answer = try_to_change(&admin, enrollment, EnrollmentStatus::Enrolled).await;
        answer.map(drop)
    });
    let redemptions = students.iter().map(async |student| {
        let answer = redeem(&stack, student, &code).await;
        answer.map(drop)
    });
    let (changes, redemptions) = futures::join!(join_all(changes), join_all(redemptions));
    for refusal in changes
        .into_iter()
        .chain(redemptions)
        .filter_map(Result::err)
    {
        // Of a redemption that took the place of a waiting enrollment, which is cancelled then.
        let possible = [ErrorReason::ClassFull, ErrorReason::StudentAlreadyIn];
        assert!(possible.contains(&reason_of(&refusal)), "{refusal}");
    }
    let roster = organization.roster(&class.class_id).await;
    assert_eq!(roster.seats_taken, 3);
    stack.finish().await;
}
