//! Calls that are given up, at every poll of their future: whatever the caller does, no transaction stays open, no lock
//! is kept, no connection, task or place is lost, and the same request asked again gets its answer.
//!
//! The services run in the test's own process, because only there polls can be counted.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use latchkey_proto::enrollment::v1::RedemptionOutcome;
use latchkey_proto::enrollment::v1::redemption_service_client::RedemptionServiceClient;
use latchkey_service_kit::config::DatabaseConfig;
use latchkey_service_kit::faults::plant;
use latchkey_service_kit::server::GrpcService;
use prost_reflect::MethodDescriptor;
use sqlx::PgPool;
use tokio::sync::{Mutex, Notify};

use crate::harness::dynamic::{call, methods, path_of};
use crate::harness::world::redemption;
use crate::harness::{ClassDraft, Organization, Scene, Stack, eventually, new_id};
use crate::held_classes::{hold, let_go, somebody_waits};

/// The guard without which a handler is polled by its caller, and dropped with it.
const NOT_DETACHED: &str = "bug::handlers_not_detached";

/// More polls than any call takes whose connection is there.
const POLLS: usize = 100;

/// Longer than any test: a connection left in a transaction stays there to be seen.
const LEFT_ALONE_MS: u64 = 3_600_000;

/// Bugs are planted in the whole process: these tests take turns.
static TURN: Mutex<()> = Mutex::const_new(());

/// A service in this process.
struct House {
    service: GrpcService,
    pool: PgPool,
    most_connections: u32,
}

impl House {
    fn keys(stack: &Stack) -> Self {
        let file = stack.site().keys[0].config_file();
        let mut config = latchkey_keys::Config::load(Some(file)).expect("a configuration");
        let most_connections = patient(&mut config.database);
        let (server, pool, _) = latchkey_keys::assemble(&config).expect("the keys service");
        let service = server.into_service().expect("its routes");
        Self {
            service,
            pool,
            most_connections,
        }
    }

    fn enrollment(stack: &Stack) -> Self {
        let file = stack.site().enrollment[0].config_file();
        let mut config = latchkey_enrollment::Config::load(Some(file)).expect("a configuration");
        let most_connections = patient(&mut config.database);
        let (server, services, _) = latchkey_enrollment::assemble(&config).expect("the service");
        let service = server.into_service().expect("its routes");
        Self {
            service,
            pool: services.pool.clone(),
            most_connections,
        }
    }

    /// Waits until nothing is left of a call that was given up.
    async fn nothing_is_left(&self, database: &PgPool, what: &str) {
        eventually("nothing is left", async || {
            let progress = self.service.in_progress();
            let (size, idle) = (self.pool.size(), self.pool.num_idle());
            if progress > 0 {
                return Err(format!("{what}: {progress} calls are in progress"));
            }
            if usize::try_from(size) != Ok(idle) || size > self.most_connections {
                return Err(format!("{what}: {idle} of {size} connections are idle"));
            }
            Ok(())
        })
        .await;
        eventually("nothing is left", async || {
            let left: Vec<String> = sqlx::query_scalar(
                "SELECT application_name || ' is left in a transaction, ' || state || ', after ' || query
                 FROM pg_stat_activity a
                 WHERE datname = current_database() AND application_name LIKE 'latchkey-%' AND state <> 'active'
                     AND (state LIKE 'idle in transaction%' OR EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid))",
            )
            .fetch_all(database)
            .await
            .expect("who is connected");
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("{what}: {}", left.join("; ")))
            }
        })
        .await;
    }

    /// Every connection that the pool may have can be had at once.
    async fn is_whole(&self) {
        let all = (0..self.most_connections).map(|_| self.pool.acquire());
        let all = futures::future::try_join_all(all).await;
        let all = all.expect("every connection of the pool");
        drop(all);
    }
}

fn patient(database: &mut DatabaseConfig) -> u32 {
    database.idle_in_transaction_timeout_ms = LEFT_ALONE_MS;
    database.max_connections
}

/// Connections that see everything.
fn watcher(stack: &Stack) -> PgPool {
    PgPool::connect_lazy_with(stack.site().database.admin.clone())
}

/// Tells whoever polls by hand that it is time.
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Polls `future`, each time when it has asked for it, and drops it at the poll with this number (1 is the first) unless
/// that completes it.
async fn dropped_at<F: Future>(poll: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let woken = Arc::new(Woken(Notify::new()));
    let waker = Waker::from(Arc::clone(&woken));
    for number in 1..=poll {
        let mut context = Context::from_waker(&waker);
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        if number < poll {
            woken.0.notified().await;
        }
    }
    None
}

/// Gives up calls of `method` at each of their polls in turn; how many were given up.
async fn give_up_everywhere(
    house: &House,
    scene: &Scene<'_>,
    database: &PgPool,
    method: &MethodDescriptor,
) -> usize {
    let way = || scene.caller(method).through(house.service.clone());
    let request = scene.change(method).await;
    if let Err(status) = call(way(), method, request).await {
        panic!("{}: {status:?}", path_of(method));
    }
    for poll in 1..=POLLS {
        // Making a connection takes many polls, in no fixed number, and is not what is looked at.
        house.is_whole().await;
        let request = scene.change(method).await;
        let answer = dropped_at(poll, call(way(), method, request.clone())).await;
        let what = format!("{} dropped at poll {poll}", path_of(method));
        house.nothing_is_left(database, &what).await;
        if let Err(status) = call(way(), method, request).await {
            panic!("{what}, asked again: {status:?}");
        }
        if let Some(answer) = answer {
            answer.unwrap_or_else(|status| panic!("{what}: {status:?}"));
            house.is_whole().await;
            return poll - 1;
        }
    }
    panic!("{} takes more than {POLLS} polls", path_of(method))
}

/// Gives up calls of every method of the contract, so many at least.
async fn give_up_every_method(at_least: usize) {
    let stack = Stack::own().await;
    let scene = Scene::new(&stack, "ines-instructor").await;
    let database = watcher(&stack);
    let houses = [
        ("latchkey.keys.v1", House::keys(&stack)),
        ("latchkey.enrollment.v1", House::enrollment(&stack)),
    ];
    let mut given_up = 0;
    for (package, house) in &houses {
        for method in methods() {
            let of = method.parent_service().package_name().to_owned();
            if of == *package || of == "latchkey.audit.v1" {
                let polls = give_up_everywhere(house, &scene, &database, &method).await;
                println!("{} given up at {polls} polls", path_of(&method));
                given_up += polls;
            }
        }
    }
    println!("{given_up} calls were given up");
    assert!(given_up >= at_least, "{given_up} calls were given up");
    for (_, house) in houses {
        house.pool.close().await;
    }
    database.close().await;
    stack.finish().await;
}

#[tokio::test]
async fn a_call_given_up_at_any_poll_leaves_nothing_behind() {
    let _turn = TURN.lock().await;
    give_up_every_method(methods().len()).await;
}

/// The handler's task is one guard, what is done when a connection is released another: each is enough.
#[tokio::test]
async fn a_handler_stopped_at_any_poll_leaves_nothing_behind() {
    let _turn = TURN.lock().await;
    // Bugs of the environment are armed with the cluster: planted before, this one would be forgotten.
    crate::harness::cluster::cluster();
    let _planted = Planted::begin();
    // Some three polls each; on a machine with much else to do several things are there at one poll.
    give_up_every_method(2 * methods().len()).await;
}

/// Handlers are not detached while there is this, however the test ends: others of this process follow.
struct Planted;

impl Planted {
    fn begin() -> Self {
        plant(NOT_DETACHED, true);
        Self
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        plant(NOT_DETACHED, false);
    }
}

#[tokio::test]
async fn a_redemption_given_up_in_its_queue_or_in_flight_is_decided_and_recorded() {
    let _turn = TURN.lock().await;
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let students = organization.students(2).await;
    let house = House::enrollment(&stack);
    let way = || stack.platform().through(house.service.clone());
    let (mut holder, database) = (stack.database().await, watcher(&stack));
    hold(&mut holder, &class.class_id).await;
    let ids = [new_id(), new_id()];
    let redeem = |number: usize| {
        let request = redemption(&ids[number], &students[number], &code);
        let way = way();
        async move { RedemptionServiceClient::new(way).redeem_key(request).await }
    };

    // The first is in flight, at the lock; the second waits behind it.
    assert!(dropped_at(1, redeem(0)).await.is_none(), "it waits");
    somebody_waits(&stack, &mut holder).await;
    assert!(dropped_at(1, redeem(1)).await.is_none(), "it waits");
    assert_eq!(house.service.in_progress(), 2, "both go on");
    let_go(&mut holder).await;
    house.nothing_is_left(&database, "two redemptions").await;

    let recorded: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM enrollment.redemptions WHERE outcome = 'enrolled'",
    )
    .fetch_one(&database)
    .await
    .expect("a number");
    assert_eq!(recorded, 2, "what nobody waits for is decided all the same");
    for number in [0, 1] {
        let answer = redeem(number).await.expect("an answer").into_inner();
        assert_eq!(answer.outcome(), RedemptionOutcome::Enrolled);
        assert!(answer.replayed, "it is the answer that was recorded");
    }
    house.pool.close().await;
    database.close().await;
    stack.finish().await;
}
