//! Every method that writes anything, with a crash of either service at each place between two effects that outlive it:
//! before and after every commit and every call to the other service. Whoever asks again, with the same request, gets a
//! definite answer, the same from then on; nothing is lost, nothing is done twice.

use std::time::{Duration, Instant};

use latchkey::stack::Service;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tonic::Status;

use crate::harness::dynamic::{call, methods, path_of};
use crate::harness::invariants;
use crate::harness::site::Replica;
use crate::harness::{Scene, Stack, eventually};

/// More places than any method passes, with what is told to keys afterwards.
const PLACES: usize = 40;

/// How methods are called that write nothing, by the beginnings of their names.
const READING: [&str; 7] = [
    "Get", "List", "BatchGet", "Check", "Resolve", "Count", "Preview",
];

/// What of an answer may differ when it is given again.
const MAY_DIFFER: [&str; 5] = ["replayed", "outcome", "new_uses", "new_releases", "stored"];

struct Trial<'s> {
    stack: &'s Stack,
    scene: Scene<'s>,
    /// The process that crashes.
    victim: Replica,
}

impl Trial<'_> {
    async fn ask(
        &self,
        method: &MethodDescriptor,
        request: &DynamicMessage,
    ) -> Result<DynamicMessage, Status> {
        let caller = self.scene.caller(method);
        let connection = match method.parent_service().package_name() {
            "latchkey.keys.v1" => caller.to_keys(),
            _ => caller.to_enrollment(),
        };
        let mut answer = call(connection, method, request.clone()).await?;
        for name in MAY_DIFFER {
            answer.clear_field_by_name(name);
        }
        Ok(answer)
    }

    /// Asks until there is an answer, as a good client does.
    async fn persist(&self, method: &MethodDescriptor, request: &DynamicMessage) -> DynamicMessage {
        eventually("a definite answer", async || {
            let answer = self.ask(method, request).await;
            answer.map_err(|status| format!("{}: {status:?}", path_of(method)))
        })
        .await
    }

    /// Calls `method` with a crash at each place in turn; how many crashes there were.
    async fn crash_everywhere(&mut self, method: &MethodDescriptor) -> usize {
        for place in 0..PLACES {
            let request = self.scene.change(method).await;
            self.settled().await;
            let faults = format!("crash::any={place}*off->return");
            self.victim.set_faults(&faults).await;
            let first = self.ask(method, &request).await;
            self.settled_or_down(first.is_ok()).await;
            let crashed = self.victim.is_down();
            if !crashed {
                self.victim.set_faults("").await;
            }
            self.victim.revive().await;
            let again = self.persist(method, &request).await;
            if let Ok(first) = first {
                assert_eq!(first, again, "{} at place {place}", path_of(method));
            }
            let once_more = self.persist(method, &request).await;
            assert_eq!(again, once_more, "{} at place {place}", path_of(method));
            if !crashed {
                invariants::hold(self.stack).await;
                return place;
            }
        }
        panic!("{} passes more places than {PLACES}", path_of(method))
    }

    /// Waits until nothing is owed to keys.
    async fn settled(&self) {
        eventually("all told to keys", async || self.owed().await).await;
    }

    async fn owed(&self) -> Result<(), String> {
        invariants::told(self.stack).await
    }

    /// Waits until the victim has crashed; or, if it has answered, until nothing is owed to keys.
    async fn settled_or_down(&mut self, answered: bool) {
        let began = Instant::now();
        while !(self.victim.is_down() || answered && self.owed().await.is_ok()) {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "it goes on without an answer"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn writing() -> Vec<MethodDescriptor> {
    let reads = |name: &str| READING.iter().any(|beginning| name.starts_with(beginning));
    let all = methods().into_iter();
    all.filter(|method| !reads(method.name())).collect()
}

/// Crashes `service` everywhere, in all of `methods`; so often at least.
async fn crash(service: Service, methods: Vec<MethodDescriptor>, at_least: usize) {
    let mut stack = Stack::own().await;
    let victim = stack.take(service, 0);
    let mut trial = Trial {
        scene: Scene::new(&stack, "ines-instructor").await,
        stack: &stack,
        victim,
    };
    let (mut crashes, began) = (0, Instant::now());
    for method in methods {
        let places = trial.crash_everywhere(&method).await;
        println!(
            "{} of {}: {places} crashes",
            path_of(&method),
            service.name()
        );
        crashes += places;
    }
    println!(
        "{crashes} crashes of {} in {:?}",
        service.name(),
        began.elapsed()
    );
    assert!(crashes >= at_least, "{crashes} crashes");
    let victim = trial.victim;
    stack.give_back(victim);
    stack.finish().await;
}

fn of_package(package: &str) -> Vec<MethodDescriptor> {
    let mut methods = writing();
    methods.retain(|method| method.parent_service().package_name() == package);
    methods
}

#[tokio::test]
async fn enrollment_dies_at_every_place_of_its_methods() {
    let methods = of_package("latchkey.enrollment.v1");
    crash(Service::Enrollment, methods, 60).await;
}

#[tokio::test]
async fn keys_dies_at_every_place_of_the_methods_of_enrollment() {
    let methods = of_package("latchkey.enrollment.v1");
    crash(Service::Keys, methods, 20).await;
}

#[tokio::test]
async fn keys_dies_at_every_place_of_its_methods() {
    let methods = of_package("latchkey.keys.v1");
    crash(Service::Keys, methods, 20).await;
}
