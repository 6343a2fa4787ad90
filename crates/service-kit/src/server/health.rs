//! gRPC health (`grpc.health.v1`), tied to what the service depends on.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, stream};
use metrics::gauge;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthRpc, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::open::MAX_REQUEST_BYTES;

/// How often readiness is checked.
const INTERVAL: Duration = Duration::from_secs(2);

/// How soon after a failed check it is tried again: a service that waits for its database should not wait longer than
/// that once the database is there.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// Whether the service can work.
pub(super) type Check = Box<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// One state for the whole server and each of its services: they share what they depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    NotReady,
    Ready,
    /// Going away, for good.
    Ending,
}

impl State {
    fn answer(self) -> HealthCheckResponse {
        let status = if self == Self::Ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        HealthCheckResponse {
            status: status.into(),
        }
    }
}

/// The health of a server. Not serving until the first check succeeds.
#[derive(Debug, Clone)]
pub(super) struct Health {
    names: Arc<[&'static str]>,
    state: Arc<watch::Sender<State>>,
}

impl Health {
    pub(super) fn new(names: impl IntoIterator<Item = &'static str>) -> Self {
        // The empty name means the server as a whole.
        let names = names.into_iter().chain([""]).collect();
        show(State::NotReady);
        Self {
            names,
            state: Arc::new(watch::Sender::new(State::NotReady)),
        }
    }

    pub(super) fn server(&self) -> HealthServer<Self> {
        HealthServer::new(self.clone()).max_decoding_message_size(MAX_REQUEST_BYTES)
    }

    /// Says that the server is going away, and ends the watchers' streams: they would hold up the shutdown for ever.
    pub(super) fn end(&self) {
        self.state.send_replace(State::Ending);
        show(State::Ending);
    }

    /// Asks `check` again and again until `shutdown`.
    pub(super) async fn keep_checking(self, check: Check, shutdown: CancellationToken) {
        let checking = async {
            loop {
                let ready = check().await;
                self.set_ready(ready);
                tokio::time::sleep(if ready { INTERVAL } else { RETRY_INTERVAL }).await;
            }
        };
        shutdown.run_until_cancelled(checking).await;
    }

    fn set_ready(&self, ready: bool) {
        let next = if ready { State::Ready } else { State::NotReady };
        self.state.send_if_modified(|state| {
            if *state == next || *state == State::Ending {
                return false;
            }
            *state = next;
            show(next);
            if ready {
                tracing::info!("ready: what the service depends on answers");
            } else {
                tracing::warn!("not ready: what the service depends on does not answer");
            }
            true
        });
    }

    fn knows(&self, service: &str) -> bool {
        self.names.contains(&service)
    }
}

/// Shows the state to those who watch metrics.
fn show(state: State) {
    let ready = if state == State::Ready { 1.0 } else { 0.0 };
    gauge!("latchkey_ready").set(ready);
}

#[tonic::async_trait]
impl HealthRpc for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            // The protocol of health checks wants this code, and no more.
            return Err(Status::not_found("this server has no such service"));
        }
        Ok(Response::new(self.state.borrow().answer()))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let known = self.knows(&request.get_ref().service);
        let changes = stream::unfold(
            Some((self.state.subscribe(), true)),
            move |next| async move {
                let (mut state, first) = next?;
                if !first {
                    state.changed().await.ok()?;
                }
                let now = *state.borrow_and_update();
                let answer = if known {
                    now.answer()
                } else {
                    HealthCheckResponse {
                        status: ServingStatus::ServiceUnknown.into(),
                    }
                };
                Some((Ok(answer), (now != State::Ending).then_some((state, false))))
            },
        );
        Ok(Response::new(Box::pin(changes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;

    fn asking(service: &str) -> Request<HealthCheckRequest> {
        Request::new(HealthCheckRequest {
            service: service.into(),
        })
    }

    async fn status(health: &Health, service: &str) -> Result<ServingStatus, tonic::Code> {
        health
            .check(asking(service))
            .await
            .map(|answer| answer.get_ref().status())
            .map_err(|status| status.code())
    }

    #[tokio::test]
    async fn health_follows_readiness_until_the_end() {
        let health = Health::new(["a.v1.A"]);
        assert_eq!(status(&health, "").await, Ok(ServingStatus::NotServing));
        health.set_ready(true);
        assert_eq!(status(&health, "").await, Ok(ServingStatus::Serving));
        assert_eq!(status(&health, "a.v1.A").await, Ok(ServingStatus::Serving));
        assert_eq!(status(&health, "b.v1.B").await, Err(tonic::Code::NotFound));
        health.set_ready(false);
        assert_eq!(
            status(&health, "a.v1.A").await,
            Ok(ServingStatus::NotServing)
        );
        health.end();
        health.set_ready(true);
        assert_eq!(status(&health, "").await, Ok(ServingStatus::NotServing));
    }

    #[tokio::test]
    async fn watchers_hear_each_change_and_their_streams_end() {
        let health = Health::new(["a.v1.A"]);
        let mut stream = health.watch(asking("a.v1.A")).await.unwrap().into_inner();
        assert_eq!(
            stream.next().await.unwrap().unwrap().status(),
            ServingStatus::NotServing
        );
        health.set_ready(true);
        assert_eq!(
            stream.next().await.unwrap().unwrap().status(),
            ServingStatus::Serving
        );
        health.end();
        assert_eq!(
            stream.next().await.unwrap().unwrap().status(),
            ServingStatus::NotServing
        );
        assert!(stream.next().await.is_none());

        let mut unknown = Health::new([])
            .watch(asking("b"))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            unknown.next().await.unwrap().unwrap().status(),
            ServingStatus::ServiceUnknown
        );
    }

    #[tokio::test]
    async fn readiness_is_checked_until_shutdown() {
        let health = Health::new([]);
        let shutdown = CancellationToken::new();
        let mut changes = health.state.subscribe();
        let task = tokio::spawn(
            health
                .clone()
                .keep_checking(Box::new(|| Box::pin(async { true })), shutdown.clone()),
        );
        changes.changed().await.unwrap();
        assert_eq!(*changes.borrow(), State::Ready);
        shutdown.cancel();
        task.await.unwrap();
    }
}
