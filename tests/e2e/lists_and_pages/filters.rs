//! What each filter lets through, and in which order.

use chrono::TimeDelta;
use latchkey_proto::audit::v1::AuditOutcome;
use latchkey_proto::enrollment::v1::{ClassStatus, EnrollmentStatus};
use prost_reflect::Value;

use super::{List, choice, fields, moment, text};
use crate::harness::world::come_in;
use crate::harness::{ClassDraft, Organization, Stack, now};

/// The number of `AuditEvent.action`.
const ACTION: u32 = 5;
/// The number of `AuditEvent.request_id`.
const REQUEST_ID: u32 = 10;

#[tokio::test]
async fn classes_by_status_and_time_the_latest_first() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let day = |days| now() + TimeDelta::days(days);
    let past = organization.class(ClassDraft::new().ended()).await.class_id;
    let next = organization.class(ClassDraft::new()).await.class_id;
    let draft = ClassDraft::new().dates(day(10), day(11));
    let later = organization.class(draft).await.class_id;
    let draft = ClassDraft::new().dates(day(20), day(21));
    let draft = draft.change(|request| request.status = ClassStatus::Tentative.into());
    let tentative = organization.class(draft).await.class_id;
    organization.child().await.class(ClassDraft::new()).await;
    organization.cancel_class(&later).await;

    let filters = [("organization_id", text(&organization.id))];
    let list = List::of_enrollment("ListClasses", organization.admin(), &filters);
    let status = |status: ClassStatus| [("status", choice(status))];
    let (after, before) = (
        ("ends_after", moment(now())),
        ("starts_before", moment(day(5))),
    );
    assert_eq!(
        list.show([]).await,
        [&tentative, &later, &next, &past].map(String::clone)
    );
    assert_eq!(
        list.show(status(ClassStatus::Scheduled)).await,
        [&next, &past].map(String::clone)
    );
    assert_eq!(
        list.show(status(ClassStatus::Tentative)).await,
        [&tentative].map(String::clone)
    );
    assert_eq!(
        list.show(status(ClassStatus::Cancelled)).await,
        [&later].map(String::clone)
    );
    let ahead = [tentative, later, next.clone()];
    assert_eq!(list.show([after.clone()]).await, ahead);
    assert_eq!(list.show([before.clone()]).await, [next.clone(), past]);
    assert_eq!(list.show([after, before]).await, [next]);
    stack.finish().await;
}

#[tokio::test]
async fn enrollments_by_class_student_and_status_the_newest_first() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let (other_class, other_code) = organization.event_class(ClassDraft::new()).await;
    let students = organization.students(2).await;
    let one = come_in(&stack, &students[0], &code).await.enrollment_id;
    let two = come_in(&stack, &students[1], &code).await.enrollment_id;
    let three = come_in(&stack, &students[0], &other_code)
        .await
        .enrollment_id;
    organization.cancel(&one, "").await;

    let list = List::of_enrollment("ListEnrollments", organization.admin(), &[]);
    let of_class = ("class_id", text(&class.class_id));
    let of_first = ("student_id", text(&students[0]));
    let enrolled = ("status", choice(EnrollmentStatus::Enrolled));
    let cancelled = ("status", choice(EnrollmentStatus::Cancelled));
    assert_eq!(
        list.show([of_class.clone()]).await,
        [&two, &one].map(String::clone)
    );
    assert_eq!(
        list.show([of_first.clone()]).await,
        [&three, &one].map(String::clone)
    );
    assert_eq!(
        list.show([of_class.clone(), of_first.clone()]).await,
        [&one].map(String::clone)
    );
    let apart = [
        ("class_id", text(&other_class.class_id)),
        ("student_id", text(&students[1])),
    ];
    assert!(list.show(apart).await.is_empty());
    assert_eq!(list.show([of_class.clone(), enrolled]).await, [two]);
    assert_eq!(
        list.show([of_class, cancelled.clone()]).await,
        [&one].map(String::clone)
    );
    assert_eq!(list.show([of_first, cancelled]).await, [one]);
    stack.finish().await;
}

#[tokio::test]
async fn students_by_organization_and_by_e_mail_without_regard_to_case() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let below = organization.child().await;
    let (own, other) = (organization.student().await, below.student().await);
    let list = List::of_enrollment("ListStudents", organization.admin(), &[]);
    let both = [own.student_id.clone(), other.student_id];
    assert_eq!(list.show([]).await, both, "by id");
    let within = ("organization_id", text(&organization.id));
    assert_eq!(list.show([within.clone()]).await, both[..1]);
    let upper = ("email", text(&own.email.to_uppercase()));
    assert_eq!(list.show([upper]).await, both[..1]);
    assert!(
        list.show([within, ("email", text(&other.email))])
            .await
            .is_empty()
    );
    assert!(
        list.show([("email", text("nobody@example.com"))])
            .await
            .is_empty()
    );
    stack.finish().await;
}

#[tokio::test]
async fn organizations_by_their_parent() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let below = organization.child().await;
    let lowest = below.child().await;
    let list = List::of_enrollment("ListOrganizations", organization.admin(), &[]);
    let all = [organization.id.clone(), below.id.clone(), lowest.id.clone()];
    assert_eq!(list.show([]).await, all);
    assert_eq!(
        list.show([("parent_id", text(&organization.id))]).await,
        all[1..2]
    );
    assert_eq!(list.show([("parent_id", text(&below.id))]).await, all[2..]);
    stack.finish().await;
}

#[tokio::test]
async fn audit_events_by_everything_that_they_say_the_newest_first() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let between = moment(now());
    organization.let_register(true).await;

    let filters = [("organization_id", text(&organization.id))];
    let list = List::of_enrollment("ListAuditEvents", organization.admin(), &filters);
    let show =
        async |more: Vec<(&str, Value)>| fields(&list.ask(&more).await.expect("events"), ACTION);
    let all = [
        "organization.set_self_registration",
        "student.create",
        "class.create",
        "organization.create",
    ];
    assert_eq!(show(vec![]).await, all);
    let by_admin = ("actor_subject", text("ada-admin"));
    let by_operator = ("actor_subject", text("olga-operator"));
    let of_student = ("student_id", text(&student));
    for filter in [
        by_admin.clone(),
        ("action", text("class.create")),
        ("resource_id", text(&class.class_id)),
    ] {
        assert_eq!(show(vec![filter]).await, all[2..3]);
    }
    assert_eq!(show(vec![of_student.clone()]).await, all[1..2]);
    assert!(show(vec![of_student, by_admin]).await.is_empty());
    let of_type = ("resource_type", text("class"));
    assert_eq!(show(vec![of_type.clone()]).await, all[2..3]);
    assert!(show(vec![of_type, by_operator.clone()]).await.is_empty());
    assert_eq!(show(vec![by_operator]).await, [all[0], all[3]]);
    let outcome = |outcome: AuditOutcome| ("outcome", choice(outcome));
    assert_eq!(show(vec![outcome(AuditOutcome::Done)]).await, all);
    assert!(show(vec![outcome(AuditOutcome::Limited)]).await.is_empty());
    let events = list.ask(&[]).await.expect("events");
    let of_call = fields(&events, REQUEST_ID);
    assert_eq!(
        show(vec![("request_id", text(&of_call[1]))]).await,
        all[1..2]
    );
    assert!(
        show(vec![("request_id", text("of no call"))])
            .await
            .is_empty()
    );
    assert_eq!(show(vec![("from", between.clone())]).await, all[..1]);
    assert_eq!(show(vec![("until", between)]).await, all[1..]);
    stack.finish().await;
}
