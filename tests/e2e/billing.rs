//! Who is billed, and why: of open time as it is now, of closed time as it was, whatever happens afterwards.

mod assignments;
mod exporting;
mod racing;

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use latchkey_proto::enrollment::v1::{
    BillingKind, BillingLine, BillingReason, ChangeEnrollmentStatusRequest, ClosePeriodRequest,
    ClosePeriodResponse, EnrollStudentRequest, EnrollmentStatus, EraseStudentRequest,
    ListBillingLinesRequest, ListBillingPeriodsRequest, UpdateClassRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::identity::Role;
use tonic::{Response, Status};

use crate::harness::time::read;
use crate::harness::world::come_in;
use crate::harness::{
    self, Caller, ClassDraft, Organization, Stack, at, insist, new_id, reason_of, refused,
};

/// The present time, as exactly as the database keeps it.
fn now() -> DateTime<Utc> {
    harness::now().trunc_subsecs(6)
}

/// The lines of an organization and of those below it that are booked from one instant on, before another.
async fn lines_between(
    organization: &Organization<'_>,
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
) -> Vec<BillingLine> {
    let request = ListBillingLinesRequest {
        organization_id: organization.id.clone(),
        from: from.and_then(at),
        until: until.and_then(at),
        page_size: 1000,
        page_token: String::new(),
    };
    let billing = organization.manager().billing();
    let answer = insist(async || billing.clone().list_billing_lines(request.clone()).await).await;
    assert_eq!(answer.next_page_token, "", "a page is enough");
    answer.lines
}

async fn lines(organization: &Organization<'_>) -> Vec<BillingLine> {
    lines_between(organization, None, None).await
}

/// What the lines of each enrollment and assignment say, in their order.
fn reasons(lines: &[BillingLine]) -> BTreeMap<String, Vec<BillingReason>> {
    let mut reasons: BTreeMap<String, Vec<BillingReason>> = BTreeMap::new();
    for line in lines {
        let charges = [BillingReason::Enrolled, BillingReason::Assigned].contains(&line.reason());
        assert_eq!(line.kind() == BillingKind::Charge, charges, "{line:?}");
        let ids = [&line.enrollment_id, &line.assignment_id];
        let [id] = ids
            .into_iter()
            .filter(|id| !id.is_empty())
            .collect::<Vec<_>>()[..]
        else {
            panic!("one of the two: {line:?}")
        };
        let of = reasons.entry(id.clone()).or_default();
        of.push(line.reason());
    }
    reasons
}

/// Enrolls a student without a key; the enrollment's id.
async fn enroll(organization: &Organization<'_>, class_id: &str) -> String {
    let request = EnrollStudentRequest {
        request_id: new_id(),
        class_id: class_id.to_owned(),
        student_id: organization.student().await.student_id,
        ..EnrollStudentRequest::default()
    };
    let mut enrollments = organization.admin().enrollments();
    let answer = enrollments.enroll_student(request).await.expect("in");
    answer
        .into_inner()
        .enrollment
        .expect("an enrollment")
        .enrollment_id
}

async fn try_to_close(
    caller: &Caller,
    organization: &Organization<'_>,
    request_id: &str,
    until: DateTime<Utc>,
) -> Result<Response<ClosePeriodResponse>, Status> {
    let request = ClosePeriodRequest {
        request_id: request_id.to_owned(),
        organization_id: organization.id.clone(),
        end_time: at(until),
    };
    caller.billing().close_period(request).await
}

#[tokio::test]
async fn who_is_enrolled_is_billable_and_neither_keys_nor_who_was_cancelled() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let branch = organization.child().await;
    let foreign = Organization::new(&stack).await;
    let (class, keys) = organization.keyed_class(ClassDraft::new(), 3).await;
    let student = organization.student().await.student_id;
    let by_key = come_in(&stack, &student, &keys[0].code).await;
    let directly = enroll(&organization, &class.class_id).await;
    let left = enroll(&organization, &class.class_id).await;
    organization.cancel(&left, "").await;
    let off = organization.class(ClassDraft::new()).await;
    enroll(&organization, &off.class_id).await;
    organization.cancel_class(&off.class_id).await;
    let below = branch.class(ClassDraft::new()).await;
    let below = enroll(&branch, &below.class_id).await;
    let elsewhere = foreign.class(ClassDraft::new()).await;
    enroll(&foreign, &elsewhere.class_id).await;

    let all = lines(&organization).await;
    let expected = [&by_key.enrollment_id, &directly, &below];
    let expected = expected.map(|id| (id.clone(), vec![BillingReason::Enrolled]));
    assert_eq!(reasons(&all), BTreeMap::from(expected));
    let line = all
        .iter()
        .find(|line| line.enrollment_id == by_key.enrollment_id);
    let line = line.expect("a line");
    assert_eq!(line.organization_id, organization.id);
    assert_eq!(line.student_id, student);
    assert_eq!(
        (&line.class_id, &line.class_name),
        (&class.class_id, &class.name)
    );
    assert_eq!(
        (&line.course_id, &line.course_name),
        (&class.course_id, &class.course_name)
    );
    assert_eq!(line.origin, by_key.origin);
    assert_eq!(
        (line.book_time, line.occur_time),
        (by_key.enroll_time, by_key.enroll_time)
    );
    assert!(!line.closed);
    // Those of one organization stand together, the earlier first.
    let places: Vec<_> = all
        .iter()
        .map(|line| (line.organization_id.clone(), read(line.occur_time.as_ref())))
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    let own = lines(&branch).await;
    assert_eq!(reasons(&own).into_keys().collect::<Vec<_>>(), [below]);
    let begins = read(line.book_time.as_ref());
    let later = lines_between(
        &organization,
        Some(begins + TimeDelta::microseconds(1)),
        None,
    )
    .await;
    assert_eq!(later.len(), 2);
    assert_eq!(lines_between(&organization, None, Some(begins)).await, []);
    stack.finish().await;
}

#[tokio::test]
async fn a_closed_period_answers_the_same_for_ever_and_what_changes_is_booked_after_it() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    let off = organization.class(ClassDraft::new()).await;
    let (stays, leaves) = (
        enroll(&organization, &class.class_id).await,
        enroll(&organization, &class.class_id).await,
    );
    let with_the_class = enroll(&organization, &off.class_id).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let erased = come_in(&stack, &student, &code).await.enrollment_id;
    let first = now();
    let closed = organization.close_period(first).await;
    assert_eq!((closed.charge_count, closed.credit_count), (4, 0));
    let statement = lines_between(&organization, None, Some(first)).await;
    assert_eq!(statement.len(), 4);
    assert!(statement.iter().all(|line| line.closed));

    let changed = UpdateClassRequest {
        name: "Another name".to_owned(),
        course_id: "another".to_owned(),
        ..UpdateClassRequest::default()
    };
    organization
        .update_class(&class.class_id, &["name", "course_id"], changed)
        .await;
    organization.cancel(&leaves, "").await;
    organization.cancel_class(&off.class_id).await;
    let request = EraseStudentRequest {
        student_id: student.clone(),
        reason: "asked to".to_owned(),
        ..EraseStudentRequest::default()
    };
    stack
        .platform()
        .students()
        .erase_student(request)
        .await
        .expect("erased");
    let comes = enroll(&organization, &class.class_id).await;
    let after = |line: &BillingLine| read(line.book_time.as_ref()) >= first;
    let expected = BTreeMap::from([
        (leaves, vec![BillingReason::CancelledByStaff]),
        (with_the_class, vec![BillingReason::ClassCancelled]),
        (erased.clone(), vec![BillingReason::StudentErased]),
        (comes, vec![BillingReason::Enrolled]),
    ]);
    for closed in [false, true] {
        let second = now();
        if closed {
            let closed = organization.close_period(second).await;
            assert_eq!((closed.charge_count, closed.credit_count), (1, 3));
        }
        assert_eq!(
            lines_between(&organization, None, Some(first)).await,
            statement
        );
        let all = lines(&organization).await;
        let next: Vec<BillingLine> = all.iter().filter(|line| after(line)).cloned().collect();
        assert_eq!(lines_between(&organization, Some(first), None).await, next);
        assert_eq!(reasons(&next), expected);
        assert!(next.iter().all(|line| line.closed == closed));
        let of_erased = all.iter().filter(|line| line.enrollment_id == erased);
        assert!(of_erased.into_iter().all(|line| line.student_id == student));
        assert_eq!(reasons(&all)[&stays], [BillingReason::Enrolled]);
    }
    stack.finish().await;
}

#[tokio::test]
async fn a_status_that_is_not_billed_takes_the_charge_back_and_coming_back_charges_anew() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    let enrollment_id = enroll(&organization, &class.class_id).await;
    let change = async |status: EnrollmentStatus| {
        let request = ChangeEnrollmentStatusRequest {
            enrollment_id: enrollment_id.clone(),
            status: status.into(),
            ..ChangeEnrollmentStatusRequest::default()
        };
        let mut enrollments = organization.manager().enrollments();
        let changed = enrollments.change_enrollment_status(request).await;
        changed.expect("changed");
    };
    change(EnrollmentStatus::Audit).await;
    assert_eq!(lines(&organization).await, [], "it was not closed");
    change(EnrollmentStatus::Enrolled).await;
    let mut expected = Vec::new();
    for (status, reason) in [
        (EnrollmentStatus::Audit, BillingReason::MadeAudit),
        (EnrollmentStatus::WaitListed, BillingReason::PutBack),
    ] {
        organization.close_period(now()).await;
        change(status).await;
        organization.close_period(now()).await;
        change(EnrollmentStatus::Enrolled).await;
        expected.extend([BillingReason::Enrolled, reason]);
    }
    expected.push(BillingReason::Enrolled);
    assert_eq!(
        reasons(&lines(&organization).await)[&enrollment_id],
        expected
    );
    stack.finish().await;
}

#[tokio::test]
async fn a_period_is_closed_once_up_to_an_instant_that_has_come() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    enroll(&organization, &class.class_id).await;
    let manager = organization.manager();
    let (request_id, end) = (new_id(), now());
    let answer = try_to_close(&manager, &organization, &request_id, end).await;
    let first = answer.expect("closed").into_inner();
    let period = first.period.clone().expect("a period");
    assert_eq!((period.start_time, period.end_time), (None, at(end)));
    let again = try_to_close(&manager, &organization, &request_id, end).await;
    assert_eq!(again.expect("the same").into_inner(), first);
    let other = end + TimeDelta::microseconds(1);
    let answer = try_to_close(&manager, &organization, &request_id, other).await;
    refused(answer, ErrorReason::RequestIdReused);
    for earlier in [end, end - TimeDelta::days(1)] {
        let answer = try_to_close(&manager, &organization, &new_id(), earlier).await;
        refused(answer, ErrorReason::PeriodClosed);
    }
    let ahead = now() + TimeDelta::minutes(1);
    let answer = try_to_close(&manager, &organization, &new_id(), ahead).await;
    refused(answer, ErrorReason::FieldInvalid);
    let answer = try_to_close(&organization.admin(), &organization, &new_id(), now()).await;
    refused(answer, ErrorReason::NotAllowed);

    let second = organization
        .close_period(now())
        .await
        .period
        .expect("a period");
    assert_eq!(second.start_time, at(end), "where the one before ends");
    let request = ListBillingPeriodsRequest {
        organization_id: organization.id.clone(),
        ..ListBillingPeriodsRequest::default()
    };
    let listed = manager.billing().list_billing_periods(request).await;
    assert_eq!(
        listed.expect("periods").into_inner().periods,
        [second, period]
    );
    stack.finish().await;
}

#[tokio::test]
async fn those_below_are_closed_with_it_unless_they_are_further_already() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (ahead, behind) = (organization.child().await, organization.child().await);
    let class = ahead.class(ClassDraft::new()).await;
    enroll(&ahead, &class.class_id).await;
    let earlier = now();
    let class = behind.class(ClassDraft::new()).await;
    enroll(&behind, &class.class_id).await;
    let later = now();
    assert_eq!(ahead.close_period(later).await.charge_count, 1);
    let closed = organization.close_period(earlier).await;
    assert_eq!((closed.organization_count, closed.charge_count), (2, 0));
    assert_eq!(lines(&organization).await.len(), 2);
    let closed = organization
        .close_period(later + TimeDelta::microseconds(1))
        .await;
    assert_eq!((closed.organization_count, closed.charge_count), (3, 1));
    // A new one begins where it is made.
    let new = organization.child().await;
    let closed = new.close_period(now()).await;
    assert_eq!((closed.organization_count, closed.charge_count), (1, 0));
    stack.finish().await;
}

#[tokio::test]
async fn the_trail_tells_who_closed_what() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let closed = organization.close_period(now()).await;
    let closing_id = closed.period.expect("a period").closing_id;
    let request = latchkey_proto::audit::v1::ListAuditEventsRequest {
        resource_id: closing_id,
        ..latchkey_proto::audit::v1::ListAuditEventsRequest::default()
    };
    let mut trail = stack.operator().enrollment_audit();
    let events = trail.list_audit_events(request).await.expect("events");
    let [event] = &events.into_inner().events[..] else {
        panic!("one event")
    };
    assert_eq!(event.action, "billing_period.close");
    assert_eq!(event.resource_type, "billing_period");
    assert_eq!(event.organization_id, organization.id);
    assert_eq!(
        event.actor.as_ref().expect("an actor").subject,
        "mona-manager"
    );
    let details: serde_json::Value = serde_json::from_str(&event.details_json).expect("JSON");
    assert_eq!(
        (&details["organizations"], &details["charges"]),
        (&1.into(), &0.into())
    );
    // Who is beyond reach is told that there is no such organization.
    let foreign = Organization::new(&stack).await;
    let answer = try_to_close(&foreign.manager(), &organization, &new_id(), now()).await;
    refused(answer, ErrorReason::OrganizationNotFound);
    let everybody = stack.caller_with(&[Role::OperationsManager], "max", None);
    let answer = try_to_close(&everybody, &organization, &new_id(), now()).await;
    assert_eq!(
        reason_of(&answer.expect_err("reaches nothing")),
        ErrorReason::OrganizationNotFound
    );
    stack.finish().await;
}
