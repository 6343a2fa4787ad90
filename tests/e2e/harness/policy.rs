//! A client that goes by the service config that is shipped, as the gRPC libraries do that can read it.

use std::error::Error;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use latchkey_service_kit::ids::os_random;
use rand::RngExt;
use serde_json::Value;
use tokio::time::sleep;
use tonic::{Code, Status};

/// The file.
pub(crate) const SERVICE_CONFIG: &str = include_str!("../../../deploy/grpc-service-config.json");

/// The answer to a call that has left the client. One that has not, because its connection ended first, is made again at
/// once and does not count as an attempt, whatever the config says (gRPC's *transparent retries*, proposal A6): the gRPC
/// libraries do so by themselves, tonic does not.
async fn sent<T, F>(replica: usize, attempt: impl Fn(usize) -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    loop {
        match attempt(replica).await {
            Err(status) if has_not_left(&status) => (),
            answer => return answer,
        }
    }
}

/// hyper's word for a request that was still queued when its connection ended. A status that came from a server has no
/// source.
fn has_not_left(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.to_string() == "connection closed" {
            return true;
        }
        source = error.source();
    }
    false
}

/// What the config says of retries, for all methods alike.
#[derive(Debug)]
pub(crate) struct Policy {
    attempts: u64,
    first: Duration,
    longest: Duration,
    multiplier: f64,
    retryable: Vec<String>,
    turn: AtomicUsize,
}

fn seconds(value: &Value) -> Duration {
    let text = value.as_str().expect("a duration").trim_end_matches('s');
    Duration::from_secs_f64(text.parse().expect("seconds"))
}

impl Policy {
    pub(crate) fn shipped() -> Self {
        let config: Value = serde_json::from_str(SERVICE_CONFIG).expect("JSON");
        let policy = &config["methodConfig"][0]["retryPolicy"];
        let codes = policy["retryableStatusCodes"].as_array().expect("codes");
        Self {
            attempts: policy["maxAttempts"].as_u64().expect("a number"),
            first: seconds(&policy["initialBackoff"]),
            longest: seconds(&policy["maxBackoff"]),
            multiplier: policy["backoffMultiplier"].as_f64().expect("a number"),
            retryable: codes
                .iter()
                .map(|code| code.as_str().expect("a code").to_owned())
                .collect(),
            turn: AtomicUsize::new(0),
        }
    }

    /// The answer to a call: `attempt` makes it, at the process whose turn it is.
    pub(crate) async fn call<T, F>(
        &self,
        replicas: usize,
        attempt: impl Fn(usize) -> F,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut backoff = self.first;
        for made in 1.. {
            let replica = self.turn.fetch_add(1, Ordering::Relaxed) % replicas;
            match sent(replica, &attempt).await {
                Err(status) if made < self.attempts && self.retries(status.code()) => {
                    sleep(backoff.mul_f64(os_random().random_range(0.8..1.2))).await;
                    backoff = backoff.mul_f64(self.multiplier).min(self.longest);
                }
                answer => return answer,
            }
        }
        unreachable!("the last attempt returns")
    }

    fn retries(&self, code: Code) -> bool {
        let name = format!("{code:?}").to_uppercase();
        self.retryable.contains(&name)
    }
}
