//! The roster shows a class in one answer, and access says who may open it, from when to when.

use chrono::TimeDelta;
use latchkey_proto::enrollment::v1::{
    AccessDenial, EnrollmentStatus, GetAccessRequest, GetAccessResponse, GetRosterResponse,
    RosterEntry, UpdateClassRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::KeyKind;

use crate::harness::time::read;
use crate::harness::world::{come_in, generated};
use crate::harness::{Caller, ClassDraft, Organization, Stack, at, now, refused};

async fn access(caller: &Caller, student_id: &str, class_id: &str) -> GetAccessResponse {
    let request = GetAccessRequest {
        student_id: student_id.to_owned(),
        class_id: class_id.to_owned(),
        course_id: String::new(),
    };
    let mut enrollments = caller.enrollments();
    let answer = enrollments.get_access(request).await;
    answer.expect("an answer").into_inner()
}

fn entry<'r>(roster: &'r GetRosterResponse, student_id: &str) -> &'r RosterEntry {
    let of_student =
        |entry: &&RosterEntry| entry.student.as_ref().expect("a student").student_id == student_id;
    roster.entries.iter().find(of_student).expect("an entry")
}

fn count(roster: &GetRosterResponse, status: EnrollmentStatus) -> i32 {
    let mut counts = roster.counts.iter();
    let found = counts.find(|count| count.status() == status);
    found.map_or(0, |count| count.count)
}

#[tokio::test]
async fn a_roster_shows_seats_statuses_and_how_and_when_each_student_came() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().maximum(5).with_event_key();
    let (class, codes) = organization.keyed_class(draft, 1).await;
    organization
        .set_event_key(&class.class_id, generated())
        .await;
    let event_code = organization.event_code(&class.class_id).await;
    let [by_key, by_event, gone]: [String; 3] =
        organization.students(3).await.try_into().expect("three");
    let before = now() - TimeDelta::minutes(1);
    come_in(&stack, &by_key, &codes[0].code).await;
    come_in(&stack, &by_event, &event_code).await;
    let left = come_in(&stack, &gone, &event_code).await;
    organization.cancel(&left.enrollment_id, "asked to").await;

    let roster = organization.roster(&class.class_id).await;
    assert_eq!((roster.minimum_students, roster.maximum_students), (1, 5));
    assert_eq!((roster.seats_taken, roster.seats_left), (2, 3));
    assert_eq!(count(&roster, EnrollmentStatus::Enrolled), 2);
    assert_eq!(count(&roster, EnrollmentStatus::Cancelled), 1);
    assert_eq!(roster.entries.len(), 3);
    for (student, kind, generation) in [
        (&by_key, KeyKind::Enrollment, 1),
        (&by_event, KeyKind::Event, 2),
        (&gone, KeyKind::Event, 2),
    ] {
        let enrollment = entry(&roster, student).enrollment.clone();
        let enrollment = enrollment.expect("an enrollment");
        let origin = enrollment.origin.expect("an origin");
        assert_eq!((origin.key_kind(), origin.generation), (kind, generation));
        let came = read(enrollment.enroll_time.as_ref());
        assert!(before < came && came < now() + TimeDelta::minutes(1));
        let by_enrollment_key = origin.key_id == codes[0].key_id;
        assert_eq!(by_enrollment_key, kind == KeyKind::Enrollment);
    }
    stack.finish().await;
}

#[tokio::test]
async fn access_lasts_from_the_start_until_post_class_access_expires() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new().running()).await;
    let student = organization.student().await.student_id;
    let enrollment = come_in(&stack, &student, &code).await;
    let myself = stack.student(&student);

    let during = access(&myself, &student, &class.class_id).await;
    assert!(during.allowed, "{during:?}");
    assert_eq!(during.access_from, class.start_time);
    let shown = during.enrollment.expect("the enrollment");
    assert_eq!(shown.enrollment_id, enrollment.enrollment_id);
    let until = read(during.access_until.as_ref());
    let days = (until - read(class.end_time.as_ref())).num_days();
    assert!((179..=180).contains(&days), "180 days by default: {days}");

    let starts_later = UpdateClassRequest {
        start_time: at(now() + TimeDelta::days(1)),
        end_time: at(now() + TimeDelta::days(2)),
        ..UpdateClassRequest::default()
    };
    let dates = &["start_time", "end_time"];
    organization
        .update_class(&class.class_id, dates, starts_later)
        .await;
    let before = access(&myself, &student, &class.class_id).await;
    assert_eq!(
        (before.allowed, before.denial()),
        (false, AccessDenial::NotStarted)
    );

    let long_over = UpdateClassRequest {
        start_time: at(now() - TimeDelta::days(20)),
        end_time: at(now() - TimeDelta::days(10)),
        post_class_days: 5,
        ..UpdateClassRequest::default()
    };
    let paths = &["start_time", "end_time", "post_class_days"];
    organization
        .update_class(&class.class_id, paths, long_over)
        .await;
    let after = access(&myself, &student, &class.class_id).await;
    assert_eq!(
        (after.allowed, after.denial()),
        (false, AccessDenial::Expired)
    );
    stack.finish().await;
}

#[tokio::test]
async fn access_ends_with_the_enrollment_and_with_the_class() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new().running()).await;
    let admin = organization.admin();
    let [stays, leaves, never]: [String; 3] =
        organization.students(3).await.try_into().expect("three");
    come_in(&stack, &stays, &code).await;
    let left = come_in(&stack, &leaves, &code).await;
    let request = latchkey_proto::enrollment::v1::CancelEnrollmentRequest {
        enrollment_id: left.enrollment_id,
        ..latchkey_proto::enrollment::v1::CancelEnrollmentRequest::default()
    };
    let mut enrollments = organization.manager().enrollments();
    enrollments
        .cancel_enrollment(request)
        .await
        .expect("cancelled");
    for student in [&leaves, &never] {
        let answer = access(&admin, student, &class.class_id).await;
        let denied = (answer.allowed, answer.denial());
        assert_eq!(denied, (false, AccessDenial::NotEnrolled));
        assert!(answer.enrollment.is_none());
    }
    organization.cancel_class(&class.class_id).await;
    let answer = access(&admin, &stays, &class.class_id).await;
    let denied = (answer.allowed, answer.denial());
    assert_eq!(denied, (false, AccessDenial::ClassCancelled));
    stack.finish().await;
}

#[tokio::test]
async fn a_student_asks_for_themselves_only() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new().running()).await;
    let [one, other]: [String; 2] = organization.students(2).await.try_into().expect("two");
    come_in(&stack, &one, &code).await;
    let request = GetAccessRequest {
        student_id: one,
        class_id: class.class_id,
        course_id: String::new(),
    };
    let mut enrollments = stack.student(&other).enrollments();
    refused(
        enrollments.get_access(request).await,
        ErrorReason::StudentNotFound,
    );
    stack.finish().await;
}
