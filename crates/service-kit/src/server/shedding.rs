//! Calls that are refused because too many are in progress.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, Response};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

use crate::status::ApiError;

/// How often they are told of in the log. A line for each would make an overload worse, and fill the disk of whoever is
/// flooded; `latchkey_calls_total` counts each.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// How many refusals are kept ready. Each asks for another pause, so that those who were refused together do not come
/// again together.
const READY: usize = 64;

/// A refusal as it is sent. Made once: in an overload nothing is to spare for saying the same thing again and again.
#[derive(Debug)]
pub(super) struct Ready {
    status: Status,
    headers: HeaderMap,
}

impl Ready {
    fn new() -> Self {
        let status = Status::from(ApiError::overloaded());
        let (head, _) = status.clone().into_http::<Body>().into_parts();
        Self {
            status,
            headers: head.headers,
        }
    }

    /// What it says.
    pub(super) fn status(&self) -> &Status {
        &self.status
    }

    /// The answer, without a request id.
    pub(super) fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::default());
        *response.headers_mut() = self.headers.clone();
        response
    }
}

#[derive(Debug, Default)]
struct Untold {
    calls: u64,
    told: Option<Instant>,
}

/// Refuses calls, counts them, and tells of them now and then.
#[derive(Debug)]
pub(super) struct Shedding {
    /// The limit that they are over.
    limit: &'static str,
    untold: Mutex<Untold>,
    ready: Vec<Ready>,
    turn: AtomicUsize,
}

impl Shedding {
    /// Refuses what is over the limit of this name.
    pub(super) fn over(limit: &'static str) -> Self {
        Self {
            limit,
            untold: Mutex::default(),
            ready: (0..READY).map(|_| Ready::new()).collect(),
            turn: AtomicUsize::new(0),
        }
    }

    /// Notes one more, and says how it is refused.
    pub(super) fn refuse(&self) -> &Ready {
        if let Some(calls) = self.due(Instant::now()) {
            tracing::warn!(
                calls,
                limit = self.limit,
                "calls were refused: as many as allowed are in progress"
            );
        }
        &self.ready[self.turn.fetch_add(1, Ordering::Relaxed) % READY]
    }

    /// One more; how many there are to tell of, if it is time.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        untold.calls += 1;
        let early = untold.told.is_some_and(|told| now < told + TELL_INTERVAL);
        if early {
            return None;
        }
        untold.told = Some(now);
        Some(std::mem::take(&mut untold.calls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{ErrorReason, reason_of, retry_after_of};

    #[test]
    fn the_first_is_told_at_once_and_a_flood_once_a_second() {
        let shedding = Shedding::over("limits.max_calls");
        let began = Instant::now();
        assert_eq!(shedding.due(began), Some(1));
        for _ in 0..10_000 {
            assert_eq!(shedding.due(began + TELL_INTERVAL / 2), None);
        }
        assert_eq!(shedding.due(began + TELL_INTERVAL), Some(10_001));
        assert_eq!(shedding.due(began + TELL_INTERVAL), None);
    }

    #[test]
    fn a_refusal_that_was_kept_ready_says_what_a_new_one_says_and_not_all_ask_for_one_pause() {
        let shedding = Shedding::over("limits.max_calls");
        let mut pauses = std::collections::HashSet::new();
        for _ in 0..READY {
            let ready = shedding.refuse();
            let headers = ready
                .status()
                .clone()
                .into_http::<Body>()
                .into_parts()
                .0
                .headers;
            let response = ready.response();
            assert_eq!(response.headers(), &headers);
            assert_eq!(reason_of(ready.status()), Some(ErrorReason::Overloaded));
            pauses.insert(retry_after_of(ready.status()).expect("a pause"));
        }
        assert!(pauses.len() > READY / 2, "{pauses:?}");
    }
}
