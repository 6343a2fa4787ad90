use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const SUBJECT: u128 = 7;

fn subject() -> Subject {
    Subject::id(Uuid::from_u128(SUBJECT))
}

fn allowance(burst: u32, refill_ms: u64) -> Allowance {
    Allowance {
        burst,
        refill: Duration::from_millis(refill_ms),
    }
}

type Faked = Limiter<FakeRelativeClock>;

fn limiter(burst: u32, refill_ms: u64) -> (Faked, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    let limiter = Limiter::with_clock(allowance(burst, refill_ms), 1_000, clock.clone());
    (limiter, clock)
}

/// An attempt that fails, if it is let in.
fn guess(limiter: &Faked) -> bool {
    let let_in = limiter.look(subject()).is_ok();
    if let_in {
        limiter.failed(subject());
    }
    let_in
}

/// What replicas share, as the services' tables do it.
#[derive(Default)]
struct Table(HashMap<Subject, Duration>);

impl Table {
    /// What `replica` tells, and what it hears. `now` is the table's clock.
    fn exchange(&mut self, replica: &Faked, now: Duration) {
        for (subject, untold) in replica.take_untold() {
            let cost = replica.allowance.refill * untold.failures;
            let since = Duration::saturating_sub(now, replica.age(untold.since));
            let due = self.0.entry(subject).or_default();
            *due = (*due).max(since) + cost;
        }
        for (subject, due) in &self.0 {
            replica.hear(*subject, Duration::saturating_sub(*due, now));
        }
    }
}

#[test]
fn looking_uses_nothing_up_and_other_subjects_are_not_concerned() {
    let (limiter, _) = limiter(2, 1_000);
    for _ in 0..100 {
        limiter.look(subject()).unwrap();
    }
    assert!(guess(&limiter) && guess(&limiter));
    assert!(!guess(&limiter));
    limiter.look(Subject::id(Uuid::from_u128(8))).unwrap();
}

#[test]
fn the_wait_that_is_told_is_the_wait_that_is_needed() {
    let (limiter, clock) = limiter(3, 1_500);
    while guess(&limiter) {}
    let wait = limiter.look(subject()).unwrap_err().retry_after;
    assert_eq!(wait, Duration::from_millis(1_500));
    clock.advance(Duration::from_millis(1_499));
    limiter.look(subject()).unwrap_err();
    clock.advance(Duration::from_millis(1));
    assert!(guess(&limiter));
    assert!(!guess(&limiter), "one, and no more");
}

#[test]
fn what_replicas_let_in_before_they_heard_of_each_other_is_paid_back() {
    let clock = FakeRelativeClock::default();
    let replicas: Vec<Faked> = (0..4)
        .map(|_| Limiter::with_clock(allowance(5, 1_000), 10, clock.clone()))
        .collect();
    let let_in: usize = replicas
        .iter()
        .map(|replica| (0..100).filter(|_| guess(replica)).count())
        .sum();
    assert_eq!(let_in, 20);
    let mut table = Table::default();
    for replica in replicas.iter().chain(&replicas) {
        table.exchange(replica, Duration::ZERO);
    }
    // Twenty were let in where five may be: fifteen are waited for, and one more for the next.
    for replica in &replicas {
        let wait = limiter_wait(replica);
        assert!(
            wait > Duration::from_secs(15) && wait <= Duration::from_secs(16),
            "{wait:?}"
        );
    }
}

fn limiter_wait(limiter: &Faked) -> Duration {
    limiter.look(subject()).unwrap_err().retry_after
}

#[test]
fn what_could_not_be_told_is_told_later() {
    let (limiter, clock) = limiter(5, 1_000);
    assert!(guess(&limiter));
    clock.advance(Duration::from_millis(300));
    let untold = limiter.take_untold();
    assert!(guess(&limiter));
    limiter.keep_untold(untold);
    let all = limiter.take_untold();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].1.failures, 2);
    assert_eq!(limiter.age(all[0].1.since), Duration::from_millis(300));
    assert!(limiter.take_untold().is_empty());
}

#[test]
fn those_who_owe_nothing_are_forgotten() {
    let (limiter, clock) = limiter(2, 1_000);
    assert!(guess(&limiter));
    clock.advance(Duration::from_millis(999));
    limiter.forget_settled();
    assert!(limiter.book.of(subject()).is_some());
    clock.advance(Duration::from_secs(2));
    limiter.forget_settled();
    assert!(limiter.book.of(subject()).is_none());
}

#[tokio::test]
async fn attempts_at_the_same_time_are_worth_no_more_than_one_after_the_other() {
    let (limiter, _) = limiter(3, 60_000);
    let looked_at = AtomicU32::new(0);
    let attempt = async || {
        let Ok(turn) = limiter.enter(subject()).await else {
            return;
        };
        looked_at.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        limiter.failed(subject());
        drop(turn);
    };
    futures::future::join_all((0..50).map(|_| attempt())).await;
    assert_eq!(looked_at.into_inner(), 3);
    assert!(lock(&limiter.inside).is_empty());
}

#[tokio::test]
async fn right_attempts_are_let_in_however_many_come_at_once() {
    let (limiter, _) = limiter(2, 60_000);
    limiter.failed(subject());
    let attempt = async || {
        let turn = limiter.enter(subject()).await.unwrap();
        tokio::task::yield_now().await;
        drop(turn);
    };
    futures::future::join_all((0..50).map(|_| attempt())).await;
    assert!(guess(&limiter), "nothing was used up");
    assert!(!guess(&limiter));
}

#[derive(Debug, Clone)]
enum Event {
    /// So many milliseconds pass.
    Passes(u64),
    /// So many guesses at this replica.
    Guesses(usize, u32),
    /// This replica exchanges.
    Exchange(usize),
}

const REPLICAS: usize = 3;

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0u64..5_000).prop_map(Event::Passes),
        (0..REPLICAS, 1u32..10).prop_map(|(replica, guesses)| Event::Guesses(replica, guesses)),
        (0..REPLICAS).prop_map(Event::Exchange),
    ]
}

proptest! {
    /// The stated bound: all replicas together let in what one would, and what the others had at once before they were
    /// heard of. With regular exchanges that extra is had once and not again.
    #[test]
    fn all_replicas_together_keep_the_stated_bound(
        events in prop::collection::vec(event(), 1..200),
        burst in 1u32..8,
        refill_ms in 200u64..3_000,
    ) {
        let clock = FakeRelativeClock::default();
        let replicas: Vec<Faked> = (0..REPLICAS)
            .map(|_| Limiter::with_clock(allowance(burst, refill_ms), 10, clock.clone()))
            .collect();
        let mut table = Table::default();
        let (mut now, mut let_in) = (Duration::ZERO, 0u64);
        for event in events {
            match event {
                Event::Passes(milliseconds) => {
                    let passed = Duration::from_millis(milliseconds);
                    // Everyone is heard of at least that often.
                    for replica in replicas.iter().chain(&replicas) {
                        table.exchange(replica, now);
                    }
                    clock.advance(passed);
                    now += passed;
                }
                Event::Guesses(replica, guesses) => {
                    let made = (0..guesses).filter(|_| guess(&replicas[replica])).count();
                    let_in += made as u64;
                }
                Event::Exchange(replica) => table.exchange(&replicas[replica], now),
            }
            let refilled = u64::try_from(now.as_millis()).unwrap() / refill_ms;
            let bound = refilled + u64::from(burst) * REPLICAS as u64 + slack(refill_ms);
            prop_assert!(let_in <= bound, "{let_in} within {now:?}, and not {bound}");
        }
    }

    /// One replica by itself is exact.
    #[test]
    fn one_replica_lets_in_the_burst_and_what_is_refilled(
        steps in prop::collection::vec((0u64..4_000, 1u32..6), 1..100),
        burst in 1u32..8,
        refill_ms in 200u64..3_000,
    ) {
        let (limiter, clock) = limiter(burst, refill_ms);
        let (mut now, mut let_in) = (0, 0);
        for (passed, guesses) in steps {
            clock.advance(Duration::from_millis(passed));
            now += passed;
            let_in += (0..guesses).filter(|_| guess(&limiter)).count() as u64;
            prop_assert!(let_in <= u64::from(burst) + now / refill_ms);
        }
    }
}

/// What is taken off of what replicas hear is worth this many attempts, rounded up, as the time that passed is.
fn slack(refill_ms: u64) -> u64 {
    u64::try_from(SLACK.as_millis()).unwrap() / refill_ms + 2
}
