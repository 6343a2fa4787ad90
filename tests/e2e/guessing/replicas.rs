//! Several processes together.

use std::time::Duration;

use futures::future::join_all;
use latchkey::stack::Service;
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::identity::Role;

use super::staff::look_up;
use super::wait_of;
use crate::harness::scene::NO_KEYS_CODE;
use crate::harness::world::{check_by, redemption};
use crate::harness::{
    Caller, ClassDraft, Options, Organization, Stack, eventually, new_id, reason_of, refused,
};

/// How many wrong codes of one student a process takes at once.
const BURST: usize = 4;
/// After how long one more.
const REFILL: Duration = Duration::from_hours(1);
const SETTINGS: &str =
    "[guessing]\nstudent_burst = 4\nstudent_refill_ms = 3600000\nexchange_interval_ms = 100";

/// Guesses with many calls at once at each process; how many were looked at.
async fn attack(stack: &Stack, student: &str, replicas: usize) -> usize {
    let guesses = (0..60).map(|number| {
        let platform = stack.platform().on(number % replicas);
        let request = redemption(&new_id(), student, NO_KEYS_CODE);
        async move { platform.redemptions().redeem_key(request).await }
    });
    let answers = join_all(guesses).await;
    let looked_at = answers.into_iter().filter(|answer| {
        let refusal = answer.as_ref().expect_err("a wrong code");
        match reason_of(refusal) {
            ErrorReason::KeyNotFound => true,
            ErrorReason::TooManyAttempts => false,
            other => panic!("{other:?}"),
        }
    });
    looked_at.count()
}

/// Waits until each process asks the student to wait as if it had seen all of `owed` wrong codes.
async fn all_have_heard(stack: &Stack, student: &str, code: &str, owed: usize, replicas: usize) {
    for replica in 0..replicas {
        let platform = stack.platform().on(replica);
        eventually("heard of", async || {
            let answer = check_by(&platform, student, code).await;
            let Err(refusal) = answer else {
                return Err("it looks".to_owned());
            };
            let wait = wait_of::<()>(Err(refusal));
            // Of the last one, some time has passed.
            let least = REFILL * u32::try_from(owed - BURST).expect("few");
            (wait >= least)
                .then_some(())
                .ok_or_else(|| format!("{wait:?} for {owed}"))
        })
        .await;
    }
}

#[tokio::test]
async fn replicas_together_let_in_what_is_stated_and_it_is_paid_back_and_outlives_them() {
    let options = Options {
        replicas: 2,
        enrollment: SETTINGS,
        ..Options::default()
    };
    let mut stack = Stack::with(options).await;
    let (student, code) = {
        let organization = Organization::new(&stack).await;
        let (_, code) = organization.event_class(ClassDraft::new()).await;
        (organization.student().await.student_id, code)
    };
    let looked_at = attack(&stack, &student, 2).await;
    assert!((BURST..=2 * BURST).contains(&looked_at), "{looked_at}");
    all_have_heard(&stack, &student, &code, looked_at, 2).await;
    assert_eq!(attack(&stack, &student, 2).await, 0);

    // One that died and one that was stopped in good order forget nothing of it.
    stack.replica(Service::Enrollment, 0).kill().await;
    stack.replica(Service::Enrollment, 0).run().await;
    stack.replica(Service::Enrollment, 1).stop().await;
    stack.replica(Service::Enrollment, 1).run().await;
    all_have_heard(&stack, &student, &code, looked_at, 2).await;
    stack.finish().await;
}

/// Waits until each process of keys asks the caller to wait, who tries a code that is right, which costs nothing.
async fn all_of_keys_have_heard(guesser: &Caller, code: &str) {
    for replica in 0..2 {
        eventually("heard of", async || {
            match look_up(&guesser.on(replica), code).await {
                Ok(_) => Err(format!("replica {replica} looks")),
                Err(refusal) => Ok(wait_of::<()>(Err(refusal))),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn replicas_of_keys_tell_each_other_and_it_outlives_them() {
    let options = Options {
        replicas: 2,
        keys: "[guessing]\ncaller_burst = 4\ncaller_refill_ms = 3600000\nexchange_interval_ms = 100",
        ..Options::default()
    };
    let mut stack = Stack::with(options).await;
    let (guesser, colleague, code) = {
        let organization = Organization::new(&stack).await;
        let (_, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
        let manager =
            |subject| stack.caller(Role::OperationsManager, subject, Some(&organization.id));
        (manager("gustav"), manager("clara"), codes[0].code.clone())
    };
    // All at one of them: the other has it from the table alone.
    for _ in 0..BURST {
        let guess = look_up(&guesser.on(0), NO_KEYS_CODE).await;
        refused(guess, ErrorReason::KeyNotFound);
    }
    all_of_keys_have_heard(&guesser, &code).await;

    stack.replica(Service::Keys, 0).kill().await;
    stack.replica(Service::Keys, 0).run().await;
    stack.replica(Service::Keys, 1).stop().await;
    stack.replica(Service::Keys, 1).run().await;
    all_of_keys_have_heard(&guesser, &code).await;
    for replica in 0..2 {
        let found = look_up(&colleague.on(replica), &code).await;
        found.expect("nobody else waits");
    }
    stack.finish().await;
}
