//! However many come at once, and through however many processes: never one more than there are seats, one winner for
//! a key, one answer for a redemption id.

use std::collections::BTreeSet;

use futures::future::join_all;
use latchkey_proto::enrollment::v1::{
    RedeemKeyResponse, RedemptionOutcome, RegisterWithKeyRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use tonic::{Response, Status};

use crate::harness::world::{enrolled, redemption};
use crate::harness::{ClassDraft, Options, Organization, Stack, ids, new_id, reason_of};
use crate::registration::registration;

type Answer = Result<Response<RedeemKeyResponse>, Status>;

/// How many were let in, and for what reasons the others were not.
fn tally(answers: &[Answer]) -> (usize, Vec<ErrorReason>) {
    let refusals: Vec<ErrorReason> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .map(reason_of)
        .collect();
    (answers.len() - refusals.len(), refusals)
}

/// All students redeem one code at once, spread over the stack's processes.
async fn rush(stack: &Stack, replicas: usize, students: &[String], code: &str) -> Vec<Answer> {
    let platform = stack.platform();
    join_all(students.iter().enumerate().map(|(number, student)| {
        let caller = platform.on(number % replicas);
        async move {
            caller
                .redemptions()
                .redeem_key(redemption(&new_id(), student, code))
                .await
        }
    }))
    .await
}

async fn thirty_seats(replicas: usize) {
    let stack = Stack::with(Options {
        replicas,
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization
        .event_class(ClassDraft::new().maximum(30))
        .await;
    let students = organization.students(200).await;

    let answers = rush(&stack, replicas, &students, &code).await;

    let (seated, refusals) = tally(&answers);
    assert_eq!(seated, 30);
    assert_eq!(refusals, [ErrorReason::ClassFull; 170]);
    let roster = organization.roster(&class.class_id).await;
    assert_eq!((roster.seats_taken, roster.seats_left), (30, 0));
    assert_eq!(enrolled(&roster).len(), 30);
    stack.finish().await;
}

#[tokio::test]
async fn of_200_students_racing_for_30_seats_by_one_event_key_30_are_in() {
    thirty_seats(1).await;
}

#[tokio::test]
async fn of_200_students_racing_for_30_seats_over_two_processes_of_each_service_30_are_in() {
    thirty_seats(2).await;
}

async fn one_key(replicas: usize) {
    let stack = Stack::with(Options {
        replicas,
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
    let students = organization.students(50).await;

    let answers = rush(&stack, replicas, &students, &codes[0].code).await;

    let (winners, refusals) = tally(&answers);
    assert_eq!(winners, 1);
    assert_eq!(refusals, [ErrorReason::KeyAlreadyRedeemed; 49]);
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 1);
    stack.finish().await;
}

#[tokio::test]
async fn of_50_students_racing_for_one_enrollment_key_one_is_in() {
    one_key(1).await;
}

#[tokio::test]
async fn of_50_students_racing_for_one_enrollment_key_over_two_processes_one_is_in() {
    one_key(2).await;
}

async fn one_id_twenty_times(replicas: usize) {
    let stack = Stack::with(Options {
        replicas,
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization.keyed_class(ClassDraft::new(), 2).await;
    let student = organization.student().await.student_id;
    let id = new_id();

    let platform = stack.platform();
    let answers = join_all((0..20).map(|number| {
        let caller = platform.on(number % replicas);
        let request = redemption(&id, &student, &codes[0].code);
        async move {
            caller
                .redemptions()
                .redeem_key(request)
                .await
                .expect("an answer")
                .into_inner()
        }
    }))
    .await;

    let first_time = answers.iter().filter(|answer| !answer.replayed).count();
    assert_eq!(
        first_time, 1,
        "one call decides, the others repeat its answer"
    );
    for answer in &answers {
        assert_eq!(answer.outcome(), RedemptionOutcome::Enrolled);
        assert_eq!(answer.enrollment, answers[0].enrollment);
        assert_eq!(
            answer
                .enrollment
                .as_ref()
                .expect("an enrollment")
                .enrollment_id,
            id
        );
    }
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 1);
    stack.finish().await;
}

#[tokio::test]
async fn one_redemption_id_sent_20_times_at_once_has_one_answer() {
    one_id_twenty_times(1).await;
}

#[tokio::test]
async fn one_redemption_id_sent_20_times_over_two_processes_has_one_answer() {
    one_id_twenty_times(2).await;
}

#[tokio::test]
async fn one_student_who_redeems_20_times_at_once_is_in_once_and_spends_one_key() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization.keyed_class(ClassDraft::new(), 20).await;
    let student = organization.student().await.student_id;

    let platform = stack.platform();
    let answers = join_all(codes.iter().map(|code| {
        let mut client = platform.redemptions();
        let request = redemption(&new_id(), &student, &code.code);
        async move {
            client
                .redeem_key(request)
                .await
                .expect("an answer")
                .into_inner()
        }
    }))
    .await;

    let enrollments: BTreeSet<String> = answers
        .iter()
        .map(|answer| {
            answer
                .enrollment
                .as_ref()
                .expect("it")
                .enrollment_id
                .clone()
        })
        .collect();
    assert_eq!(enrollments.len(), 1, "all answers name the same enrollment");
    let decided = answers
        .iter()
        .filter(|answer| answer.outcome() == RedemptionOutcome::Enrolled)
        .count();
    assert_eq!(decided, 1);
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 1);
    stack.finish().await;
}

#[tokio::test]
async fn of_20_registrations_with_one_e_mail_one_makes_an_account() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    organization.let_register(true).await;
    let (class, code) = organization
        .event_class(ClassDraft::new().maximum(25))
        .await;
    let email = format!("{}@example.com", new_id());

    let platform = stack.platform();
    let answers = join_all(ids(20).into_iter().enumerate().map(|(number, id)| {
        let mut client = platform.redemptions();
        // The same address, in other letters.
        let email = if number % 2 == 0 {
            email.clone()
        } else {
            email.to_uppercase()
        };
        let request = RegisterWithKeyRequest {
            redemption_id: id,
            email,
            ..registration(&organization.id, &code)
        };
        async move { client.register_with_key(request).await }
    }))
    .await;

    let made = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(made, 1);
    for refusal in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(reason_of(refusal), ErrorReason::EmailTaken);
    }
    assert_eq!(
        organization.roster(&class.class_id).await.seats_taken,
        1,
        "those who were refused took no seat"
    );
    stack.finish().await;
}
