//! Every process of both services is restarted in turn while calls go on: a client that goes by the shipped service config
//! sees no call fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use latchkey::stack::Service;
use latchkey_proto::enrollment::v1::{GetRosterRequest, RedemptionOutcome};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use prost_reflect::ServiceDescriptor;
use serde_json::Value;
use tokio::task::JoinSet;
use tonic::Status;

use crate::harness::dynamic::pool;
use crate::harness::policy::{Policy, SERVICE_CONFIG};
use crate::harness::world::{check_by, redemption};
use crate::harness::{Caller, ClassDraft, Options, Organization, Stack, eventually, new_id};

const REPLICAS: usize = 2;

/// How many redeem, one after the other in each of some streams.
const STUDENTS: usize = 160;
const STREAMS: usize = 8;

/// What a policy is for: services, or methods of theirs.
fn named(policy: &Value) -> Vec<String> {
    let names = policy["name"].as_array().expect("names").iter();
    let mut names: Vec<String> = names
        .map(|name| {
            let service = name["service"].as_str().expect("a service");
            let method = name["method"].as_str();
            method.map_or_else(|| service.into(), |method| format!("{service}/{method}"))
        })
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn the_service_config_names_every_service_and_keeps_the_rules() {
    let config: Value = serde_json::from_str(SERVICE_CONFIG).expect("JSON");
    let methods = config["methodConfig"].as_array().expect("a list");
    let (of_all, of_streams) = methods.split_first().expect("a policy");
    let ours = |service: &ServiceDescriptor| {
        let name = service.full_name();
        // The last is between the services themselves.
        name.starts_with("latchkey.") && !name.ends_with(".KeyUsageService")
    };
    let services: Vec<ServiceDescriptor> = pool().services().filter(ours).collect();
    let mut expected: Vec<String> = services.iter().map(|one| one.full_name().into()).collect();
    expected.sort_unstable();
    assert_eq!(named(of_all), expected);
    // What goes on for minutes has a time-out of its own.
    let streams = services.iter().flat_map(ServiceDescriptor::methods);
    let streams = streams.filter(prost_reflect::MethodDescriptor::is_server_streaming);
    let mut streams: Vec<String> = streams
        .map(|one| format!("{}/{}", one.parent_service().full_name(), one.name()))
        .collect();
    streams.sort_unstable();
    assert_eq!(
        of_streams.iter().flat_map(named).collect::<Vec<_>>(),
        streams
    );
    for method in methods {
        let policy = &method["retryPolicy"];
        let attempts = policy["maxAttempts"].as_u64().expect("a number");
        assert!((2..=5).contains(&attempts), "gRPC takes 2 to 5 attempts");
        let codes = policy["retryableStatusCodes"].as_array().expect("codes");
        assert_eq!(codes.as_slice(), [Value::from("UNAVAILABLE")]);
    }
    let throttling = &config["retryThrottling"];
    assert!(
        throttling["maxTokens"]
            .as_u64()
            .is_some_and(|tokens| tokens <= 1000)
    );
    assert!(
        throttling["tokenRatio"]
            .as_f64()
            .is_some_and(|ratio| ratio > 0.0)
    );
}

struct Load {
    policy: Policy,
    platform: Caller,
    admin: Caller,
    class_id: String,
    code: String,
    done: AtomicUsize,
    enough: AtomicBool,
}

impl Load {
    /// Redeems, and reads in between, for one student.
    async fn serve(&self, student: &str) -> Result<(), Status> {
        let request = redemption(&new_id(), student, &self.code);
        let redeem = |replica| {
            let (platform, request) = (self.platform.on(replica), request.clone());
            async move { platform.redemptions().redeem_key(request).await }
        };
        let answer = self.policy.call(REPLICAS, redeem).await?.into_inner();
        assert_eq!(answer.outcome(), RedemptionOutcome::Enrolled);
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Reads, until it is enough.
    async fn read(&self, student: &str) -> Result<usize, Status> {
        let mut reads = 0;
        while !self.enough.load(Ordering::Relaxed) {
            let check = |replica| {
                let platform = self.platform.on(replica);
                async move { check_by(&platform, student, &self.code).await }
            };
            self.policy.call(REPLICAS, check).await?;
            let roster = |replica| {
                let class_id = self.class_id.clone();
                let admin = self.admin.on(replica);
                async move {
                    admin
                        .enrollments()
                        .get_roster(GetRosterRequest { class_id })
                        .await
                }
            };
            self.policy.call(REPLICAS, roster).await?;
            reads += 1;
        }
        Ok(reads)
    }
}

#[tokio::test]
async fn no_call_fails_while_every_process_is_restarted_in_turn() {
    let notice = "[shutdown]\nnotice_ms = 200";
    let mut stack = Stack::with(Options {
        replicas: REPLICAS,
        keys_shared: true,
        keys: notice,
        enrollment: notice,
        ..Options::default()
    })
    .await;
    let (load, students) = {
        let organization = Organization::new(&stack).await;
        let draft = ClassDraft::new().maximum(1_000);
        let (class, code) = organization.event_class(draft).await;
        let load = Load {
            policy: Policy::shipped(),
            platform: stack.platform(),
            admin: organization.admin(),
            class_id: class.class_id,
            code,
            done: AtomicUsize::new(0),
            enough: AtomicBool::new(false),
        };
        (Arc::new(load), organization.students(STUDENTS).await)
    };
    let mut calls = JoinSet::new();
    for students in students.chunks(STUDENTS / STREAMS) {
        let (load, students) = (Arc::clone(&load), students.to_vec());
        calls.spawn(async move {
            for student in &students {
                load.serve(student).await?;
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
            load.read(&students[0]).await
        });
    }
    for service in [Service::Keys, Service::Enrollment] {
        for number in 0..REPLICAS {
            let replica = stack.replica(service, number);
            replica.stop().await;
            replica.run().await;
        }
    }
    let meanwhile = load.done.load(Ordering::Relaxed);
    load.enough.store(true, Ordering::Relaxed);
    for ended in calls.join_all().await {
        ended.expect("no call fails");
    }
    assert!(meanwhile > 0, "calls went on");
    assert_eq!(load.done.load(Ordering::Relaxed), STUDENTS);
    stack.finish().await;
}

#[tokio::test]
async fn a_second_signal_ends_a_process_that_drains() {
    let mut stack = Stack::with(Options {
        enrollment: "[shutdown]\nnotice_ms = 3000",
        ..Options::default()
    })
    .await;
    let process = stack.replica(Service::Enrollment, 0);
    let pid = process.pid().expect("it runs");
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id"));
    let began = Instant::now();
    kill(pid, Signal::SIGTERM).expect("a signal");
    eventually("it has heard", async || {
        let log = std::fs::read_to_string(&process.log).unwrap_or_default();
        let heard = log.contains("a second signal ends the process at once");
        heard.then_some(()).ok_or_else(|| "not yet".to_owned())
    })
    .await;
    assert!(!process.is_down(), "it gives notice");
    kill(pid, Signal::SIGTERM).expect("a signal");
    while !process.is_down() {
        assert!(began.elapsed() < Duration::from_secs(30), "it goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    process.revive().await;
    stack.finish().await;
}
