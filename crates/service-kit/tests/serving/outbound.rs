//! Calls from one service to another.

use std::sync::Arc;
use std::time::Duration;

use latchkey_service_kit::client::ServiceChannel;
use latchkey_service_kit::config::ClientConfig;
use latchkey_service_kit::context::RequestId;
use latchkey_service_kit::status::{ErrorReason, reason_of};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;

use crate::world::{World, soon};

fn channel(world: &World, endpoint: String, call_timeout_ms: u64) -> ServiceChannel {
    let config = ClientConfig {
        endpoint,
        tls: None,
        connect_timeout_ms: 500,
        call_timeout_ms,
    };
    ServiceChannel::new("itself", &config, Arc::clone(&world.signer)).unwrap()
}

async fn call(
    channel: ServiceChannel,
    method: &str,
    timeout: Option<Duration>,
) -> Result<Response<HealthCheckResponse>, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let mut request = Request::new(HealthCheckRequest::default());
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    let path = format!("/test.v1.Test/{method}").parse().unwrap();
    client
        .unary(
            request,
            path,
            ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default(),
        )
        .await
}

#[tokio::test]
async fn a_call_carries_identity_deadline_and_request_id() {
    let mut world = World::plain().await;
    let channel = channel(&world, format!("http://{}", world.address), 3_000);
    let id = RequestId::accept("from-outside").unwrap();
    let begin = Instant::now();
    soon(id.clone().scope(call(channel.clone(), "Echo", None)))
        .await
        .unwrap();
    let context = soon(world.entered.recv()).await.unwrap();
    assert_eq!(context.caller.subject, "olga");
    assert_eq!(context.request_id, id);
    assert!(context.deadline <= Instant::now() + Duration::from_secs(3));
    assert!(context.deadline >= begin + Duration::from_millis(2_500));

    soon(call(channel.clone(), "Echo", Some(Duration::from_secs(1))))
        .await
        .unwrap();
    let context = soon(world.entered.recv()).await.unwrap();
    assert!(
        context.deadline <= Instant::now() + Duration::from_secs(1),
        "the shorter one holds"
    );
    assert_ne!(context.request_id, id, "outside of that call");

    soon(call(channel, "Echo", Some(Duration::from_hours(1))))
        .await
        .unwrap();
    let context = soon(world.entered.recv()).await.unwrap();
    assert!(
        context.deadline <= Instant::now() + Duration::from_secs(3),
        "never longer than configured"
    );
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_given_up() {
    let world = World::plain().await;
    // Accepts by the operating system's queue, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let channel = channel(
        &world,
        format!("http://{}", silent.local_addr().unwrap()),
        100,
    );
    let status = soon(call(channel, "Echo", None)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn a_handler_that_does_not_answer_is_given_up() {
    let mut world = World::plain().await;
    let channel = channel(&world, format!("http://{}", world.address), 2_000);
    let status = soon(call(channel, "Wait", None)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert_eq!(reason_of(&status), Some(ErrorReason::DeadlineExceeded));
    soon(world.entered.recv()).await.unwrap();
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable_each_time() {
    let world = World::plain().await;
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let lost = channel(&world, format!("http://{port}"), 2_000);
    for _ in 0..2 {
        let status = soon(call(lost.clone(), "Echo", None)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    }
}
