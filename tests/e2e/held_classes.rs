//! A class that somebody holds: its redemptions wait for it, for a while; those of other classes do not.

use std::time::Duration;

use futures::future::join_all;
use latchkey_proto::enrollment::v1::RedemptionOutcome;
use latchkey_proto::errors::v1::ErrorReason;
use sqlx::PgConnection;
use tonic_types::StatusExt;

use crate::harness::world::{come_in, redeem, redeem_as};
use crate::harness::{ClassDraft, Options, Organization, Stack, a_session, new_id, refused};

/// Locks a class in a transaction of `holder`'s, as an edit would that takes long.
pub(crate) async fn hold(holder: &mut PgConnection, class_id: &str) {
    sqlx::query("BEGIN")
        .execute(&mut *holder)
        .await
        .expect("a transaction");
    sqlx::query("SELECT 1 FROM enrollment.classes WHERE class_id = $1::uuid FOR NO KEY UPDATE")
        .bind(class_id)
        .execute(holder)
        .await
        .expect("the lock");
}

pub(crate) async fn let_go(holder: &mut PgConnection) {
    sqlx::query("COMMIT")
        .execute(holder)
        .await
        .expect("the end of the transaction");
}

/// Waits until somebody waits for what `holder` holds.
pub(crate) async fn somebody_waits(stack: &Stack, holder: &mut PgConnection) {
    let process: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(holder)
        .await
        .expect("a process");
    let waits = format!("{process} = ANY (pg_blocking_pids(pid))");
    a_session(stack, "somebody waits", &waits).await;
}

#[tokio::test]
async fn those_of_other_classes_do_not_wait_and_its_own_come_in_when_it_is_let_go() {
    let stack = Stack::with(Options {
        enrollment: "[database]\nlock_timeout_ms = 20000\nstatement_timeout_ms = 25000",
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let (held, held_code) = organization.event_class(ClassDraft::new()).await;
    let (_, other_code) = organization.event_class(ClassDraft::new()).await;
    let students = organization.students(20).await;
    let (waiting, others) = students.split_at(10);
    let mut holder = stack.database().await;
    hold(&mut holder, &held.class_id).await;

    let waiters = join_all(
        waiting
            .iter()
            .map(|student| redeem(&stack, student, &held_code)),
    );
    let meanwhile = async {
        somebody_waits(&stack, &mut holder).await;
        for student in others {
            come_in(&stack, student, &other_code).await;
        }
        let seats = organization.roster(&held.class_id).await.seats_taken;
        assert_eq!(seats, 0, "nobody passes the lock");
        let_go(&mut holder).await;
    };
    let (answers, ()) = futures::join!(waiters, meanwhile);

    for answer in answers {
        let answer = answer.expect("in").into_inner();
        assert_eq!(answer.outcome(), RedemptionOutcome::Enrolled);
    }
    assert_eq!(organization.roster(&held.class_id).await.seats_taken, 10);
    stack.finish().await;
}

#[tokio::test]
async fn who_waited_too_long_is_told_to_come_again_and_nothing_was_done() {
    let stack = Stack::with(Options {
        enrollment: "[database]\nlock_timeout_ms = 300",
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let id = new_id();
    let mut holder = stack.database().await;
    hold(&mut holder, &class.class_id).await;

    let answer = redeem_as(&stack, &id, &student, &code).await;

    let delay = answer
        .as_ref()
        .expect_err("held")
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    assert!(delay.is_some_and(|delay| delay > Duration::ZERO));
    refused(answer, ErrorReason::Conflict);
    let_go(&mut holder).await;
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 0);
    let answer = redeem_as(&stack, &id, &student, &code).await.expect("in");
    assert!(!answer.into_inner().replayed, "it was not decided before");
    stack.finish().await;
}

#[tokio::test]
async fn who_holds_more_classes_than_there_are_connections_keeps_nobody_else_waiting() {
    // Six connections (the usual settings of a test), of which those that wait may take half.
    const HELD: usize = 9;
    let stack = Stack::with(Options {
        enrollment: "[database]\nlock_timeout_ms = 20000\nstatement_timeout_ms = 25000",
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let mut held = Vec::new();
    for _ in 0..HELD {
        held.push(organization.event_class(ClassDraft::new()).await);
    }
    let (_, free_code) = organization.event_class(ClassDraft::new()).await;
    let students = organization.students(HELD + 5).await;
    let classes: Vec<String> = held
        .iter()
        .map(|(class, _)| class.class_id.clone())
        .collect();
    let mut holder = stack.database().await;
    sqlx::query("BEGIN")
        .execute(&mut holder)
        .await
        .expect("a transaction");
    sqlx::query(
        "SELECT 1 FROM enrollment.classes WHERE class_id = ANY ($1::uuid[]) FOR NO KEY UPDATE",
    )
    .bind(&classes)
    .execute(&mut holder)
    .await
    .expect("the locks");

    let waiters = join_all(
        held.iter()
            .zip(&students)
            .map(|((_, code), student)| redeem(&stack, student, code)),
    );
    let meanwhile = async {
        somebody_waits(&stack, &mut holder).await;
        for student in &students[HELD..] {
            come_in(&stack, student, &free_code).await;
        }
        let_go(&mut holder).await;
    };
    let (answers, ()) = futures::join!(waiters, meanwhile);

    for answer in answers {
        // Those whose turn to wait did not come in time are told to come again.
        if answer.is_err() {
            refused(answer, ErrorReason::Conflict);
        }
    }
    stack.finish().await;
}

#[tokio::test]
async fn who_comes_when_every_place_is_taken_is_sent_away_at_once_and_decided_on_the_next_try() {
    let stack = Stack::with(Options {
        enrollment: "[limits]\nmax_calls = 1\n[database]\nlock_timeout_ms = 20000\nstatement_timeout_ms = 25000",
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let waiting = organization.student().await.student_id;
    let late = organization.student().await.student_id;
    let id = new_id();
    let mut holder = stack.database().await;
    hold(&mut holder, &class.class_id).await;

    let waiter = redeem(&stack, &waiting, &code);
    let meanwhile = async {
        somebody_waits(&stack, &mut holder).await;
        let answer = redeem_as(&stack, &id, &late, &code).await;
        // The one who waits is still there: nobody waited for a place.
        let refusal = refused(answer, ErrorReason::Overloaded);
        let delay = refusal.get_details_retry_info();
        assert!(delay.is_some_and(|info| info.retry_delay.is_some()));
        let_go(&mut holder).await;
    };
    let (answer, ()) = futures::join!(waiter, meanwhile);

    answer.expect("in");
    let answer = redeem_as(&stack, &id, &late, &code).await.expect("in");
    assert!(!answer.into_inner().replayed, "it was not decided before");
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 2);
    stack.finish().await;
}
