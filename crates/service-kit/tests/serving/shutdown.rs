//! The end of a server.

use std::time::Duration;

use latchkey_service_kit::config::{LimitsConfig, ShutdownConfig};
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::world::{World, soon};

#[tokio::test]
async fn calls_in_progress_end_watchers_are_told_and_nobody_else_is_let_in() {
    let mut world = World::plain().await;
    let mut health = HealthClient::new(world.channel.clone());
    let mut watch = health
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    soon(async {
        while watch.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
    })
    .await;
    let call = tokio::spawn(world.call("Wait"));
    soon(world.entered.recv()).await.unwrap();

    world.shutdown.cancel();
    assert_eq!(
        soon(watch.message()).await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    assert!(
        soon(watch.message()).await.unwrap().is_none(),
        "the watcher's stream ends"
    );
    soon(async { while TcpStream::connect(world.address).await.is_ok() {} }).await;
    assert!(!world.server.is_finished(), "a call is in progress");

    world.switchboard.release.add_permits(1);
    soon(call).await.unwrap().unwrap();
    soon(world.server).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_handler_whose_caller_left_is_waited_for() {
    let mut world = World::plain().await;
    let call = tokio::spawn(world.call("Wait"));
    soon(world.entered.recv()).await.unwrap();
    call.abort();
    world.shutdown.cancel();
    drop(std::mem::replace(
        &mut world.channel,
        tonic::transport::Endpoint::from_static("http://[::1]:1").connect_lazy(),
    ));
    tokio::task::yield_now().await;
    assert!(!world.server.is_finished());
    world.switchboard.release.add_permits(1);
    soon(world.server).await.unwrap().unwrap();
    assert!(world.finished.recv().await.is_some());
}

#[tokio::test]
async fn draining_is_bounded_and_what_is_left_is_closed() {
    let ending = ShutdownConfig {
        notice_ms: 0,
        drain_ms: 100,
    };
    let mut world = World::start(LimitsConfig::default(), ending).await;
    let call = tokio::spawn(world.call("Wait"));
    soon(world.entered.recv()).await.unwrap();
    world.shutdown.cancel();
    soon(world.server).await.unwrap().unwrap();
    soon(call).await.unwrap().unwrap_err();
}

#[tokio::test]
async fn notice_is_given_before_the_door_closes() {
    let ending = ShutdownConfig {
        notice_ms: 60_000,
        drain_ms: 100,
    };
    let world = World::start(LimitsConfig::default(), ending).await;
    let mut health = HealthClient::new(world.channel.clone());
    health.check(HealthCheckRequest::default()).await.unwrap();
    world.shutdown.cancel();
    soon(async {
        loop {
            let answer = health.check(HealthCheckRequest::default()).await.unwrap();
            if answer.get_ref().status() == ServingStatus::NotServing {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    world.call("Echo").await.unwrap();
    TcpStream::connect(world.address).await.unwrap();
    world.server.abort();
}
