//! Many requests over few connections, each of which gets an answer that is no fault of the service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use h2::client::SendRequest;
use http::HeaderMap;
use prost::bytes::Bytes;
use tokio::time::{Instant, timeout};
use tonic::Code;

use super::material::{Attempt, Target};

/// Connections to a process, and calls in progress on each.
const CONNECTIONS: usize = 4;
const STREAMS: usize = 6;

/// How long any call may take: the deadline that a call without one gets, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many findings are told.
const TOLD: usize = 25;

/// What became of a request.
enum Outcome {
    /// It was answered with a status, and with its details or without.
    Status(Code, bool),
    /// It was answered as HTTP, not as gRPC.
    Http(http::StatusCode),
    /// Its stream was reset.
    Reset(h2::Reason),
    /// Its connection ended.
    Closed,
    /// Its connection had ended before it was sent.
    Unsent,
    /// Its caller did not wait.
    Left,
    /// Nothing came, for too long.
    Silence,
}

/// What became of many requests.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: BTreeMap<String, u64>,
    findings: Vec<String>,
}

impl Tally {
    fn count(&mut self, attempt: &Attempt, number: u64, outcome: &Outcome) {
        let (name, fault) = judge(attempt, outcome);
        *self.counts.entry(name.clone()).or_default() += 1;
        if fault && self.findings.len() < TOLD {
            let (path, kind) = (attempt.head.uri().path(), attempt.kind);
            let what = format!("request {number} ({kind}) to {path}: {name}");
            self.findings.push(what);
        }
    }

    fn merge(&mut self, other: Self) {
        for (name, count) in other.counts {
            *self.counts.entry(name).or_default() += count;
        }
        self.findings.extend(other.findings);
    }
}

/// What an outcome is called, and whether it is a fault of the service.
fn judge(attempt: &Attempt, outcome: &Outcome) -> (String, bool) {
    match outcome {
        Outcome::Status(code, explained) => {
            let fault = match code {
                Code::Ok => false,
                Code::Internal | Code::Unknown | Code::Unavailable | Code::DataLoss => true,
                Code::DeadlineExceeded | Code::Cancelled => !attempt.hurried,
                // Health and reflection answer in their own protocols' words.
                _ => !explained && attempt.head.uri().path().starts_with("/latchkey."),
            };
            (
                format!(
                    "{code:?}{}",
                    if *explained || *code == Code::Ok {
                        ""
                    } else {
                        " without a reason"
                    }
                ),
                fault,
            )
        }
        Outcome::Http(status) => (format!("HTTP {status}"), !status.is_client_error()),
        Outcome::Reset(reason) => {
            let fault = matches!(*reason, h2::Reason::INTERNAL_ERROR);
            (format!("reset {reason:?}"), fault)
        }
        Outcome::Closed => ("closed".to_owned(), false),
        Outcome::Unsent => ("unsent".to_owned(), false),
        Outcome::Left => ("left".to_owned(), false),
        Outcome::Silence => ("silence".to_owned(), true),
    }
}

async fn send(client: SendRequest<Bytes>, attempt: &Attempt) -> Outcome {
    let Ok(mut client) = client.ready().await else {
        return Outcome::Unsent;
    };
    let empty = attempt.body.is_empty();
    let sent = client.send_request(attempt.head.clone(), empty);
    let (answer, mut stream) = match sent {
        Ok(sent) => sent,
        Err(error) => return failed(&error),
    };
    if !empty && let Err(error) = stream.send_data(attempt.body.clone().into(), true) {
        return failed(&error);
    }
    if attempt.leaves {
        stream.send_reset(h2::Reason::CANCEL);
        return Outcome::Left;
    }
    match timeout(PATIENCE, read(answer)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => failed(&error),
        Err(_) => Outcome::Silence,
    }
}

async fn read(answer: h2::client::ResponseFuture) -> Result<Outcome, h2::Error> {
    let (head, mut body) = answer.await?.into_parts();
    if head.status != http::StatusCode::OK {
        return Ok(Outcome::Http(head.status));
    }
    if let Some(status) = status_of(&head.headers) {
        return Ok(status);
    }
    while let Some(data) = body.data().await {
        let length = data?.len();
        body.flow_control().release_capacity(length)?;
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    // An answer without a status is as good as none.
    Ok(status_of(&trailers).unwrap_or(Outcome::Status(Code::Unknown, false)))
}

fn status_of(headers: &HeaderMap) -> Option<Outcome> {
    let status = headers.get("grpc-status")?;
    let explained = headers.contains_key("grpc-status-details-bin");
    Some(Outcome::Status(
        Code::from_bytes(status.as_bytes()),
        explained,
    ))
}

fn failed(error: &h2::Error) -> Outcome {
    match error.reason() {
        Some(reason) if error.is_reset() => Outcome::Reset(reason),
        _ => Outcome::Closed,
    }
}

/// Takes numbers and sends their requests, over one connection after the other.
async fn connection(target: &Target, seed: u64, next: &AtomicU64, total: u64) -> Tally {
    let mut tally = Tally::default();
    let mut again: Vec<u64> = Vec::new();
    loop {
        let io = target.entrance.open().await.expect("a connection");
        let (client, connection) = h2::client::handshake(io).await.expect("HTTP/2");
        let driver = tokio::spawn(connection);
        let mut calls = FuturesUnordered::new();
        let mut open = true;
        loop {
            while open && calls.len() < STREAMS {
                let taken = again.pop().or_else(|| {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    (number < total).then_some(number)
                });
                let Some(number) = taken else { break };
                let client = client.clone();
                calls.push(async move {
                    let attempt = target.attempt(seed, number);
                    let outcome = send(client, &attempt).await;
                    (number, attempt, outcome)
                });
            }
            match calls.next().await {
                None => break,
                Some((number, _, Outcome::Unsent)) => {
                    again.push(number);
                    open = false;
                }
                Some((number, attempt, outcome)) => {
                    open &= !matches!(outcome, Outcome::Closed);
                    tally.count(&attempt, number, &outcome);
                }
            }
        }
        drop(calls);
        driver.abort();
        if again.is_empty() && next.load(Ordering::Relaxed) >= total {
            return tally;
        }
    }
}

/// Sends `total` requests; fails if one of them got no answer, or one that no client should get.
pub(super) async fn flood(target: Target, seed: u64, total: u64) {
    let began = Instant::now();
    let (target, next) = (Arc::new(target), Arc::new(AtomicU64::new(0)));
    let mut connections = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (target, next) = (Arc::clone(&target), Arc::clone(&next));
        connections.spawn(async move { connection(&target, seed, &next, total).await });
    }
    let mut tally = Tally::default();
    for one in connections.join_all().await {
        tally.merge(one);
    }
    let name = target.service.name();
    println!(
        "{total} requests to {name} with LATCHKEY_HOSTILE_SEED={seed} in {:.0?}: {:?}",
        began.elapsed(),
        tally.counts
    );
    let findings = tally.findings.join("\n");
    assert!(
        findings.is_empty(),
        "LATCHKEY_HOSTILE_SEED={seed}, {name}:\n{findings}"
    );
    let judged: u64 = tally.counts.values().sum();
    assert_eq!(judged, total, "requests were lost");
}
