//! What each filter lets through, and in which order.

use chrono::TimeDelta;
use latchkey_proto::audit::v1::ListAuditEventsRequest;
use latchkey_proto::enrollment::v1::{
    CancelClassRequest, CancelEnrollmentRequest, ClassStatus, EnrollmentStatus, ListClassesRequest,
    ListEnrollmentsRequest, ListOrganizationsRequest, ListStudentsRequest,
};

use crate::harness::world::redeem;
use crate::harness::{ClassDraft, Organization, Stack, at, now};

#[tokio::test]
async fn classes_by_status_and_time_the_latest_first() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let past = organization.class(ClassDraft::new().ended()).await.class_id;
    let next = organization.class(ClassDraft::new()).await.class_id;
    let day = |days| now() + TimeDelta::days(days);
    let later = organization
        .class(ClassDraft::new().dates(day(10), day(11)))
        .await
        .class_id;
    let draft = ClassDraft::new().dates(day(20), day(21));
    let tentative = draft.change(|request| request.status = ClassStatus::Tentative.into());
    let tentative = organization.class(tentative).await.class_id;
    organization.child().await.class(ClassDraft::new()).await;
    let cancel = CancelClassRequest {
        class_id: later.clone(),
        ..CancelClassRequest::default()
    };
    organization
        .admin()
        .classes()
        .cancel_class(cancel)
        .await
        .expect("cancelled");

    let base = ListClassesRequest {
        organization_id: organization.id.clone(),
        ..ListClassesRequest::default()
    };
    let ids = async |request: ListClassesRequest| -> Vec<String> {
        let answer = organization
            .admin()
            .classes()
            .list_classes(request)
            .await
            .expect("classes")
            .into_inner();
        answer
            .classes
            .into_iter()
            .map(|class| class.class_id)
            .collect()
    };
    assert_eq!(
        ids(base.clone()).await,
        [tentative.clone(), later.clone(), next.clone(), past.clone()]
    );
    let status = |status: ClassStatus| ListClassesRequest {
        status: status.into(),
        ..base.clone()
    };
    assert_eq!(
        ids(status(ClassStatus::Scheduled)).await,
        [next.clone(), past.clone()]
    );
    assert_eq!(
        ids(status(ClassStatus::Tentative)).await,
        [tentative.clone()]
    );
    assert_eq!(ids(status(ClassStatus::Cancelled)).await, [later.clone()]);
    let ahead = ListClassesRequest {
        ends_after: at(now()),
        ..base.clone()
    };
    assert_eq!(ids(ahead.clone()).await, [tentative, later, next.clone()]);
    assert_eq!(
        ids(ListClassesRequest {
            starts_before: at(day(5)),
            ..ahead
        })
        .await,
        [next.clone()]
    );
    assert_eq!(
        ids(ListClassesRequest {
            starts_before: at(day(5)),
            ..base
        })
        .await,
        [next, past]
    );
    stack.finish().await;
}

#[tokio::test]
async fn enrollments_by_class_student_and_status_the_newest_first() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let (other_class, other_code) = organization.event_class(ClassDraft::new()).await;
    let (first, second) = (
        organization.student().await.student_id,
        organization.student().await.student_id,
    );
    let come_in = async |student: &str, code: &str| {
        let answer = redeem(&stack, student, code)
            .await
            .expect("in")
            .into_inner();
        answer.enrollment.expect("an enrollment").enrollment_id
    };
    let one = come_in(&first, &code).await;
    let two = come_in(&second, &code).await;
    let three = come_in(&first, &other_code).await;
    let cancel = CancelEnrollmentRequest {
        enrollment_id: one.clone(),
        reason: String::new(),
    };
    organization
        .admin()
        .enrollments()
        .cancel_enrollment(cancel)
        .await
        .expect("cancelled");

    let ids = async |request: ListEnrollmentsRequest| -> Vec<String> {
        let answer = organization
            .admin()
            .enrollments()
            .list_enrollments(request)
            .await
            .expect("enrollments");
        answer
            .into_inner()
            .enrollments
            .into_iter()
            .map(|enrollment| enrollment.enrollment_id)
            .collect()
    };
    let of_class = ListEnrollmentsRequest {
        class_id: class.class_id,
        ..ListEnrollmentsRequest::default()
    };
    let of_student = ListEnrollmentsRequest {
        student_id: first.clone(),
        ..ListEnrollmentsRequest::default()
    };
    assert_eq!(ids(of_class.clone()).await, [two.clone(), one.clone()]);
    assert_eq!(ids(of_student.clone()).await, [three.clone(), one.clone()]);
    let both = ListEnrollmentsRequest {
        student_id: first,
        ..of_class.clone()
    };
    assert_eq!(ids(both).await, [one.clone()]);
    let other = ListEnrollmentsRequest {
        class_id: other_class.class_id,
        student_id: second,
        ..of_class.clone()
    };
    assert!(ids(other).await.is_empty());
    let status = |status: EnrollmentStatus| ListEnrollmentsRequest {
        status: status.into(),
        ..of_class.clone()
    };
    assert_eq!(ids(status(EnrollmentStatus::Enrolled)).await, [two]);
    assert_eq!(
        ids(status(EnrollmentStatus::Cancelled)).await,
        [one.clone()]
    );
    let cancelled = ListEnrollmentsRequest {
        status: EnrollmentStatus::Cancelled.into(),
        ..of_student
    };
    assert_eq!(ids(cancelled).await, [one]);
    stack.finish().await;
}

#[tokio::test]
async fn students_by_e_mail_without_regard_to_case_and_organizations_by_their_parent() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let below = organization.child().await;
    let (student, other) = (organization.student().await, below.student().await);
    let list = async |request: ListStudentsRequest| -> Vec<String> {
        let answer = organization
            .admin()
            .students()
            .list_students(request)
            .await
            .expect("students");
        answer
            .into_inner()
            .students
            .into_iter()
            .map(|student| student.student_id)
            .collect()
    };
    let everyone = ListStudentsRequest::default();
    assert_eq!(
        list(everyone.clone()).await,
        [student.student_id.clone(), other.student_id.clone()],
        "by id"
    );
    let own = ListStudentsRequest {
        organization_id: organization.id.clone(),
        ..everyone.clone()
    };
    assert_eq!(list(own.clone()).await, [student.student_id.clone()]);
    let upper = ListStudentsRequest {
        email: student.email.to_uppercase(),
        ..everyone.clone()
    };
    assert_eq!(list(upper).await, [student.student_id]);
    assert!(
        list(ListStudentsRequest {
            email: other.email,
            ..own
        })
        .await
        .is_empty(),
        "AND"
    );
    assert!(
        list(ListStudentsRequest {
            email: "nobody@example.com".to_owned(),
            ..everyone
        })
        .await
        .is_empty()
    );

    let lower = below.child().await;
    let organizations = async |parent_id: &str| -> Vec<String> {
        let request = ListOrganizationsRequest {
            parent_id: parent_id.to_owned(),
            ..ListOrganizationsRequest::default()
        };
        let answer = organization
            .admin()
            .organizations()
            .list_organizations(request)
            .await
            .expect("organizations");
        answer
            .into_inner()
            .organizations
            .into_iter()
            .map(|one| one.organization_id)
            .collect()
    };
    assert_eq!(
        organizations("").await,
        [organization.id.clone(), below.id.clone(), lower.id.clone()]
    );
    assert_eq!(organizations(&organization.id).await, [below.id.clone()]);
    assert_eq!(organizations(&below.id).await, [lower.id.clone()]);
    stack.finish().await;
}

#[tokio::test]
async fn audit_events_by_action_actor_resource_student_and_time_the_newest_first() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let between = now();
    organization.let_register(true).await;

    let base = ListAuditEventsRequest {
        organization_id: organization.id.clone(),
        ..ListAuditEventsRequest::default()
    };
    let list = async |request: ListAuditEventsRequest| -> Vec<String> {
        let answer = organization
            .admin()
            .enrollment_audit()
            .list_audit_events(request)
            .await
            .expect("events");
        answer
            .into_inner()
            .events
            .into_iter()
            .map(|event| event.action)
            .collect()
    };
    let all = [
        "organization.set_self_registration",
        "student.create",
        "class.create",
        "organization.create",
    ];
    assert_eq!(list(base.clone()).await, all);
    let action = ListAuditEventsRequest {
        action: "class.create".to_owned(),
        ..base.clone()
    };
    assert_eq!(list(action).await, all[2..3]);
    let actor = ListAuditEventsRequest {
        actor_subject: "ada-admin".to_owned(),
        ..base.clone()
    };
    assert_eq!(list(actor.clone()).await, all[2..3]);
    let resource = ListAuditEventsRequest {
        resource_id: class.class_id,
        ..base.clone()
    };
    assert_eq!(list(resource).await, all[2..3]);
    let of_student = ListAuditEventsRequest {
        student_id: student,
        ..base.clone()
    };
    assert_eq!(list(of_student.clone()).await, all[1..2]);
    assert!(
        list(ListAuditEventsRequest {
            actor_subject: actor.actor_subject,
            ..of_student
        })
        .await
        .is_empty(),
        "AND"
    );
    assert_eq!(
        list(ListAuditEventsRequest {
            from: at(between),
            ..base.clone()
        })
        .await,
        all[..1]
    );
    assert_eq!(
        list(ListAuditEventsRequest {
            until: at(between),
            ..base
        })
        .await,
        all[1..]
    );
    stack.finish().await;
}
