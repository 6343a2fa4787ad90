use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;
use crate::attempts::{Allowance, Counted, Method};

const METHOD: Method = Method {
    service: "Tests",
    name: "Guess",
};
const EVERY: Duration = Duration::from_secs(1);
const GUESSER: Counted = ("caller", SUBJECT);
const SUBJECT: Subject = Subject::id(Uuid::from_u128(7));

/// What replicas share, as the services' tables do it: by when each subject has paid.
#[derive(Default)]
struct Table {
    due: HashMap<(String, Subject), Instant>,
    is_away: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("away")]
struct Away;

impl Table {
    fn exchange(&mut self, owed: &[Owed]) -> Result<Vec<Heard>, Away> {
        if self.is_away {
            return Err(Away);
        }
        let now = Instant::now();
        for one in owed {
            let since = now - one.age;
            let place = (one.limit.to_owned(), one.subject);
            let due = self.due.entry(place).or_insert(since);
            *due = since.max(*due) + one.cost;
        }
        let heard = self.due.iter().map(|((limit, subject), due)| Heard {
            limit: limit.clone(),
            subject: *subject,
            pays_for: due.saturating_duration_since(now),
        });
        Ok(heard.collect())
    }
}

struct Replica {
    limits: Arc<Limits>,
    stop: CancellationToken,
    sharing: JoinHandle<()>,
}

impl Replica {
    fn start(table: &Arc<Mutex<Table>>) -> Self {
        let allowance = Allowance {
            burst: 3,
            refill: Duration::from_mins(1),
        };
        let limits = Arc::new(Limits::new(
            [("caller", Some(allowance)), ("off", None)],
            10,
        ));
        let stop = CancellationToken::new();
        let sharing = {
            let (limits, stop, table) = (Arc::clone(&limits), stop.clone(), Arc::clone(table));
            tokio::spawn(async move {
                let exchange = |owed: Vec<Owed>, _| {
                    let answer = table.lock().unwrap().exchange(&owed);
                    async { answer }
                };
                limits.share(EVERY, stop, exchange).await;
            })
        };
        Self {
            limits,
            stop,
            sharing,
        }
    }

    fn has_room(&self) -> bool {
        self.limits.check(METHOD, &[GUESSER]).is_ok()
    }

    /// Fails as often as it may.
    fn guess(&self) -> usize {
        let mut made = 0;
        while self.has_room() {
            self.limits.failed(&[GUESSER]);
            made += 1;
        }
        made
    }

    async fn stop(self) {
        self.stop.cancel();
        self.sharing.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_hear_of_failures_and_a_new_one_of_what_was_before_it() {
    let table = Arc::default();
    let (one, other) = (Replica::start(&table), Replica::start(&table));
    assert_eq!(one.guess(), 3);
    assert!(other.has_room(), "not yet heard of");
    tokio::time::sleep(2 * EVERY).await;
    assert!(!other.has_room());
    one.stop().await;
    let restarted = Replica::start(&table);
    tokio::time::sleep(EVERY / 2).await;
    assert!(!restarted.has_room());
}

#[tokio::test(start_paused = true)]
async fn while_the_table_is_away_each_goes_by_itself_and_tells_the_rest_later() {
    let table: Arc<Mutex<Table>> = Arc::default();
    let (one, other) = (Replica::start(&table), Replica::start(&table));
    table.lock().unwrap().is_away = true;
    assert_eq!(one.guess(), 3);
    tokio::time::sleep(5 * EVERY).await;
    assert!(!one.has_room());
    assert_eq!(other.guess(), 3);
    table.lock().unwrap().is_away = false;
    tokio::time::sleep(3 * EVERY).await;
    let wait = one.limits.check(METHOD, &[GUESSER]).unwrap_err();
    assert!(
        wait.retry_after > Duration::from_mins(3),
        "three of the other are paid back"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_is_told_before_the_end() {
    let table: Arc<Mutex<Table>> = Arc::default();
    let replica = Replica::start(&table);
    tokio::time::sleep(EVERY / 2).await;
    replica.guess();
    replica.stop().await;
    assert_eq!(table.lock().unwrap().due.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_limit_without_an_allowance_is_off() {
    let table = Arc::default();
    let replica = Replica::start(&table);
    let off = [("off", SUBJECT), ("unknown", SUBJECT)];
    for _ in 0..1_000 {
        replica.limits.failed(&off);
        replica.limits.check(METHOD, &off).unwrap();
    }
    assert!(
        replica
            .limits
            .enter(METHOD, off[0])
            .await
            .unwrap()
            .is_none()
    );
    replica.stop().await;
}
