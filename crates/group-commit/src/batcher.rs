//! The side of the submitters: a bounded queue and an answer for each item.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::batch::{Batch, BatchError};
use crate::report::Report;
use crate::runner::{Entry, Runner};

/// The bounds of a batcher. Each counts as 1 when it is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most items in one batch.
    pub max_batch: usize,
    /// The most items that wait, besides those in flight.
    pub max_queue: usize,
}

/// Why an item has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError<E> {
    /// The queue is full. The item was not processed.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The deadline passed while the item waited. The item was not processed.
    #[error("the deadline passed before the request was processed")]
    DeadlineExceeded,
    /// The batcher was closed before the item was submitted. The item was not processed.
    #[error("shutting down")]
    Closed,
    /// The step panicked, broke its contract (as many answers as items), or was cut off by the end
    /// of the runtime. Whether the item took effect is not known.
    #[error("processing was interrupted")]
    Interrupted,
    /// The step failed, for this item or for its whole batch, with an error of its own.
    #[error("processing failed")]
    Failed(#[source] E),
}

/// Gathers items into batches; see the crate's documentation.
///
/// Share it behind an `Arc`. When it is dropped, or [closed](Self::close), the items that wait are
/// still processed, and then its task ends.
pub struct Batcher<I, O, E> {
    /// `None` once closed. Locked only for the moment of a `try_send`, never across an await.
    queue: Mutex<Option<mpsc::Sender<Entry<I, O, E>>>>,
    /// Its sender is dropped when the last batch is over.
    drained: watch::Receiver<()>,
}

impl<I, O, E> Batcher<I, O, E>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Clone + Send + 'static,
{
    /// A batcher whose batches are processed by `process`, which returns an answer for each item,
    /// in the order of the items, or fails having done nothing.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, which runs the batches.
    pub fn new<P, F>(limits: Limits, process: P) -> Self
    where
        P: FnMut(Batch<I>) -> F + Send + 'static,
        F: Future<Output = Result<Vec<O>, BatchError<E>>> + Send + 'static,
    {
        Self::observed(limits, process, |_| {})
    }

    /// Like [`new`](Self::new), with a function that is told of each batch when it is over, for
    /// metrics. It is called between batches: it must be quick and must not block.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, which runs the batches.
    pub fn observed<P, F, R>(limits: Limits, process: P, observe: R) -> Self
    where
        P: FnMut(Batch<I>) -> F + Send + 'static,
        F: Future<Output = Result<Vec<O>, BatchError<E>>> + Send + 'static,
        R: FnMut(&Report) + Send + 'static,
    {
        let (queue, waiting) = mpsc::channel(limits.max_queue.clamp(1, Semaphore::MAX_PERMITS));
        let (running, drained) = watch::channel(());
        let runner = Runner::new(waiting, limits.max_batch.max(1), process, observe);
        tokio::spawn(async move {
            runner.run().await;
            drop(running);
        });
        Self {
            queue: Mutex::new(Some(queue)),
            drained,
        }
    }

    /// Submits one item and waits for its answer.
    ///
    /// The item takes its place in the order of arrival when this is first polled. Dropping the
    /// future drops an item that still waits; one that is in flight is processed all the same, and
    /// only its answer is lost. The deadline bounds the waiting: once in flight, the item is
    /// answered however long it takes, so that [`SubmitError::DeadlineExceeded`] always means that
    /// nothing was done.
    ///
    /// # Errors
    ///
    /// See [`SubmitError`]. [`SubmitError::Overloaded`] and [`SubmitError::Closed`] come at once.
    pub async fn submit(&self, item: I, deadline: Option<Instant>) -> Result<O, SubmitError<E>> {
        let arrived = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= arrived) {
            return Err(SubmitError::DeadlineExceeded);
        }
        let (reply, answer) = oneshot::channel();
        let entry = Entry {
            item,
            arrived,
            deadline,
            reply,
        };
        match self.queue().as_ref().map(|queue| queue.try_send(entry)) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => return Err(SubmitError::Overloaded),
            // The task can be gone before a close only if its runtime is.
            Some(Err(TrySendError::Closed(_))) | None => return Err(SubmitError::Closed),
        }
        answer.await.unwrap_or(Err(SubmitError::Interrupted))
    }

    /// Refuses new items from now on. Those that wait are still processed.
    pub fn close(&self) {
        self.queue().take();
    }

    /// Waits until the batcher is [closed](Self::close) and its last batch is over.
    pub async fn drained(&self) {
        let mut drained = self.drained.clone();
        // Nothing is ever sent: the error says that the task has ended.
        while drained.changed().await.is_ok() {}
    }

    /// How many items wait at this moment, besides those in flight.
    pub fn waiting(&self) -> usize {
        self.queue()
            .as_ref()
            .map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    fn queue(&self) -> MutexGuard<'_, Option<mpsc::Sender<Entry<I, O, E>>>> {
        // Nothing that can panic leaves the queue half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
