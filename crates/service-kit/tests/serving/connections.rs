//! Bounds on connections, and what can be asked without a token.

use std::time::Duration;

use latchkey_service_kit::config::LimitsConfig;
use latchkey_service_kit::server::{ServeError, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::world::{World, soon};

/// Whether the server has closed `stream`, once it has sent whatever it had to say.
async fn is_closed(mut stream: TcpStream) -> bool {
    soon(stream.read_to_end(&mut Vec::new())).await.is_ok()
}

#[tokio::test]
async fn a_connection_that_does_not_speak_http2_is_closed() {
    let world = World::with_limits(LimitsConfig {
        handshake_timeout_ms: 50,
        ..LimitsConfig::default()
    })
    .await;
    assert!(
        is_closed(TcpStream::connect(world.address).await.unwrap()).await,
        "silent"
    );
    let mut slow = TcpStream::connect(world.address).await.unwrap();
    slow.write_all(b"PRI * HTTP/2.0").await.unwrap();
    assert!(is_closed(slow).await, "half a preface");
    world.call("Echo").await.unwrap();
}

#[tokio::test]
async fn connections_past_the_limit_are_closed_and_make_room_again() {
    let world = World::with_limits(LimitsConfig {
        max_connections: 1,
        ..LimitsConfig::default()
    })
    .await;
    world.call("Echo").await.unwrap();
    assert!(is_closed(TcpStream::connect(world.address).await.unwrap()).await);
    world.call("Echo").await.unwrap();
}

#[tokio::test]
async fn calls_past_the_limit_of_a_connection_wait_for_those_before_them() {
    let mut world = World::with_limits(LimitsConfig {
        max_streams_per_connection: 2,
        ..LimitsConfig::default()
    })
    .await;
    // The first answer on a connection comes after its settings.
    world.call("Echo").await.unwrap();
    soon(world.entered.recv()).await.unwrap();
    let calls: Vec<_> = (0..3).map(|_| tokio::spawn(world.call("Wait"))).collect();
    for _ in 0..2 {
        soon(world.entered.recv()).await.unwrap();
    }
    let third = timeout(Duration::from_millis(500), world.entered.recv()).await;
    assert!(third.is_err(), "it waits");
    world.switchboard.release.add_permits(1);
    soon(world.entered.recv()).await.unwrap();
    world.switchboard.release.add_permits(2);
    for call in calls {
        soon(call).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn headers_past_the_limit_are_refused_before_anything_is_looked_at() {
    // Not the library's own 16 KiB: less, and more.
    for (limit, short, long) in [(4 * 1024, 1_000, 6_000), (48 * 1024, 30_000, 60_000)] {
        let mut world = World::with_limits(LimitsConfig {
            max_header_bytes: limit,
            ..LimitsConfig::default()
        })
        .await;
        let token = format!("Bearer {}", world.signer.token().unwrap());
        let (short, long) = ("x".repeat(short), "x".repeat(long));
        let mut call = async |text: &str| {
            let headers = [("authorization", token.as_str()), ("x-long", text)];
            let message = HealthCheckRequest::default();
            let call = world.call_with("/test.v1.Test/Echo", &headers, message);
            let answer = soon(call).await;
            let entered = world.entered.try_recv().is_ok();
            (answer.is_ok(), entered)
        };
        assert_eq!(call(&short).await, (true, true), "limit {limit}");
        assert_eq!(call(&long).await, (false, false), "limit {limit}");
        assert_eq!(call(&short).await, (true, true), "limit {limit}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let world = World::plain().await;
    let error = bind(world.address).await.unwrap_err();
    assert!(matches!(error, ServeError::Listen { address, .. } if address == world.address));
    assert!(
        error.to_string().contains("another process uses this port"),
        "{error}"
    );
}

#[tokio::test]
async fn health_answers_without_a_token_and_under_overload() {
    let mut world = World::with_limits(LimitsConfig {
        max_calls: 1,
        ..LimitsConfig::default()
    })
    .await;
    let waiting = tokio::spawn(world.call("Wait"));
    soon(world.entered.recv()).await.unwrap();
    let mut health = HealthClient::new(world.channel.clone());
    for service in ["", "test.v1.Test"] {
        health
            .check(HealthCheckRequest {
                service: service.into(),
            })
            .await
            .unwrap();
    }
    let unknown = health
        .check(HealthCheckRequest {
            service: "nobody".into(),
        })
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);
    world.switchboard.release.add_permits(1);
    soon(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn reflection_announces_the_services_of_this_server_only() {
    let world = World::plain().await;
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(world.channel.clone());
    let mut answers = client
        .server_reflection_info(tokio_stream::once(ask))
        .await
        .unwrap()
        .into_inner();
    let Some(ServerReflectionResponse {
        message_response: Some(MessageResponse::ListServicesResponse(list)),
        ..
    }) = soon(answers.message()).await.unwrap()
    else {
        panic!("no list of services");
    };
    let mut names: Vec<String> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    names.sort();
    assert_eq!(names, ["grpc.health.v1.Health", "test.v1.Test"]);
}
