//! What is done over connections, and what the service does about them.

use std::time::Duration;

use http::{Method, Request};
use latchkey::stack::Service;
use latchkey_service_kit::identity::Role;
use prost::bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tonic::Code;

use super::attacks::{self, Attack, Demand};
use super::bodies::mutate;
use super::dice::{self, Dice};
use super::frames::framed;
use crate::harness::{Entrance, Options, Stack, eventually};

/// Connections that do nothing are ended soon, so that the test need not wait for it.
const IMPATIENT: &str = "
[limits]
handshake_timeout_ms = 4000
keepalive_interval_ms = 1000
keepalive_timeout_ms = 5000
default_deadline_ms = 5000";

/// How long a connection that must end may take to: the times above, and what a busy machine adds.
const ENDED_WITHIN: Duration = Duration::from_mins(1);

/// How long a write may wait for a server that does not read on, before the attacker has had enough.
const BLOCKED_FOR: Duration = Duration::from_secs(3);

/// How many of each attack there are at once, and how many damaged connections.
const COPIES: usize = 3;
const DAMAGED: u64 = 400;

pub(super) fn impatient() -> Options {
    Options {
        keys: IMPATIENT,
        enrollment: IMPATIENT,
        ..Options::default()
    }
}

/// How many times the usual is done, by the requests that the environment asks for.
fn times() -> u64 {
    (super::requests() / super::USUAL).clamp(1, 100)
}

/// Does everything to both services at once.
pub(super) async fn attack(stack: &Stack) {
    let mut tasks = JoinSet::new();
    for replica in stack.site().replicas() {
        let (entrance, service) = (replica.entrance(), replica.service);
        for attack in attacks::all() {
            for _ in 0..COPIES {
                let copy = Attack {
                    opening: attack.opening.clone(),
                    ..attack
                };
                let entrance = entrance.clone();
                tasks.spawn(async move {
                    let ended = endure(&entrance, &copy).await;
                    let fine = ended || copy.demand == Demand::Bear;
                    (!fine).then(|| format!("{}: {} did not end", service.name(), copy.name))
                });
            }
        }
        for number in 0..DAMAGED * times() {
            if number % 200 == 0 {
                // Not more at once than there are places for connections.
                sleep(Duration::from_millis(200)).await;
            }
            let entrance = entrance.clone();
            tasks.spawn(async move {
                let ended = damaged(&entrance, number).await;
                let seed = dice::seed();
                (!ended).then(|| {
                    format!(
                        "{}: connection {number} of seed {seed} did not end",
                        service.name()
                    )
                })
            });
        }
        let token = stack.token(Role::Administrator, "ada-admin", None);
        tasks.spawn(async move { drip(&entrance, service, &token).await.err() });
    }
    let findings: Vec<String> = tasks.join_all().await.into_iter().flatten().collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// Whether the server ended the connection.
async fn endure(entrance: &Entrance, attack: &Attack) -> bool {
    let Ok(mut io) = entrance.open().await else {
        return true;
    };
    let mut writes = attack.opening.clone();
    for number in 0..attack.pieces {
        writes.extend((attack.piece)(number));
        if writes.len() > 16 * 1024 {
            match timeout(BLOCKED_FOR, io.write_all(&writes)).await {
                Ok(Ok(())) => writes.clear(),
                Ok(Err(_)) => return true,
                // It reads no more: it may still end the connection.
                Err(_) => break,
            }
        }
    }
    if !matches!(
        timeout(BLOCKED_FOR, io.write_all(&writes)).await,
        Ok(Ok(())) | Err(_)
    ) {
        return true;
    }
    let patience = match attack.demand {
        Demand::End => ENDED_WITHIN,
        Demand::Bear => Duration::from_secs(2),
    };
    ended(&mut io, patience).await
}

/// Reads until the server ends the connection; whether it does within `patience`.
async fn ended(io: &mut (impl tokio::io::AsyncRead + Unpin), patience: Duration) -> bool {
    let mut buffer = vec![0; 16 * 1024];
    let until = Instant::now() + patience;
    loop {
        let read = tokio::time::timeout_at(until, io.read(&mut buffer)).await;
        match read {
            Err(_) => return false,
            Ok(Ok(0) | Err(_)) => return true,
            Ok(Ok(_)) => {}
        }
    }
}

/// Sends a good connection with some bytes changed, and hangs up; whether the server does too.
async fn damaged(entrance: &Entrance, number: u64) -> bool {
    let Ok(mut io) = entrance.open().await else {
        return true;
    };
    let mut dice = Dice::of(dice::seed(), number);
    let good = attacks::good_connection();
    let mut bytes = good.clone();
    mutate(&mut dice, &mut bytes, &[good]);
    let sent = async {
        io.write_all(&bytes).await?;
        io.shutdown().await
    };
    match timeout(BLOCKED_FOR, sent).await {
        Ok(Ok(())) => ended(&mut io, ENDED_WITHIN).await,
        _ => true,
    }
}

/// Sends a message a byte at a time, for longer than any call may last: the call must end without it.
async fn drip(entrance: &Entrance, service: Service, token: &str) -> Result<(), String> {
    // Among all the others the connection may be ended before its call is.
    let answered = async || dripped(entrance, service, token).await;
    let status = eventually("refused a call whose message never ends", answered).await;
    match status {
        Some(Code::DeadlineExceeded) => Ok(()),
        other => Err(format!("a call whose message never ends: {other:?}")),
    }
}

/// How a call whose message never ends does; or why there was no such call.
async fn dripped(
    entrance: &Entrance,
    service: Service,
    token: &str,
) -> Result<Option<Code>, String> {
    let path = match service {
        Service::Keys => "/latchkey.keys.v1.TrainingKeyService/ListTrainingKeys",
        Service::Enrollment => "/latchkey.enrollment.v1.ClassService/ListClasses",
    };
    let head = Request::builder()
        .method(Method::POST)
        .uri(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {token}"))
        .body(())
        .expect("a head");
    let io = entrance.open().await.map_err(|error| error.to_string())?;
    let why = |error: h2::Error| error.to_string();
    let (client, connection) = h2::client::handshake(io).await.map_err(why)?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let mut client = client.ready().await.map_err(why)?;
    let (answer, mut body) = client.send_request(head, false).map_err(why)?;
    let dripping = async {
        for byte in framed(0, &[0x0a; 200]) {
            if body.send_data(Bytes::from(vec![byte]), false).is_err() {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        std::future::pending::<()>().await;
    };
    let answer = tokio::select! {
        answer = timeout(ENDED_WITHIN, answer) => answer,
        () = dripping => unreachable!(),
    };
    let head = answer
        .expect("a call whose message never ends does end")
        .map_err(why)?;
    let status = head.headers().get("grpc-status");
    Ok(status.map(|status| Code::from_bytes(status.as_bytes())))
}
