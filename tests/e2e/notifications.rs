//! Letters: written for what happens, for times around classes and for what expires, sent by a real mail server, at least once each.

mod expiring;
mod failures;

use std::collections::BTreeSet;

use chrono::TimeDelta;
use latchkey::mail_server::{MailServer, Received};
use latchkey_proto::enrollment::v1::{
    InstructorAddress, ListNotificationsRequest, Notification, NotificationPlanSettings,
    NotificationRecipient, NotificationSettings, NotificationState, NotificationTrigger,
    SetClassNotificationsRequest, SetNotificationOptOutRequest, Student,
};

use crate::harness::mail::{mail_server, mail_settings};
use crate::harness::world::come_in;
use crate::harness::world::crowds::come_in_at_once;
use crate::harness::world::telling::plan_settings;
use crate::harness::{ClassDraft, Options, Organization, Stack, eventually, logs, now};
use crate::secrets_stay_secret::spellings;

/// A stack that writes by `server`.
async fn stack(server: &MailServer, replicas: usize) -> Stack {
    Stack::with(Options {
        replicas,
        enrollment: mail_settings(server),
        ..Options::default()
    })
    .await
}

fn plan(trigger: NotificationTrigger, hours: i32) -> NotificationPlanSettings {
    NotificationPlanSettings {
        trigger: trigger.into(),
        hours,
        ..plan_settings()
    }
}

/// Waits for so many letters to this address.
async fn letters(server: &MailServer, address: &str, number: usize) -> Vec<Received> {
    eventually("all letters", async || {
        let found = server.received_for(address);
        if found.len() >= number {
            Ok(found)
        } else {
            Err(format!("{} of {number} to {address}", found.len()))
        }
    })
    .await
}

/// The letters of an organization in this state, as staff see them.
async fn listed(organization: &Organization<'_>, state: NotificationState) -> Vec<Notification> {
    let request = ListNotificationsRequest {
        organization_id: organization.id.clone(),
        state: state.into(),
        page_size: 1000,
        ..ListNotificationsRequest::default()
    };
    let mut admin = organization.admin().notifications();
    let answer = admin.list_notifications(request).await.expect("letters");
    answer.into_inner().notifications
}

/// Waits until so many letters are in this state.
async fn settled(
    organization: &Organization<'_>,
    state: NotificationState,
    number: usize,
) -> Vec<Notification> {
    eventually("all settled", async || {
        let found = listed(organization, state).await;
        if found.len() == number {
            Ok(found)
        } else {
            Err(format!("{} are {state:?}: {found:?}", found.len()))
        }
    })
    .await
}

#[tokio::test]
async fn those_who_came_in_at_once_are_written_to_piece_by_piece() {
    // Without a mail server letters are written and wait.
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let (class, _) = organization.event_class(ClassDraft::new()).await;
    organization
        .plan(plan(NotificationTrigger::Enrolled, 0))
        .await;
    organization.write_to_people().await;
    come_in_at_once(&stack, &class.class_id, 2_500).await;
    let written = eventually("all written", async || {
        let (letters, transactions): (i64, i64) =
            sqlx::query_as("SELECT count(*), count(DISTINCT xmin::text) FROM enrollment.letters")
                .fetch_one(&mut stack.database().await)
                .await
                .expect("numbers");
        (letters >= 2_500)
            .then_some((letters, transactions))
            .ok_or_else(|| letters.to_string())
    })
    .await;
    assert_eq!(written, (2_500, 3), "letters, and transactions");
    stack.finish_after_untruths().await;
}

#[tokio::test]
async fn who_comes_in_and_who_goes_is_told_with_the_code_which_stands_nowhere_else() {
    let server = mail_server().await;
    let stack = stack(&server, 1).await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let welcome = NotificationPlanSettings {
        text:
            "{{ student_given_name }}: {{ event_key }} from {{ class_start }} at {{ login_page }}"
                .to_owned(),
        cc: vec!["copy@example.com".to_owned()],
        ..plan(NotificationTrigger::Enrolled, 0)
    };
    organization.plan(welcome).await;
    organization
        .plan(plan(NotificationTrigger::Cancelled, 0))
        .await;
    let before = organization.student().await;
    come_in(&stack, &before.student_id, &code).await;
    organization.write_to_people().await;
    let student = organization.student().await;
    let enrollment = come_in(&stack, &student.student_id, &code).await;
    let first = letters(&server, &student.email, 1).await.remove(0);
    assert_eq!(
        first.to,
        [student.email.clone(), "copy@example.com".to_owned()]
    );
    assert!(first.header("Subject").contains(&class.name));
    for part in [
        student.given_name.as_str(),
        &code,
        &class.time_zone,
        "https://learn.example.com",
    ] {
        assert!(first.text.contains(part), "{part}: {}", first.text);
    }
    organization.cancel(&enrollment.enrollment_id, "").await;
    let both = letters(&server, &student.email, 2).await;
    let ids: BTreeSet<String> = both.iter().map(|one| one.header("Message-ID")).collect();
    assert_eq!(ids.len(), 2);
    let sent = settled(&organization, NotificationState::Sent, 2).await;
    assert!(ids.contains(&format!("<{}@example.com>", sent[0].notification_id)));
    // Who came in before it was turned on is not told.
    assert!(server.received_for(&before.email).is_empty());
    code_stands_nowhere(&stack, &code).await;
    stack.finish().await;
}

/// Fails if the code stands in a table of the outbox or in a log.
async fn code_stands_nowhere(stack: &Stack, code: &str) {
    let statement = "SELECT coalesce(string_agg(t.text, ''), '') FROM (
            SELECT row_to_json(l)::text AS text FROM enrollment.letters l
            UNION ALL SELECT row_to_json(e)::text FROM enrollment.audit_events e
            UNION ALL SELECT row_to_json(e)::text FROM keys.audit_events e
        ) t";
    let stored: String = sqlx::query_scalar(statement)
        .fetch_one(&mut stack.database().await)
        .await
        .expect("the rows");
    let found = (stored + &logs::all(stack.site())).to_uppercase();
    for spelling in spellings(code) {
        assert!(!found.contains(&spelling), "{spelling}");
    }
}

#[tokio::test]
async fn each_of_many_is_told_once_by_several_replicas_and_staff_by_their_addresses() {
    let server = mail_server().await;
    let stack = stack(&server, 2).await;
    let organization = Organization::new(&stack).await;
    organization
        .write_as(NotificationSettings {
            enabled: true,
            operations_managers_email: "operations@example.com".to_owned(),
            instructors: vec![InstructorAddress {
                subject: "ines".to_owned(),
                email: "ines@example.com".to_owned(),
            }],
            ..NotificationSettings::default()
        })
        .await;
    let draft = ClassDraft::new().change(|request| {
        request.instructors = vec!["ines".to_owned(), "nobody".to_owned()];
    });
    let (_, code) = organization.event_class(draft).await;
    let recipients = [
        NotificationRecipient::Student,
        NotificationRecipient::Instructors,
        NotificationRecipient::OperationsManagers,
    ];
    let everybody = NotificationPlanSettings {
        recipients: recipients.map(Into::into).to_vec(),
        ..plan(NotificationTrigger::Enrolled, 0)
    };
    organization.plan(everybody).await;
    let students: Vec<String> = organization.students(20).await;
    let arrivals = students.iter().map(|id| come_in(&stack, id, &code));
    futures::future::join_all(arrivals).await;
    // Each student, one instructor and the operations managers; the other instructor has no address.
    let sent = settled(&organization, NotificationState::Sent, 60).await;
    assert_eq!(sent.len(), server.received().len());
    settled(&organization, NotificationState::Dropped, 20).await;
    let ids: BTreeSet<String> = server
        .received()
        .iter()
        .map(|one| one.header("Message-ID"))
        .collect();
    assert_eq!(ids.len(), 60);
    for staff in ["ines@example.com", "operations@example.com"] {
        assert_eq!(server.received_for(staff).len(), 20);
    }
    stack.finish().await;
}

#[tokio::test]
async fn a_reminder_comes_at_its_time_once_and_again_when_the_class_has_moved() {
    let server = mail_server().await;
    let stack = stack(&server, 2).await;
    let organization = Organization::new(&stack).await;
    organization.write_to_people().await;
    organization
        .plan(plan(NotificationTrigger::BeforeStart, 1))
        .await;
    organization
        .plan(plan(NotificationTrigger::AfterEnd, 1))
        .await;
    let start = now() + TimeDelta::hours(1) + TimeDelta::seconds(3);
    let draft = ClassDraft::new().dates(start, start + TimeDelta::hours(1));
    let (class, code) = organization.event_class(draft).await;
    let (student, gone) = (organization.student().await, organization.student().await);
    come_in(&stack, &student.student_id, &code).await;
    let left = come_in(&stack, &gone.student_id, &code).await;
    organization.cancel(&left.enrollment_id, "").await;
    assert!(server.received().is_empty(), "too early");
    letters(&server, &student.email, 1).await;
    let start = now() + TimeDelta::hours(1) + TimeDelta::seconds(2);
    let change = latchkey_proto::enrollment::v1::UpdateClassRequest {
        start_time: crate::harness::at(start),
        ..Default::default()
    };
    organization
        .update_class(&class.class_id, &["start_time"], change)
        .await;
    letters(&server, &student.email, 2).await;
    settled(&organization, NotificationState::Sent, 2).await;
    assert!(server.received_for(&gone.email).is_empty());
    stack.finish().await;
}

#[tokio::test]
async fn a_class_may_differ_from_its_organization() {
    let server = mail_server().await;
    let stack = stack(&server, 1).await;
    let organization = Organization::new(&stack).await;
    organization
        .plan(plan(NotificationTrigger::Enrolled, 0))
        .await;
    let (on, on_code) = organization.event_class(ClassDraft::new()).await;
    let (_, off_code) = organization.event_class(ClassDraft::new()).await;
    let request = SetClassNotificationsRequest {
        class_id: on.class_id,
        enabled: Some(true),
    };
    let mut admin = organization.admin().notifications();
    admin.set_class_notifications(request).await.expect("set");
    let student = organization.student().await;
    come_in(&stack, &student.student_id, &off_code).await;
    come_in(&stack, &student.student_id, &on_code).await;
    letters(&server, &student.email, 1).await;
    settled(&organization, NotificationState::Sent, 1).await;
    stack.finish().await;
}

/// A student, who opts out or in again.
async fn opt_out(stack: &Stack, student: &Student, opted_out: bool) {
    let request = SetNotificationOptOutRequest {
        student_id: student.student_id.clone(),
        opted_out,
    };
    let mut myself = stack.student(&student.student_id).notifications();
    let answer = myself.set_notification_opt_out(request).await;
    answer.expect("noted");
}
