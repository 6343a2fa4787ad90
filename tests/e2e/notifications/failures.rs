//! What goes wrong with letters: mail servers away, recipients refused, processes killed, students who are gone.

use std::time::{Duration, Instant};

use latchkey::stack::Service;
use latchkey_proto::enrollment::v1::{
    EraseStudentRequest, NotificationPlanSettings, NotificationState, NotificationTrigger,
};

use tokio::time::sleep;

use super::{letters, listed, opt_out, plan, settled, stack};
use crate::harness::mail::mail_server;
use crate::harness::site::Replica;
use crate::harness::world::{come_in, off, redemption};
use crate::harness::{ClassDraft, Organization, eventually, insist, new_id};

#[tokio::test]
async fn a_mail_server_that_was_away_gets_every_letter_when_it_is_back() {
    let mut server = mail_server().await;
    let stack = stack(&server, 2).await;
    let organization = Organization::new(&stack).await;
    organization.write_to_people().await;
    organization
        .plan(plan(NotificationTrigger::Enrolled, 0))
        .await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    server.go_away().await;
    for student in organization.students(10).await {
        come_in(&stack, &student, &code).await;
    }
    eventually("tried in vain", async || {
        let waiting = listed(&organization, NotificationState::Waiting).await;
        let tried = waiting.iter().filter(|one| one.attempts > 1);
        match tried.filter(|one| one.problem == "UNREACHABLE").count() {
            10 => Ok(()),
            _ => Err(format!("{waiting:?}")),
        }
    })
    .await;
    server.come_back().await.expect("its port");
    settled(&organization, NotificationState::Sent, 10).await;
    assert_eq!(server.received().len(), 10);
    stack.finish().await;
}

#[tokio::test]
async fn a_refused_recipient_is_a_dead_letter_and_holds_up_nobody() {
    let server = mail_server().await;
    server.refuse("nobody", "550 5.1.1 no such mailbox <nobody@example.com>");
    server.refuse("later", "451 4.7.1 try again later");
    let stack = stack(&server, 1).await;
    let organization = Organization::new(&stack).await;
    organization.write_to_people().await;
    organization
        .plan(plan(NotificationTrigger::Enrolled, 0))
        .await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let platform = stack.platform();
    for name in ["nobody", "later", "somebody"] {
        let request = organization.student_request(&format!("{name}@example.com"));
        let made = platform.students().create_student(request).await;
        let student = made.expect("made").into_inner().student.expect("a student");
        come_in(&stack, &student.student_id, &code).await;
    }
    letters(&server, "somebody@example.com", 1).await;
    let dead = settled(&organization, NotificationState::Dead, 1).await;
    // What the server said besides names somebody.
    assert_eq!(dead[0].problem, "REFUSED 550");
    assert!(dead[0].recipient.starts_with("student/"));
    eventually("tried again", async || {
        let waiting = listed(&organization, NotificationState::Waiting).await;
        match waiting.as_slice() {
            [one] if one.attempts > 1 && one.problem == "NOT_NOW 451" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // A letter that names the event key of a class whose event key is off.
    organization.set_event_key(&class.class_id, off()).await;
    let with_key = NotificationPlanSettings {
        text: "{{ event_key }}".to_owned(),
        ..plan(NotificationTrigger::Enrolled, 0)
    };
    organization.plan(with_key).await;
    let key = organization.generate(&class.class_id, 1).await.remove(0);
    let student = organization.student().await.student_id;
    come_in(&stack, &student, &key.code).await;
    let dead = settled(&organization, NotificationState::Dead, 2).await;
    assert!(dead.iter().any(|one| one.problem == "NO_EVENT_KEY"));
    stack.finish().await;
}

#[tokio::test]
async fn who_opts_out_or_is_gone_is_not_told_of_what_waits() {
    let mut server = mail_server().await;
    let stack = stack(&server, 1).await;
    let organization = Organization::new(&stack).await;
    organization.write_to_people().await;
    organization
        .plan(plan(NotificationTrigger::Enrolled, 0))
        .await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    server.go_away().await;
    let mut students = Vec::new();
    for _ in 0..4 {
        let student = organization.student().await;
        come_in(&stack, &student.student_id, &code).await;
        students.push(student);
    }
    settled(&organization, NotificationState::Waiting, 4).await;
    opt_out(&stack, &students[0], true).await;
    opt_out(&stack, &students[1], true).await;
    opt_out(&stack, &students[1], false).await;
    let erase = EraseStudentRequest {
        student_id: students[2].student_id.clone(),
        reason: "asked to".to_owned(),
        etag: String::new(),
    };
    let erased = organization.admin().students().erase_student(erase).await;
    erased.expect("erased");
    let left = organization.roster(&class.class_id).await;
    let of_last = |id: &str| id == students[3].student_id;
    let entries = left.entries.into_iter().filter_map(|one| one.enrollment);
    for enrollment in entries.filter(|one| of_last(&one.student_id)) {
        organization.cancel(&enrollment.enrollment_id, "").await;
    }
    server.come_back().await.expect("its port");
    letters(&server, &students[1].email, 1).await;
    let dropped = settled(&organization, NotificationState::Dropped, 3).await;
    let mut why: Vec<&str> = dropped.iter().map(|one| one.problem.as_str()).collect();
    why.sort_unstable();
    assert_eq!(why, ["OPTED_OUT", "OVERTAKEN", "OVERTAKEN"]);
    assert_eq!(server.received().len(), 1);
    stack.finish().await;
}

#[tokio::test]
async fn who_dies_with_letters_unwritten_or_unsettled_loses_none_and_sends_the_same_again() {
    let server = mail_server().await;
    let mut stack = stack(&server, 1).await;
    let mut victim = stack.take(Service::Enrollment, 0);
    for (place, times) in [("letters::written", 1), ("letters::sent", 2)] {
        let organization = Organization::new(&stack).await;
        organization.write_to_people().await;
        organization
            .plan(plan(NotificationTrigger::Enrolled, 0))
            .await;
        let (_, code) = organization.event_class(ClassDraft::new()).await;
        let student = organization.student().await;
        victim.set_faults(&format!("{place}=return")).await;
        let request = redemption(&new_id(), &student.student_id, &code);
        let platform = stack.platform();
        let redeemed = insist(async || platform.redemptions().redeem_key(request.clone()).await);
        tokio::join!(redeemed, revived(&mut victim));
        let found = letters(&server, &student.email, times).await;
        let first = found[0].header("Message-ID");
        assert!(found.iter().all(|one| one.header("Message-ID") == first));
        settled(&organization, NotificationState::Sent, 1).await;
        assert_eq!(server.received_for(&student.email).len(), times);
    }
    stack.give_back(victim);
    stack.finish_after_crashes().await;
}

/// Waits until a process has died, and starts it again.
pub(super) async fn revived(victim: &mut Replica) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !victim.is_down() {
        assert!(Instant::now() < deadline, "it lives");
        sleep(Duration::from_millis(10)).await;
    }
    victim.revive().await;
}
