//! What is assigned is billed when it was assigned, used or not, unless it was cancelled.

use std::collections::BTreeMap;

use latchkey_proto::enrollment::v1::{
    BillingLine, BillingReason, EnrollStudentRequest, EnrollmentOrigin, EraseStudentRequest,
    ListBillingLinesRequest, UpdateSubscriptionProfileRequest,
};
use latchkey_proto::keys::v1::KeyKind;

use super::exporting::{export, of};
use super::{enroll, lines, lines_between, now, reasons};
use crate::harness::time::read;
use crate::harness::world::{mask, redeem};
use crate::harness::{ClassDraft, Organization, PoolDraft, Stack, at};
use crate::self_paced::cancel;

/// A new assignment of a pool's course to a new student; its id.
async fn assign(organization: &Organization<'_>, pool_id: &str) -> String {
    let student = organization.student().await.student_id;
    organization.assign(&student, pool_id).await.assignment_id
}

#[tokio::test]
async fn what_is_assigned_is_billable_beside_who_is_enrolled_unless_it_was_cancelled() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let branch = organization.child().await;
    let foreign = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await;
    let student = organization.student().await.student_id;
    let kept = organization.assign(&student, &pool.pool_id).await;
    let given_back = assign(&organization, &pool.pool_id).await;
    cancel(&organization.admin(), &given_back)
        .await
        .expect("cancelled");
    let class = organization.class(ClassDraft::new()).await;
    let enrolled = enroll(&organization, &class.class_id).await;
    let of_branch = branch.pool(PoolDraft::new()).await.pool_id;
    let below = assign(&branch, &of_branch).await;
    let elsewhere = foreign.pool(PoolDraft::new()).await.pool_id;
    assign(&foreign, &elsewhere).await;

    let all = lines(&organization).await;
    let expected = BTreeMap::from([
        (kept.assignment_id.clone(), vec![BillingReason::Assigned]),
        (enrolled, vec![BillingReason::Enrolled]),
        (below, vec![BillingReason::Assigned]),
    ]);
    assert_eq!(reasons(&all), expected);
    let line = all
        .iter()
        .find(|line| line.assignment_id == kept.assignment_id);
    let line = line.expect("a line");
    let expected = BillingLine {
        assignment_id: kept.assignment_id,
        organization_id: organization.id.clone(),
        kind: line.kind,
        reason: BillingReason::Assigned.into(),
        book_time: kept.assign_time,
        occur_time: kept.assign_time,
        student_id: student,
        pool_id: pool.pool_id,
        course_id: pool.course_id,
        course_name: pool.course_name,
        origin: Some(EnrollmentOrigin {
            key_kind: KeyKind::Pool.into(),
            key_id: kept.key_id,
            generation: 1,
        }),
        ..BillingLine::default()
    };
    assert_eq!(*line, expected);
    let made = read(kept.assign_time.as_ref());
    let before = lines_between(&organization, None, Some(made)).await;
    assert_eq!(before, [], "booked when it was assigned");
    stack.finish().await;
}

#[tokio::test]
async fn a_closed_period_answers_the_same_of_assignments_and_what_is_cancelled_later_is_credited() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await.pool_id;
    let codes = organization.pool_keys(&pool, 2).await;
    let students = organization.students(3).await;
    let mut made = Vec::new();
    for (student, code) in students.iter().zip(&codes) {
        let answer = redeem(&stack, student, &code.code).await.expect("assigned");
        let assigned = answer.into_inner().course_assignment;
        made.push(assigned.expect("an assignment").assignment_id);
    }
    let (stays, leaves) = (made[0].clone(), made[1].clone());
    let first = now();
    let closed = organization.close_period(first).await;
    assert_eq!((closed.charge_count, closed.credit_count), (2, 0));
    let statement = lines_between(&organization, None, Some(first)).await;
    assert_eq!(statement.len(), 2);
    assert!(statement.iter().all(|line| line.closed));
    let mut until_then = of(&organization);
    until_then.until = at(first);
    let manager = organization.manager();
    let file = export(&manager, &until_then).await.text;

    cancel(&stack.student(&students[1]), &leaves)
        .await
        .expect("cancelled");
    let next = redeem(&stack, &students[2], &codes[1].code).await;
    let next = next.expect("the key is free").into_inner();
    let next = next.course_assignment.expect("an assignment").assignment_id;
    let request = EraseStudentRequest {
        student_id: students[0].clone(),
        reason: "asked to".to_owned(),
        ..EraseStudentRequest::default()
    };
    let mut accounts = organization.admin().students();
    accounts.erase_student(request).await.expect("erased");
    let expected = BTreeMap::from([
        (leaves, vec![BillingReason::CancelledByStudent]),
        (next, vec![BillingReason::Assigned]),
    ]);
    for closed in [false, true] {
        if closed {
            let closed = organization.close_period(now()).await;
            assert_eq!((closed.charge_count, closed.credit_count), (1, 1));
        }
        let again = lines_between(&organization, None, Some(first)).await;
        assert_eq!(again, statement);
        assert_eq!(export(&manager, &until_then).await.text, file);
        let after = lines_between(&organization, Some(first), None).await;
        assert_eq!(reasons(&after), expected);
        assert!(after.iter().all(|line| line.closed == closed));
        let all = lines(&organization).await;
        assert_eq!(all.len(), 4);
        assert_eq!(reasons(&all)[&stays], [BillingReason::Assigned]);
    }
    stack.finish().await;
}

#[tokio::test]
async fn the_file_names_the_assignment_its_pool_and_its_key() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await;
    let student = organization.student().await.student_id;
    let made = organization.assign(&student, &pool.pool_id).await;
    let file = export(&organization.manager(), &of(&organization)).await;
    let mut reader = csv::Reader::from_reader(file.text.as_bytes());
    let names = reader.headers().expect("names").clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    let [row] = &rows[..] else {
        panic!("one line, not {rows:?}")
    };
    let told: BTreeMap<&str, &str> = names.iter().zip(row).collect();
    for (column, value) in [
        ("kind", "charge"),
        ("reason", "assigned"),
        ("assignment_id", &made.assignment_id),
        ("enrollment_id", ""),
        ("student_id", &student),
        ("pool_id", &pool.pool_id),
        ("course_id", &pool.course_id),
        ("course_name", &pool.course_name),
        ("class_id", ""),
        ("class_name", ""),
        ("key_kind", "pool"),
        ("key_id", &made.key_id),
    ] {
        assert_eq!(told[column], value, "{column}");
    }
    stack.finish().await;
}

/// Ids are of the callers' making: the same one may stand for both.
#[tokio::test]
async fn an_enrollment_with_the_id_of_an_assignment_is_billed_beside_it() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await.pool_id;
    let class = organization.class(ClassDraft::new()).await;
    let assignment_id = assign(&organization, &pool).await;
    let request = EnrollStudentRequest {
        request_id: assignment_id.clone(),
        class_id: class.class_id,
        student_id: organization.student().await.student_id,
        ..EnrollStudentRequest::default()
    };
    let enrolled = organization
        .admin()
        .enrollments()
        .enroll_student(request)
        .await;
    enrolled.expect("in");
    let expected = vec![BillingReason::Assigned, BillingReason::Enrolled];
    for closed in [false, true] {
        if closed {
            assert_eq!(organization.close_period(now()).await.charge_count, 2);
        }
        assert_eq!(
            reasons(&lines(&organization).await)[&assignment_id],
            expected
        );
    }
    cancel(&organization.admin(), &assignment_id)
        .await
        .expect("cancelled");
    let whole = lines(&organization).await;
    let mut request = ListBillingLinesRequest {
        organization_id: organization.id.clone(),
        page_size: 1,
        ..ListBillingLinesRequest::default()
    };
    for line in &whole {
        let mut billing = organization.manager().billing();
        let page = billing.list_billing_lines(request.clone()).await;
        let page = page.expect("a page").into_inner();
        assert_eq!(page.lines, std::slice::from_ref(line));
        request.page_token = page.next_page_token;
    }
    assert_eq!(request.page_token, "", "and no more");
    let closed = organization.close_period(now()).await;
    assert_eq!((closed.charge_count, closed.credit_count), (0, 1));
    let of_assignment: Vec<BillingReason> = lines(&organization)
        .await
        .iter()
        .filter(|line| !line.assignment_id.is_empty())
        .map(BillingLine::reason)
        .collect();
    let expected = [BillingReason::Assigned, BillingReason::CancelledByStaff];
    assert_eq!(of_assignment, expected);
    stack.finish().await;
}

#[tokio::test]
async fn a_subscription_is_billed_as_one_thing_by_the_name_that_its_profile_had() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let profile = organization.profile().await;
    let student = organization.student().await.student_id;
    let made = organization.subscribe(&student, &profile.profile_id).await;
    let end = now();
    let open = lines(&organization).await;
    assert_eq!(organization.close_period(end).await.charge_count, 1);
    let request = UpdateSubscriptionProfileRequest {
        profile_id: profile.profile_id.clone(),
        update_mask: mask(&["name"]),
        name: "Another name".to_owned(),
        ..UpdateSubscriptionProfileRequest::default()
    };
    let mut profiles = organization.admin().profiles();
    let renamed = profiles.update_subscription_profile(request).await;
    renamed.expect("renamed");
    let closed = lines(&organization).await;
    for (lines, is_closed) in [(open, false), (closed, true)] {
        let [line] = &lines[..] else {
            panic!("one line, not {lines:?}")
        };
        let expected = BillingLine {
            assignment_id: made.assignment_id.clone(),
            organization_id: organization.id.clone(),
            kind: line.kind,
            reason: BillingReason::Assigned.into(),
            book_time: made.assign_time,
            occur_time: made.assign_time,
            student_id: student.clone(),
            profile_id: profile.profile_id.clone(),
            profile_name: profile.name.clone(),
            origin: Some(EnrollmentOrigin {
                key_kind: KeyKind::Subscription.into(),
                key_id: made.key_id.clone(),
                generation: 1,
            }),
            closed: is_closed,
            ..BillingLine::default()
        };
        assert_eq!(*line, expected);
    }
    let file = export(&organization.manager(), &of(&organization)).await;
    assert!(file.text.contains(&profile.profile_id) && file.text.contains(&profile.name));
    cancel(&organization.admin(), &made.assignment_id)
        .await
        .expect("cancelled");
    let closed = organization.close_period(now()).await;
    assert_eq!((closed.charge_count, closed.credit_count), (0, 1));
    stack.finish().await;
}
