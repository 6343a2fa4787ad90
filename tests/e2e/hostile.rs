//! Whatever comes over the wire: no panic, no inner fault, no call without an answer, memory within a bound, and a good
//! client served meanwhile.
//!
//! Requests are random and mutated, and follow from a seed. `LATCHKEY_HOSTILE_REQUESTS` says how many each service is
//! sent (the long form: 1000000), `LATCHKEY_HOSTILE_SEED` which.

mod attacks;
mod bodies;
mod connections;
mod dice;
mod flood;
mod frames;
mod headers;
mod material;
mod tokens;

use std::time::Duration;

use latchkey::stack::Service;
use latchkey_proto::enrollment::v1::GetClassRequest;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::material::{Methods, Target};
use crate::harness::memory::peak_kib;
use crate::harness::world::redemption;
use crate::harness::{Options, Organization, Scene, Stack, insist, new_id};

/// How many requests each service is sent, unless the environment says otherwise.
const USUAL: u64 = 5_000;

/// What a process may have in memory at its peak, whatever it is sent: some dozen calls in progress, each with a message of at
/// most 1 MiB and what is made of it, beside a debug build's own 100 MiB and what password hashes take.
const MAX_RSS_KIB: u64 = 512 * 1024;

/// How long a good client waits for an answer while all this goes on.
const SERVED_WITHIN: Duration = Duration::from_mins(1);

/// Someone who does the usual things meanwhile.
struct GoodClient<'s> {
    scene: Scene<'s>,
}

impl<'s> GoodClient<'s> {
    async fn of(stack: &'s Stack) -> Self {
        let organization = Organization::new(stack).await;
        let scene = Scene::within(organization, "ines-instructor").await;
        Self { scene }
    }

    /// Reads a class and redeems a code, through both services, until `done`; how often. Each must be done within
    /// [`SERVED_WITHIN`], with what a good client repeats.
    async fn is_served(&self, done: CancellationToken) -> u32 {
        let mut served = 0;
        while !done.is_cancelled() {
            timeout(SERVED_WITHIN, self.is_answered())
                .await
                .expect("a good client is served");
            served += 1;
            sleep(Duration::from_millis(20)).await;
        }
        served
    }

    async fn is_answered(&self) {
        let scene = &self.scene;
        let request = GetClassRequest {
            class_id: scene.class.class_id.clone(),
        };
        let admin = scene.organization.admin();
        insist(async || admin.classes().get_class(request.clone()).await).await;
        let platform = scene.organization.stack.platform();
        let request = redemption(&new_id(), &scene.student.student_id, &scene.event_code);
        insist(async || platform.redemptions().redeem_key(request.clone()).await).await;
    }
}

/// Fails if a process has had more memory than the bound.
fn memory_is_bounded(stack: &Stack) {
    for replica in stack.site().replicas() {
        let peak = peak_kib(replica);
        println!("{} had {} MiB", replica.service.name(), peak / 1024);
        assert!(
            peak <= MAX_RSS_KIB,
            "{}: {peak} KiB",
            replica.service.name()
        );
    }
}

/// Waiting for a connection is no fault here: what is tried is what requests say, not how many there are at once.
const PATIENT: &str = "
[database]
acquire_timeout_ms = 20000
[limits]
default_deadline_ms = 30000
";
const PATIENT_WITH_KEYS: &str = "
[database]
acquire_timeout_ms = 20000
[limits]
default_deadline_ms = 30000
[keys]
call_timeout_ms = 20000
";

fn patient() -> Options {
    Options {
        keys: PATIENT,
        enrollment: PATIENT_WITH_KEYS,
        ..Options::default()
    }
}

fn requests() -> u64 {
    dice::number("LATCHKEY_HOSTILE_REQUESTS").unwrap_or(USUAL)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_harms_the_services() {
    let stack = Stack::with(patient()).await;
    let scene = Scene::new(&stack, "otto").await;
    let good = GoodClient::of(&stack).await;
    let done = CancellationToken::new();
    let attack = async {
        for service in [Service::Keys, Service::Enrollment] {
            let target = Target::of(service, Methods::ForCallers, &scene).await;
            flood::flood(target, dice::seed(), requests()).await;
        }
        done.cancel();
    };
    let (served, ()) = tokio::join!(good.is_served(done.clone()), attack);
    println!("a good client was served {served} times meanwhile");
    memory_is_bounded(&stack);
    stack.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_one_to_the_methods_between_the_services() {
    let stack = Stack::with(patient()).await;
    let scene = Scene::new(&stack, "otto").await;
    let target = Target::of(Service::Keys, Methods::Internal, &scene).await;
    flood::flood(target, dice::seed(), requests() / 2).await;
    memory_is_bounded(&stack);
    stack.finish_after_untruths().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_harms_the_services() {
    let stack = Stack::with(connections::impatient()).await;
    let good = GoodClient::of(&stack).await;
    let done = CancellationToken::new();
    let attack = async {
        connections::attack(&stack).await;
        done.cancel();
    };
    let (served, ()) = tokio::join!(good.is_served(done.clone()), attack);
    println!("a good client was served {served} times meanwhile");
    memory_is_bounded(&stack);
    stack.finish().await;
}
