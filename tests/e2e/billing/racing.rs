//! What is decided while a period is closed is in it or in the next one, never in both and never in neither.

use chrono::{DateTime, Utc};
use futures::future::join_all;
use latchkey::stack::Service;
use latchkey_proto::enrollment::v1::{
    BillingLine, BillingReason, CancelAssignmentRequest, CancelEnrollmentRequest,
    ClosePeriodResponse,
};
use latchkey_proto::errors::v1::ErrorReason;

use super::{enroll, lines, lines_between, now, reasons, try_to_close};
use crate::harness::site::Replica;
use crate::harness::time::read;
use crate::harness::world::{come_in, enrolled, redemption};
use crate::harness::{
    ClassDraft, Options, Organization, PoolDraft, Stack, a_session, eventually, new_id, reason_of,
};

/// Holds up a decision that has read its clock and written its rows, until it is let go.
const HELD: &str = "decide::written=1*pause;audit::written=1*pause";
/// Whether somebody who has written something does not commit it.
const IS_HELD_UP: &str = "state = 'idle in transaction' AND backend_xid IS NOT NULL
    AND state_change < clock_timestamp() - interval '500 ms'";

async fn two_processes() -> Stack {
    Stack::with(Options {
        replicas: 2,
        ..Options::default()
    })
    .await
}

/// Does something at the slow process, and closes the organization before that commits: what came of both.
async fn closed_meanwhile<T>(
    stack: &Stack,
    organization: &Organization<'_>,
    slow: &mut Replica,
    deed: impl Future<Output = T>,
) -> (T, ClosePeriodResponse) {
    slow.set_faults(HELD).await;
    let close = async {
        a_session(stack, "a decision is held up", IS_HELD_UP).await;
        let closed = organization.close_period(now()).await;
        slow.set_faults("").await;
        closed
    };
    tokio::join!(deed, close)
}

/// The only line that is booked after what was closed: at its very end.
async fn next_line(organization: &Organization<'_>, closed: &ClosePeriodResponse) -> BillingLine {
    let end = end_of(closed);
    let mut next = lines_between(organization, Some(end), None).await;
    assert_eq!(next.len(), 1, "{next:?}");
    let line = next.remove(0);
    assert_eq!(read(line.book_time.as_ref()), end);
    assert!(
        read(line.occur_time.as_ref()) < end,
        "it was decided before"
    );
    line
}

fn end_of(closed: &ClosePeriodResponse) -> DateTime<Utc> {
    read(closed.period.as_ref().and_then(|one| one.end_time.as_ref()))
}

#[tokio::test]
async fn a_redemption_that_commits_after_the_closing_is_booked_in_the_next_period() {
    let mut stack = two_processes().await;
    let mut slow = stack.take(Service::Enrollment, 1);
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let students = organization.students(2).await;
    come_in(&stack, &students[0], &code).await;
    let platform = stack.platform().on(1);
    let request = redemption(&new_id(), &students[1], &code);
    let redeem = async { platform.redemptions().redeem_key(request).await };
    let (redeemed, closed) = closed_meanwhile(&stack, &organization, &mut slow, redeem).await;
    let late = redeemed.expect("in").into_inner().enrollment;
    let late = late.expect("an enrollment");
    assert_eq!(closed.charge_count, 1, "the other one is not there yet");
    let end = end_of(&closed);
    assert_eq!(lines_between(&organization, None, Some(end)).await.len(), 1);
    let line = next_line(&organization, &closed).await;
    assert_eq!(line.enrollment_id, late.enrollment_id);
    assert_eq!(line.occur_time, late.enroll_time);
    let second = organization.close_period(now()).await;
    assert_eq!(second.charge_count, 1);
    stack.give_back(slow);
    stack.finish().await;
}

#[tokio::test]
async fn a_cancellation_that_commits_after_the_closing_is_booked_in_the_next_period() {
    let mut stack = two_processes().await;
    let mut slow = stack.take(Service::Enrollment, 1);
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    let enrollment_id = enroll(&organization, &class.class_id).await;
    let admin = organization.admin().on(1);
    let request = CancelEnrollmentRequest {
        enrollment_id: enrollment_id.clone(),
        ..CancelEnrollmentRequest::default()
    };
    let cancel = async { admin.enrollments().cancel_enrollment(request).await };
    let (cancelled, closed) = closed_meanwhile(&stack, &organization, &mut slow, cancel).await;
    cancelled.expect("cancelled");
    assert_eq!((closed.charge_count, closed.credit_count), (1, 0));
    let line = next_line(&organization, &closed).await;
    assert_eq!(line.enrollment_id, enrollment_id);
    assert_eq!(line.reason(), BillingReason::CancelledByStaff);
    let second = organization.close_period(now()).await;
    assert_eq!((second.charge_count, second.credit_count), (0, 1));
    stack.give_back(slow);
    stack.finish().await;
}

#[tokio::test]
async fn an_assignment_that_commits_after_the_closing_is_booked_in_the_next_period_and_so_is_its_end()
 {
    let mut stack = two_processes().await;
    let mut slow = stack.take(Service::Enrollment, 1);
    let organization = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await.pool_id;
    let code = organization.pool_keys(&pool, 1).await.remove(0).code;
    let student = organization.student().await.student_id;
    let platform = stack.platform().on(1);
    let id = new_id();
    let request = redemption(&id, &student, &code);
    let redeem = async { platform.redemptions().redeem_key(request).await };
    let (redeemed, closed) = closed_meanwhile(&stack, &organization, &mut slow, redeem).await;
    redeemed.expect("assigned");
    assert_eq!(closed.charge_count, 0, "it is not there yet");
    let line = next_line(&organization, &closed).await;
    assert_eq!(
        (&line.assignment_id, line.reason()),
        (&id, BillingReason::Assigned)
    );
    let second = organization.close_period(now()).await;
    assert_eq!(second.charge_count, 1);
    let admin = organization.admin().on(1);
    let request = CancelAssignmentRequest {
        assignment_id: id.clone(),
        ..CancelAssignmentRequest::default()
    };
    let cancel = async { admin.assignments().cancel_assignment(request).await };
    let (cancelled, closed) = closed_meanwhile(&stack, &organization, &mut slow, cancel).await;
    cancelled.expect("cancelled");
    assert_eq!((closed.charge_count, closed.credit_count), (0, 0));
    let line = next_line(&organization, &closed).await;
    assert_eq!(line.reason(), BillingReason::CancelledByStaff);
    let last = organization.close_period(now()).await;
    assert_eq!((last.charge_count, last.credit_count), (0, 1));
    stack.give_back(slow);
    stack.finish().await;
}

/// What was closed up to some instant, as it was told right after.
type Statement = (DateTime<Utc>, Vec<BillingLine>);

/// Closes an organization many times.
async fn close_again_and_again(organization: &Organization<'_>) -> Vec<Statement> {
    let mut statements = Vec::new();
    for _ in 0..12 {
        let end = now();
        close(organization, end).await;
        statements.push((end, lines_between(organization, None, Some(end)).await));
    }
    statements
}

/// Closes it, unless another was a moment faster, or closed it further together with the one above.
async fn close(organization: &Organization<'_>, end: DateTime<Utc>) {
    eventually("closed", async || {
        let answer = try_to_close(&organization.manager(), organization, &new_id(), end).await;
        match answer.map_err(|refusal| (reason_of(&refusal), refusal)) {
            Ok(_) | Err((ErrorReason::PeriodClosed, _)) => Ok(()),
            Err((_, refusal)) => Err(refusal.to_string()),
        }
    })
    .await;
}

/// Closed lines are told again as they were told, and none came between them.
async fn stays(organization: &Organization<'_>, statements: &[Statement]) {
    for (end, statement) in statements {
        let again = lines_between(organization, None, Some(*end)).await;
        let own = |lines: &[BillingLine]| -> Vec<BillingLine> {
            let of_itself = lines
                .iter()
                .filter(|line| line.organization_id == organization.id);
            of_itself.cloned().collect()
        };
        assert_eq!(own(&again), own(statement));
        assert!(own(statement).iter().all(|line| line.closed));
        // One below may have been closed less far, when another closed it.
        let closed = statement.iter().filter(|line| line.closed);
        assert!(closed.into_iter().all(|line| again.contains(line)));
    }
}

#[tokio::test]
async fn whatever_comes_and_goes_meanwhile_each_is_billed_once_and_what_was_closed_stays() {
    let stack = two_processes().await;
    let organization = Organization::new(&stack).await;
    let branch = organization.child().await;
    let draft = || ClassDraft::new().maximum(200);
    let (class, code) = organization.event_class(draft()).await;
    let below = branch.class(draft()).await;
    let students = organization.students(60).await;
    // Every third goes again at once.
    let come_and_go = students.iter().enumerate().map(async |(number, student)| {
        let enrollment = come_in(&stack, student, &code).await;
        if number % 3 == 0 {
            organization.cancel(&enrollment.enrollment_id, "").await;
        }
    });
    let enroll_below = async {
        for _ in 0..10 {
            enroll(&branch, &below.class_id).await;
        }
    };
    let (_, (), of_all, of_branch) = tokio::join!(
        join_all(come_and_go),
        enroll_below,
        close_again_and_again(&organization),
        // The one below is closed by itself, too, at the same time.
        close_again_and_again(&branch),
    );
    stays(&organization, &of_all).await;
    stays(&branch, &of_branch).await;
    organization.close_period(now()).await;
    let all = lines(&organization).await;
    assert!(all.iter().all(|line| line.closed));
    let mut billed = 0;
    for (enrollment, reasons) in reasons(&all) {
        let expected = [BillingReason::Enrolled, BillingReason::CancelledByStaff];
        assert!(
            reasons == expected || reasons == expected[..1],
            "{enrollment}: {reasons:?}"
        );
        billed += usize::from(reasons.len() == 1);
    }
    let roster = organization.roster(&class.class_id).await;
    assert_eq!(enrolled(&roster).len(), 40);
    assert_eq!(billed, 40 + 10);
    stack.finish().await;
}
