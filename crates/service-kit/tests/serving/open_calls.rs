//! What can be asked without a token, and how much of it.

use std::time::Duration;

use h2::client::SendRequest;
use http::{HeaderMap, Method};
use latchkey_service_kit::config::LimitsConfig;
use prost::Message;
use prost::bytes::Bytes;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::codec::Streaming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::world::{World, soon};

const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// A file of the contract whose description is large.
const LARGE_FILE: &str = "buf/validate/validate.proto";

async fn connection(world: &World) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", world.address)).unwrap();
    endpoint.connect().await.unwrap()
}

async fn watch(channel: &Channel) -> Result<Streaming<HealthCheckResponse>, Status> {
    let mut client = HealthClient::new(channel.clone());
    let stream = client.watch(HealthCheckRequest::default()).await?;
    let mut stream = stream.into_inner();
    soon(stream.message()).await?;
    Ok(stream)
}

async fn check(channel: &Channel) -> Result<(), Status> {
    let mut client = HealthClient::new(channel.clone());
    client.check(HealthCheckRequest::default()).await.map(drop)
}

/// Asks for a large file by reflection, and reads the answer; the stream stays open.
async fn reflect(channel: &Channel) -> Result<Streaming<impl Message + Default>, Status> {
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileByFilename(LARGE_FILE.to_owned())),
    };
    let asking = tokio_stream::StreamExt::chain(tokio_stream::once(ask), tokio_stream::pending());
    let mut client = ServerReflectionClient::new(channel.clone());
    let mut answers = client.server_reflection_info(asking).await?.into_inner();
    let answer = soon(answers.message()).await?.expect("an answer");
    assert!(answer.encoded_len() > 20_000, "{LARGE_FILE} is large");
    Ok(answers)
}

fn code<T>(result: Result<T, Status>) -> Code {
    result.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// Repeats `call` until it does well.
async fn until_ok<T>(call: impl AsyncFn() -> Result<T, Status>) {
    soon(async {
        while call().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn watches_shut_out_neither_checks_nor_other_connections() {
    let world = World::with_limits(LimitsConfig {
        max_open_calls_per_connection: 2,
        ..LimitsConfig::default()
    })
    .await;
    let (one, other) = (connection(&world).await, connection(&world).await);
    let first = watch(&one).await.unwrap();
    let _second = watch(&one).await.unwrap();
    assert_eq!(code(watch(&one).await), Code::ResourceExhausted);
    check(&one).await.unwrap();
    let _others = watch(&other).await.unwrap();
    drop(first);
    until_ok(async || watch(&one).await).await;
}

#[tokio::test]
async fn reflection_has_so_many_places_and_none_is_kept_past_its_deadline() {
    let world = World::with_limits(LimitsConfig {
        max_reflections: 1,
        default_deadline_ms: 1_500,
        ..LimitsConfig::default()
    })
    .await;
    let (one, other) = (connection(&world).await, connection(&world).await);
    let mut held = reflect(&one).await.unwrap();
    assert_eq!(code(reflect(&other).await), Code::ResourceExhausted);
    check(&other).await.unwrap();
    world.call("Echo").await.unwrap();
    let end = soon(held.message()).await;
    assert_eq!(code(end), Code::DeadlineExceeded);
    until_ok(async || reflect(&other).await).await;
}

/// A connection that gives answers no room.
async fn without_window(world: &World) -> (SendRequest<Bytes>, AbortOnDropHandle<()>) {
    let io = TcpStream::connect(world.address).await.unwrap();
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(0)
        .handshake(io)
        .await
        .unwrap();
    let driver = tokio::spawn(async move { drop(connection.await) });
    (
        client.ready().await.unwrap(),
        AbortOnDropHandle::new(driver),
    )
}

fn head(path: &str) -> http::Request<()> {
    http::Request::builder()
        .method(Method::POST)
        .uri(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

#[tokio::test]
async fn answers_that_nobody_reads_are_given_up() {
    let world = World::with_limits(LimitsConfig {
        max_reflections: 1,
        default_deadline_ms: 500,
        ..LimitsConfig::default()
    })
    .await;
    let (mut client, _driver) = without_window(&world).await;
    let (answer, mut body) = client.send_request(head(REFLECT), false).unwrap();
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileByFilename(LARGE_FILE.to_owned())),
    };
    let mut framed = vec![0; 5];
    framed[4] = u8::try_from(ask.encoded_len()).unwrap();
    framed.extend(ask.encode_to_vec());
    body.send_data(framed.into(), false).unwrap();
    // It began, and holds the one place; its answer is not read, and the stream stays open.
    let answer = soon(answer).await.unwrap();
    assert!(answer.status().is_success());
    let other = connection(&world).await;
    assert_eq!(code(reflect(&other).await), Code::ResourceExhausted);
    until_ok(async || reflect(&other).await).await;
}

#[tokio::test]
async fn streams_that_stay_open_count_although_their_answers_were_given_up() {
    let world = World::with_limits(LimitsConfig {
        max_open_calls_per_connection: 3,
        default_deadline_ms: 100,
        ..LimitsConfig::default()
    })
    .await;
    let (mut client, _driver) = without_window(&world).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let head = head("/grpc.health.v1.Health/Check");
        let (answer, mut body) = client.send_request(head, false).unwrap();
        body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
        let answer = soon(answer).await.unwrap();
        assert!(!answer.headers().contains_key("grpc-status"));
        open.push(answer);
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    let head = head("/grpc.health.v1.Health/Check");
    let (answer, _) = client.send_request(head, true).unwrap();
    let status = |headers: &HeaderMap| headers.get("grpc-status").cloned();
    let refused = soon(answer).await.unwrap();
    assert_eq!(status(refused.headers()).unwrap(), "8");
    check(&connection(&world).await).await.unwrap();
}

#[tokio::test]
async fn a_message_that_never_ends_or_is_too_large_is_refused() {
    let world = World::with_limits(LimitsConfig {
        default_deadline_ms: 200,
        ..LimitsConfig::default()
    })
    .await;
    let io = TcpStream::connect(world.address).await.unwrap();
    let (client, connection) = h2::client::handshake(io).await.unwrap();
    let _driver = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
    let mut client: SendRequest<Bytes> = client.ready().await.unwrap();
    for method in ["Check", "Watch"] {
        let head = head(&format!("/grpc.health.v1.Health/{method}"));
        let (answer, _body) = client.send_request(head, false).unwrap();
        let answer = soon(answer).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "4", "{method}");
    }
    let mut health = HealthClient::new(self::connection(&world).await);
    let large = HealthCheckRequest {
        service: "x".repeat(2_000),
    };
    let refused = health.check(large).await;
    assert_eq!(code(refused), Code::InvalidArgument);
}
