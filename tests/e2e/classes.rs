//! Classes: made once, changed by the version that was read, ended for good.

use latchkey_proto::enrollment::v1::{
    CancelClassRequest, CancelledBy, ClassStatus, CreateClassRequest, EnrollmentStatus,
    ListClassesRequest, UpdateClassRequest,
};
use latchkey_proto::errors::v1::ErrorReason;

use crate::harness::world::{come_in, mask, redeem};
use crate::harness::{ClassDraft, Organization, Stack, refused};

#[tokio::test]
async fn a_class_that_says_little_has_thirty_seats_and_180_days_of_access() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().change(|request| request.maximum_students = None);
    let class = organization.class(draft).await;
    assert_eq!((class.maximum_students, class.post_class_days), (30, 180));
    assert_eq!(organization.get_class(&class.class_id).await, class);
    stack.finish().await;
}

#[tokio::test]
async fn the_same_request_makes_one_class_with_one_event_key() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let request = ClassDraft::new().with_event_key().request(&organization.id);
    let mut classes = organization.admin().classes();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let made = classes
            .create_class(request.clone())
            .await
            .expect("made")
            .into_inner();
        let key = made.event_key.expect("an event key");
        seen.push((
            made.training_class.expect("a class").class_id,
            key.generation,
        ));
    }
    assert_eq!(seen[0], seen[1]);
    let other = CreateClassRequest {
        name: "Another".to_owned(),
        ..request.clone()
    };
    let without_key = CreateClassRequest {
        event_key: None,
        ..request
    };
    for request in [other, without_key] {
        let answer = classes.create_class(request).await;
        refused(answer, ErrorReason::RequestIdReused);
    }
    stack.finish().await;
}

#[tokio::test]
async fn an_update_changes_the_named_fields_of_the_version_that_was_read() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    let update = |name: &str| UpdateClassRequest {
        class_id: class.class_id.clone(),
        update_mask: mask(&["name"]),
        etag: class.etag.clone(),
        name: name.to_owned(),
        course_name: "Not named".to_owned(),
        ..UpdateClassRequest::default()
    };
    let mut classes = organization.admin().classes();
    let changed = classes.update_class(update("Renamed")).await;
    let changed = changed.expect("changed").into_inner().training_class;
    let changed = changed.expect("a class");
    assert_eq!(changed.name, "Renamed");
    assert_eq!(changed.course_name, class.course_name);
    assert_ne!(changed.etag, class.etag);
    let stale = classes.update_class(update("Late")).await;
    refused(stale, ErrorReason::EtagMismatch);
    let request = ListClassesRequest {
        organization_id: organization.id.clone(),
        ..ListClassesRequest::default()
    };
    let listed = classes.list_classes(request).await.expect("a list");
    assert_eq!(listed.into_inner().classes, [changed]);
    stack.finish().await;
}

#[tokio::test]
async fn keys_open_it_only_once_it_is_scheduled() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().change(|request| request.status = ClassStatus::Tentative.into());
    let (class, code) = organization.event_class(draft).await;
    let student = organization.student().await.student_id;
    let answer = redeem(&stack, &student, &code).await;
    refused(answer, ErrorReason::ClassNotScheduled);
    let change = UpdateClassRequest {
        status: ClassStatus::GuaranteedToRun.into(),
        ..UpdateClassRequest::default()
    };
    organization
        .update_class(&class.class_id, &["status"], change)
        .await;
    come_in(&stack, &student, &code).await;
    stack.finish().await;
}

#[tokio::test]
async fn the_maximum_never_falls_under_the_seats_taken_and_raised_it_lets_more_in() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new().maximum(2)).await;
    let students = organization.students(3).await;
    for student in &students[..2] {
        come_in(&stack, student, &code).await;
    }
    let full = redeem(&stack, &students[2], &code).await;
    refused(full, ErrorReason::ClassFull);
    let maximum = |maximum_students| UpdateClassRequest {
        class_id: class.class_id.clone(),
        update_mask: mask(&["maximum_students"]),
        maximum_students,
        ..UpdateClassRequest::default()
    };
    let mut classes = organization.admin().classes();
    let lowered = classes.update_class(maximum(1)).await;
    refused(lowered, ErrorReason::MaximumBelowSeatsTaken);
    classes.update_class(maximum(3)).await.expect("raised");
    come_in(&stack, &students[2], &code).await;
    stack.finish().await;
}

#[tokio::test]
async fn cancelling_it_is_final_ends_redemption_at_once_and_cancels_its_enrollments() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let [inside, outside]: [String; 2] = organization.students(2).await.try_into().expect("two");
    come_in(&stack, &inside, &code).await;
    let request = CancelClassRequest {
        class_id: class.class_id.clone(),
        ..CancelClassRequest::default()
    };
    let mut classes = organization.admin().classes();
    let cancelled = classes
        .cancel_class(request)
        .await
        .expect("cancelled")
        .into_inner();
    assert_eq!(
        cancelled.training_class.expect("a class").status(),
        ClassStatus::Cancelled
    );

    let answer = redeem(&stack, &outside, &code).await;
    refused(answer, ErrorReason::ClassCancelled);
    let roster = organization.roster(&class.class_id).await;
    assert_eq!(roster.seats_taken, 0);
    let enrollment = roster.entries[0].enrollment.clone().expect("an enrollment");
    assert_eq!(enrollment.status(), EnrollmentStatus::Cancelled);
    assert_eq!(enrollment.cancelled_by(), CancelledBy::Class);
    let request = UpdateClassRequest {
        class_id: class.class_id.clone(),
        update_mask: mask(&["status"]),
        status: ClassStatus::Scheduled.into(),
        ..UpdateClassRequest::default()
    };
    let revived = classes.update_class(request).await;
    refused(revived, ErrorReason::ClassCancelled);
    stack.finish().await;
}
