//! The gate that every call passes. The order of its steps, and the reasons, stand at [`super::GrpcServer::serve`].

use std::any::Any;
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::body::Body;
use tower::{Service, ServiceExt};
use tracing::{Instrument, Span};

use super::admission;
use super::call_log::CallLog;
use super::call_metrics::CallMetrics;
use super::deadline::Deadlines;
use super::foreign;
use super::open::{Kind, OpenPlace, OpenPlaces};
use super::outlet::Stay;
use super::shedding::Shedding;
use crate::access::AccessTable;
use crate::body::{DeadlineBody, End};
use crate::config::LimitsConfig;
use crate::context::{REQUEST_ID_HEADER, RequestId};
use crate::database::answered;
use crate::faults::planted;
use crate::identity::TokenVerifier;
use crate::ids::Ids;
use crate::refusals::Refusals;
use crate::status::ApiError;
use crate::telemetry::traces;

/// How much longer than its deadline a handler may go on. What it waits for by then does not answer any more: every
/// statement and every call has bounds of its own that are shorter.
pub(super) const OVERTIME: Duration = Duration::from_secs(10);

/// What all calls of a server share.
pub(super) struct Shared {
    metrics: CallMetrics,
    access: AccessTable,
    verifier: Arc<TokenVerifier>,
    ids: Arc<dyn Ids>,
    refusals: Option<Refusals>,
    /// One permit a call in progress, for the whole process: limits per connection bound nothing.
    permits: Arc<Semaphore>,
    /// How many permits there are.
    places: usize,
    shedding: Shedding,
    /// The places of calls without a token, and how those are refused that find none.
    open: OpenPlaces,
    open_shedding: Shedding,
    deadlines: Deadlines,
    tasks: TaskTracker,
}

impl Shared {
    pub(super) fn new(
        access: AccessTable,
        verifier: Arc<TokenVerifier>,
        ids: Arc<dyn Ids>,
        refusals: Option<Refusals>,
        limits: &LimitsConfig,
    ) -> Self {
        let places = limits.max_calls.min(Semaphore::MAX_PERMITS);
        Self {
            metrics: CallMetrics::new(&access),
            access,
            verifier,
            ids,
            refusals,
            permits: Arc::new(Semaphore::new(places)),
            places,
            shedding: Shedding::over("limits.max_calls"),
            open: OpenPlaces::new(limits),
            open_shedding: Shedding::over(
                "limits.max_open_calls_per_connection, limits.max_reflections",
            ),
            deadlines: Deadlines::new(limits),
            tasks: TaskTracker::new(),
        }
    }

    /// The same, for a server with methods whose answers are streams: each with how long it may go on.
    pub(super) fn with_streams(mut self, streams: HashMap<&'static str, Duration>) -> Self {
        self.deadlines = self.deadlines.with_streams(streams);
        self
    }
}

/// The gate in front of `inner`.
pub(super) struct Gate<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S: Clone> Clone for Gate<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            inner: self.inner.clone(),
        }
    }
}

impl<S> Gate<S> {
    pub(super) fn new(inner: S, shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            inner,
        }
    }

    /// The handlers at work.
    pub(super) fn tasks(&self) -> TaskTracker {
        self.shared.tasks.clone()
    }

    /// How many calls have a handler at work or hold a permit.
    pub(super) fn in_progress(&self) -> usize {
        let permits_taken = self.shared.places - self.shared.permits.available_permits();
        permits_taken.max(self.shared.tasks.len())
    }
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let arrival = Instant::now();
        let shared = &self.shared;
        // Here and not in the future: that of a call which is served takes kilobytes, and a refusal needs none of it.
        let (place, shedding) = if let Some(kind) = Kind::of(request.uri().path()) {
            let place = shared.open.enter(kind, &request);
            (place.map(Place::Open), &shared.open_shedding)
        } else {
            let permit = Arc::clone(&shared.permits).try_acquire_owned();
            (permit.ok().map(Place::Taken), &shared.shedding)
        };
        let Some(place) = place else {
            return Box::pin(ready(Ok(self.shed(&request, arrival, shedding))));
        };
        let this = self.clone();
        Box::pin(async move { Ok(this.serve(request, arrival, place).await) })
    }
}

impl<S> Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    /// Step 3 for a call that is refused: it has a request id and is counted like any other.
    fn shed(
        &self,
        request: &Request<Body>,
        arrival: Instant,
        shedding: &Shedding,
    ) -> Response<Body> {
        let refusal = shedding.refuse();
        let (id, mut log) = self.begin(request, arrival, true);
        log.end(refusal.status().code(), Some(refusal.status()));
        with_request_id(refusal.response(), &id)
    }

    /// Steps 1 and 2: request id and log. The line of a quiet call is for debugging.
    fn begin(
        &self,
        request: &Request<Body>,
        arrival: Instant,
        quiet: bool,
    ) -> (RequestId, CallLog) {
        let id = self.request_id(request);
        let counted = self.shared.metrics.begin(request.uri().path());
        let log = CallLog::begin(request, id.clone(), arrival, quiet, counted);
        (id, log)
    }

    async fn serve(self, request: Request<Body>, arrival: Instant, place: Place) -> Response<Body> {
        let open = matches!(place, Place::Open(_));
        let (id, mut log) = self.begin(&request, arrival, open);
        let answer = async {
            let permit = match place {
                Place::Taken(permit) => permit,
                Place::Open(place) => return self.answer_anybody(request, arrival, place).await,
            };
            let answered = self.answer(request, &id, arrival, permit, &mut log).await;
            foreign::adopt(answered.unwrap_or_else(|error| Status::from(error).into_http()))
        };
        let response = id.clone().scope(answer).await;
        log.end_with(with_request_id(response, &id))
    }

    /// What a call without a token passes instead of the rest: its message, and its answer but for a watch, end with its
    /// deadline.
    async fn answer_anybody(
        self,
        request: Request<Body>,
        arrival: Instant,
        place: OpenPlace,
    ) -> Response<Body> {
        let deadline = match self.shared.deadlines.of(&request, arrival) {
            Ok(deadline) => deadline,
            Err(error) => return Status::from(error).into_http(),
        };
        let request = request.map(|body| DeadlineBody::wrap(body, deadline));
        let response = foreign::adopt_unreadable(call(self.inner, request).await);
        place.hold(response, deadline)
    }

    /// Steps 4 and 5: identity and access, deadline.
    async fn answer(
        self,
        mut request: Request<Body>,
        id: &RequestId,
        arrival: Instant,
        permit: OwnedSemaphorePermit,
        log: &mut CallLog,
    ) -> Result<Response<Body>, ApiError> {
        let admitted = admission::admit(
            &request,
            &self.shared.access,
            &self.shared.verifier,
            |caller| {
                log.caller_is(caller, self.shared.refusals.as_ref());
            },
        )?;
        log.reaches(admitted.scope());
        let deadline = self.shared.deadlines.of(&request, arrival)?;
        let context = admitted.into_context(&request, id.clone(), deadline);
        request.extensions_mut().insert(context);
        let permit = Arc::new(permit);
        request.extensions_mut().insert(Stay {
            permit: Arc::clone(&permit),
            tasks: self.shared.tasks.clone(),
        });
        let span = traces::incoming(&request, id);
        log.spans(&span);
        let request = request.map(|body| DeadlineBody::wrap(body, deadline));
        match timeout_at(
            deadline,
            self.detached(request, id.clone(), permit, deadline, span),
        )
        .await
        {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(task_failure(error)),
            Err(_) => Err(ApiError::deadline_exceeded()),
        }
    }

    /// Step 6: the handler, in a task of its own. The permit is given back when it ends, and what it has begun to stream;
    /// not when its caller leaves.
    async fn detached(
        self,
        request: Request<Body>,
        id: RequestId,
        permit: Arc<OwnedSemaphorePermit>,
        deadline: Instant,
        span: Span,
    ) -> Result<Response<Body>, JoinError> {
        let inner = self.inner;
        let bound = deadline.saturating_duration_since(Instant::now()) + OVERTIME;
        let work = async move {
            let response = answered(bound, call(inner, request)).await;
            drop(permit);
            response
                .unwrap_or_else(|silence| Status::from(ApiError::unavailable(silence)).into_http())
        };
        let work = id.scope(work).instrument(span);
        if planted("bug::handlers_not_detached") {
            return Ok(Box::pin(work).await);
        }
        self.shared.tasks.spawn(work).await
    }

    fn request_id(&self, request: &Request<Body>) -> RequestId {
        let given = request
            .headers()
            .get(REQUEST_ID_HEADER)
            .and_then(|value| value.to_str().ok());
        given
            .and_then(RequestId::accept)
            .unwrap_or_else(|| RequestId::generate(self.shared.ids.as_ref()))
    }
}

/// Whether a call counts among those in progress.
enum Place {
    /// Health and reflection do not: they have places of their own.
    Open(OpenPlace),
    Taken(OwnedSemaphorePermit),
}

fn with_request_id(mut response: Response<Body>, id: &RequestId) -> Response<Body> {
    if let Ok(header) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID_HEADER, header);
    }
    response
}

async fn call<S>(inner: S, request: Request<Body>) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    match inner.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The failure of a call whose task did not come to its end.
pub(super) fn task_failure(error: JoinError) -> ApiError {
    match error.try_into_panic() {
        Ok(panic) => ApiError::bug(format!(
            "the handler panicked: {}",
            panic_text(panic.as_ref())
        )),
        // The runtime ends: the process is going away.
        Err(cancelled) => ApiError::unavailable(cancelled),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no text)")
}

#[cfg(test)]
mod tests;
