//! `latchkey load` against a small stack: what it counts is what the database has, and nothing that it is told is wrong.

mod command;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use latchkey::load::engine::{self, Pace, Plan, Until};
use latchkey::load::judge::judge;
use latchkey::load::mix::Action;
use latchkey::load::outcome::Outcome;
use latchkey::load::prepare::{Skew, Wanted, prepare};
use latchkey::load::run::{Ended, Run};
use latchkey::load::target::Target;
use latchkey::progress::Progress;
use latchkey::stack::data_dir::DataDir;
use latchkey::stack::process::{ANY_PORT, claim};
use latchkey::stack::{DatabaseChoice, Service, Stack, StackOptions};
use latchkey_proto::errors::v1::ErrorReason;
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection};

async fn stack() -> Stack {
    let options = StackOptions {
        executable: PathBuf::from(env!("CARGO_BIN_EXE_latchkey")),
        data_dir: DataDir::ephemeral().expect("a directory"),
        keys_address: ANY_PORT,
        enrollment_address: ANY_PORT,
        database: DatabaseChoice::Private,
        mail_server: None,
        progress: Progress::hidden(),
    };
    Stack::start(options).await.expect("a stack")
}

/// How many redemptions the database has with this outcome and reason.
async fn decided(stack: &Stack, outcome: &str, reason: Option<&str>) -> u64 {
    let url = stack.database().enrollment_url.expose_secret();
    let mut database = PgConnection::connect(url).await.expect("the database");
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM enrollment.redemptions WHERE outcome = $1 AND reason IS NOT DISTINCT FROM $2",
    )
    .bind(outcome)
    .bind(reason)
    .fetch_one(&mut database)
    .await
    .expect("a count");
    u64::try_from(count).expect("a count")
}

fn of(run: &Run, action: Action, outcome: Outcome) -> u64 {
    run.action(action).map_or(0, |run| run.outcomes.of(outcome))
}

/// Everything at once, with fewer seats than students.
fn wanted() -> Wanted {
    Wanted {
        organizations: 2,
        classes: 3,
        enrollment_keys: 160,
        event_seats: 40,
        crowd: 2.0,
        registrations: 40,
        skew: Skew::Zipf(0.5),
        guessers: true,
        spares: true,
        ..Wanted::default()
    }
}

#[tokio::test]
async fn what_is_counted_is_what_was_decided() {
    let stack = stack().await;
    let target = Target::of_stack(&stack).expect("a target");
    let supply = prepare(&target, &wanted(), &|_| ())
        .await
        .expect("a supply");
    assert_eq!(supply.left().0, 160);
    let plan = Plan {
        mix: "enrollment=40,event=20,register=10,check=10,replay=10,wrong=5,spent=5"
            .parse()
            .expect("a mix"),
        streams: 24,
        connections: 3,
        threads: 2,
        ramp: Duration::from_millis(50),
        until: Until::Count(300),
        ..Plan::default()
    };
    let stop = AtomicBool::new(false);
    let run = engine::run(&target, &plan, &supply, &stop, &mut |_| ()).expect("a run");

    assert_eq!(run.ended, Ended::AsPlanned);
    let outcomes = run.outcomes();
    assert_eq!(outcomes.total(), 300, "{outcomes:?}");
    assert_eq!(outcomes.failures(), 0, "{outcomes:?}");
    for action in Action::ALL {
        assert!(run.action(action).is_some(), "{action} was not called");
    }
    let enrolled = outcomes.of(Outcome::Enrolled);
    assert_eq!(enrolled, decided(&stack, "enrolled", None).await);
    assert_eq!(enrolled, run.seats.len() as u64);
    let spent = Outcome::Refused(ErrorReason::KeyAlreadyRedeemed);
    let refused = decided(&stack, "refused", Some("KEY_ALREADY_REDEEMED")).await;
    assert_eq!(of(&run, Action::Spent, spent), refused);
    let wrong = run.action(Action::Wrong).expect("wrong codes");
    assert_eq!(wrong.outcomes.granted(), 0);
    assert!(
        of(
            &run,
            Action::Wrong,
            Outcome::Refused(ErrorReason::KeyMalformed)
        ) > 0
    );

    let wrong = judge(&target, &supply, &[&run]).await.expect("judged");
    assert_eq!(wrong.count(), 0, "{:?}", wrong.kept());
    stack.stop().await.expect("stopped");
}

#[tokio::test]
async fn an_open_loop_goes_on_where_the_run_before_ended_until_all_is_used_up() {
    let stack = stack().await;
    let target = Target::of_stack(&stack).expect("a target");
    let wanted = Wanted {
        classes: 2,
        event_seats: 60,
        crowd: 1.5,
        skew: Skew::OneAfterTheOther,
        ..Wanted::default()
    };
    let supply = prepare(&target, &wanted, &|_| ()).await.expect("a supply");
    let plan = Plan {
        mix: "event=1".parse().expect("a mix"),
        streams: 16,
        connections: 1,
        pace: Pace::Open { per_second: 200.0 },
        until: Until::Count(50),
        ..Plan::default()
    };
    let stop = AtomicBool::new(false);
    let go = |plan: &Plan| engine::run(&target, plan, &supply, &stop, &mut |_| ());
    let first = go(&plan).expect("a run");
    let until = Until::After(Duration::from_mins(10));
    let second = go(&Plan { until, ..plan }).expect("a run");

    assert_eq!(first.ended, Ended::AsPlanned);
    assert!(
        first.lasted >= Duration::from_millis(245),
        "{:?}",
        first.lasted
    );
    assert_eq!(second.ended, Ended::UsedUp(Action::Event));
    let full = Outcome::Refused(ErrorReason::ClassFull);
    let both = |outcome| first.count(outcome) + second.count(outcome);
    assert_eq!((both(Outcome::Enrolled), both(full)), (60, 30));
    assert_eq!(decided(&stack, "refused", Some("CLASS_FULL")).await, 30);
    let wrong = judge(&target, &supply, &[&first, &second])
        .await
        .expect("judged");
    assert_eq!(wrong.count(), 0, "{:?}", wrong.kept());

    // A student too many, as no decision would let in.
    let url = stack.database().enrollment_url.expose_secret();
    let mut database = PgConnection::connect(url).await.expect("the database");
    sqlx::query("DELETE FROM enrollment.enrollments WHERE enrollment_id = $1")
        .bind(first.seats[0].enrollment)
        .execute(&mut database)
        .await
        .expect("deleted");
    let wrong = judge(&target, &supply, &[&first, &second])
        .await
        .expect("judged");
    assert!(wrong.count() > 0, "an enrollment that is gone is missed");
    stack.stop().await.expect("stopped");
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let stack = stack().await;
    let mut target = Target::of_stack(&stack).expect("a target");
    let supply = prepare(&target, &Wanted::default(), &|_| ())
        .await
        .expect("a supply");
    let nobody = claim(Service::Enrollment, ANY_PORT).expect("a free port");
    target.enrollment[0].url = format!("https://{nobody}");
    let stop = AtomicBool::new(false);
    let plan = Plan::default();
    let error = engine::run(&target, &plan, &supply, &stop, &mut |_| ()).expect_err("nobody");
    assert!(format!("{error:#}").contains("nobody answers"), "{error:#}");
    let prepared = prepare(&target, &Wanted::default(), &|_| ()).await;
    let error = format!("{:#}", prepared.expect_err("nobody"));
    assert!(error.contains("nobody answers"), "{error}");
    stack.stop().await.expect("stopped");
}
