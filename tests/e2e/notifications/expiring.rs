//! Reminders of assignments that expire.

use chrono::TimeDelta;
use latchkey::stack::Service;
use latchkey_proto::enrollment::v1::{
    NotificationPlanSettings, NotificationRecipient, NotificationSettings, NotificationState,
};
use latchkey_proto::keys::v1::KeyPool;
use prost_types::Duration;

use super::failures::revived;
use super::{letters, opt_out, settled, stack};
use crate::harness::mail::mail_server;
use crate::harness::plans::{plan, statements};
use crate::harness::time::read;
use crate::harness::world::telling::expiring_settings;
use crate::harness::{Organization, PoolDraft, Stack, new_id};
use crate::self_paced::cancel;

const OPERATIONS: &str = "operations@example.com";

/// A pool of a course of its own, whose assignments are to be reminded of so many seconds after they were made.
async fn pool(organization: &Organization<'_>, seconds: i64) -> KeyPool {
    let draft = PoolDraft::new().change(|request| {
        request.course_id = new_id();
        request.availability = Some(Duration {
            seconds: TimeDelta::days(1).num_seconds() + seconds,
            nanos: 0,
        });
    });
    organization.pool(draft).await
}

#[tokio::test]
async fn who_has_a_course_that_expires_is_reminded_once_and_so_are_the_operations_managers() {
    let server = mail_server().await;
    let stack = stack(&server, 2).await;
    let organization = Organization::new(&stack).await;
    organization
        .write_as(NotificationSettings {
            enabled: true,
            operations_managers_email: OPERATIONS.to_owned(),
            ..NotificationSettings::default()
        })
        .await;
    let recipients = [
        NotificationRecipient::Student,
        NotificationRecipient::OperationsManagers,
    ];
    organization
        .plan(NotificationPlanSettings {
            recipients: recipients.map(Into::into).to_vec(),
            ..expiring_settings()
        })
        .await;
    let pool = pool(&organization, 6).await;
    let (student, silent, gone) = (
        organization.student().await,
        organization.student().await,
        organization.student().await,
    );
    opt_out(&stack, &silent, true).await;
    let left = organization.assign(&gone.student_id, &pool.pool_id).await;
    organization.assign(&silent.student_id, &pool.pool_id).await;
    let kept = organization
        .assign(&student.student_id, &pool.pool_id)
        .await;
    cancel(&organization.admin(), &left.assignment_id)
        .await
        .expect("cancelled");
    assert!(server.received().is_empty(), "too early");
    let letter = letters(&server, &student.email, 1).await.remove(0);
    assert!(letter.header("Subject").contains(&pool.course_name));
    let expiry = read(kept.expire_time.as_ref());
    for part in [
        student.given_name.clone(),
        expiry.format("%-d %B %Y, %H:%M (UTC)").to_string(),
        "https://learn.example.com".to_owned(),
    ] {
        assert!(letter.text.contains(&part), "{part}: {}", letter.text);
    }
    // Of both that are left the operations managers are told, and once of each.
    let sent = settled(&organization, NotificationState::Sent, 3).await;
    let of_kept = |id: &str| id == kept.assignment_id;
    let about_kept = sent.iter().filter(|one| of_kept(&one.assignment_id));
    assert_eq!(about_kept.count(), 2);
    assert!(sent.iter().all(|one| one.class_id.is_empty()));
    let dropped = settled(&organization, NotificationState::Dropped, 1).await;
    assert_eq!(dropped[0].problem, "OPTED_OUT");
    assert_eq!(server.received_for(OPERATIONS).len(), 2);
    assert_eq!(server.received().len(), 3);
    stack.finish().await;
}

#[tokio::test]
async fn only_where_the_organization_wants_it_of_the_course_that_was_chosen_and_for_each_plan() {
    let server = mail_server().await;
    let stack = stack(&server, 1).await;
    let organization = Organization::new(&stack).await;
    // Its plans are about the pools of those below, too; but below nothing is turned on.
    let below = organization.child().await;
    organization.write_to_people().await;
    let pools = [
        pool(&below, 3).await,
        pool(&organization, 3).await,
        pool(&organization, 4).await,
    ];
    let wanted = NotificationPlanSettings {
        course_id: pools[2].course_id.clone(),
        ..expiring_settings()
    };
    for _ in 0..2 {
        organization.plan(wanted.clone()).await;
    }
    organization
        .plan(NotificationPlanSettings {
            only_organization_id: below.id.clone(),
            ..expiring_settings()
        })
        .await;
    let student = organization.student().await;
    below
        .assign(&below.student().await.student_id, &pools[0].pool_id)
        .await;
    for pool in &pools[1..] {
        organization
            .assign(&student.student_id, &pool.pool_id)
            .await;
    }
    letters(&server, &student.email, 2).await;
    settled(&organization, NotificationState::Sent, 2).await;
    assert_eq!(server.received().len(), 2);
    stack.finish().await;
}

#[tokio::test]
async fn nobody_is_reminded_of_what_was_cancelled_meanwhile() {
    let mut server = mail_server().await;
    let stack = stack(&server, 1).await;
    let organization = Organization::new(&stack).await;
    organization.write_to_people().await;
    organization.plan(expiring_settings()).await;
    let pool = pool(&organization, 1).await;
    server.go_away().await;
    let student = organization.student().await.student_id;
    let assignment = organization.assign(&student, &pool.pool_id).await;
    settled(&organization, NotificationState::Waiting, 1).await;
    cancel(&organization.admin(), &assignment.assignment_id)
        .await
        .expect("cancelled");
    server.come_back().await.expect("its port");
    let dropped = settled(&organization, NotificationState::Dropped, 1).await;
    assert_eq!(dropped[0].problem, "OVERTAKEN");
    assert!(server.received().is_empty());
    stack.finish().await;
}

#[tokio::test]
async fn who_dies_with_a_reminder_unwritten_writes_it_when_back() {
    let server = mail_server().await;
    let mut stack = stack(&server, 1).await;
    let mut victim = stack.take(Service::Enrollment, 0);
    let organization = Organization::new(&stack).await;
    organization.write_to_people().await;
    organization.plan(expiring_settings()).await;
    let pool = pool(&organization, 4).await;
    let student = organization.student().await;
    victim.set_faults("letters::reminded=return").await;
    organization
        .assign(&student.student_id, &pool.pool_id)
        .await;
    revived(&mut victim).await;
    letters(&server, &student.email, 1).await;
    settled(&organization, NotificationState::Sent, 1).await;
    assert_eq!(server.received().len(), 1);
    stack.give_back(victim);
    stack.finish_after_crashes().await;
}

#[tokio::test]
async fn what_is_due_is_found_by_when_it_expires() {
    let stack = Stack::shared().await;
    let found = statements("(x.expires_at, x.assignment_id) > ($3, $4)");
    assert_eq!(found.len(), 1, "{found:?}");
    let plan = plan(&stack, &found[0], 9).await;
    assert!(plan.contains("using assignments_expiring on"), "{plan}");
    assert!(
        plan.contains("using notification_expiries_pkey on"),
        "{plan}"
    );
    stack.finish().await;
}
