//! Answers of many messages, made by a task that goes on after its handler has returned.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, OwnedPermit, Sender};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::{Request, Status};
use tracing::{Instrument, Span};

use super::gate::{OVERTIME, task_failure};
use crate::context::CallContext;
use crate::database::answered;
use crate::status::ApiError;

/// How many messages wait for a reader who is slower than they are made; then the making waits.
const MESSAGES_AHEAD: usize = 2;

/// The messages of a streamed answer, as a generated server wants them.
pub type Streamed<T> = ReceiverStream<Result<T, Status>>;

/// What makes a call one of those in progress. Whatever goes on for the call keeps a clone.
#[derive(Debug, Clone)]
pub(super) struct Stay {
    pub(super) permit: Arc<OwnedSemaphorePermit>,
    pub(super) tasks: TaskTracker,
}

/// Takes the messages of a streamed answer.
#[derive(Debug)]
pub struct Outlet<T> {
    sender: Sender<Result<T, Status>>,
    deadline: Instant,
}

/// Why a message was not taken: there is no use in making more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The caller is not there any more.
    #[error("the caller went away")]
    Gone,
    /// The caller did not read it before the call's deadline.
    #[error("the deadline passed before it was read")]
    Late,
}

impl From<NotTaken> for ApiError {
    fn from(_: NotTaken) -> Self {
        // Who went away reads neither.
        Self::deadline_exceeded()
    }
}

impl<T> Outlet<T> {
    /// Hands `message` over; waits until the reader has taken what is ahead of it, no longer than to the call's deadline.
    pub async fn send(&self, message: T) -> Result<(), NotTaken> {
        match timeout_at(self.deadline, self.sender.send(Ok(message))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(NotTaken::Gone),
            Err(_) => Err(NotTaken::Late),
        }
    }
}

/// The streamed answer to `request` whose messages `work` makes.
///
/// The work runs in a task of its own, so that no statement of it is dropped half-way when the caller goes away, and keeps
/// the call's place among those in progress until it ends. It is to end once a message is not taken, and ends by force
/// some seconds after the deadline. Its error, or its panic, becomes the status of the answer, whether or not the reader
/// has caught up by then: an answer that broke off never looks whole.
///
/// # Errors
/// Fails (INTERNAL) only when the request did not come through [`crate::server`].
pub fn streamed<Q, T, F>(
    request: &Request<Q>,
    work: impl FnOnce(Outlet<T>) -> F,
) -> Result<Streamed<T>, ApiError>
where
    T: Send + 'static,
    F: Future<Output = Result<(), ApiError>> + Send + 'static,
{
    let context = CallContext::of(request)?;
    let stay = request
        .extensions()
        .get::<Stay>()
        .ok_or_else(|| ApiError::bug("the request has no place among the calls in progress"))?
        .clone();
    let (sender, receiver) = mpsc::channel(MESSAGES_AHEAD + 1);
    let verdict = sender
        .clone()
        .try_reserve_owned()
        .map_err(|_| ApiError::bug("a new channel has no room"))?;
    let deadline = context.deadline;
    let id = context.request_id.clone();
    let work = work(Outlet { sender, deadline });
    let bound = deadline.saturating_duration_since(Instant::now()) + OVERTIME;
    let work = async move {
        let ended = answered(bound, work).await;
        ended.unwrap_or_else(|silence| Err(ApiError::unavailable(silence)))
    };
    let work = tokio::spawn(id.clone().scope(work).instrument(Span::current()));
    let Stay { permit, tasks } = stay;
    tasks.spawn(id.scope(async move {
        judge(work, verdict).await;
        drop(permit);
    }));
    Ok(ReceiverStream::new(receiver))
}

/// Ends the answer with the failure of the work, if it failed.
async fn judge<T>(work: JoinHandle<Result<(), ApiError>>, verdict: OwnedPermit<Result<T, Status>>) {
    let failure = match work.await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(error) => task_failure(error),
    };
    verdict.send(Err(failure.into()));
}

#[cfg(test)]
mod tests;
