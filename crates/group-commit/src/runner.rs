//! The side of the batches: one task that gathers, processes and answers.

use std::future::Future;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::batch::{Batch, BatchError};
use crate::batcher::SubmitError;
use crate::report::Report;

/// An item on its way, and who waits for it.
pub(crate) struct Entry<I, O, E> {
    pub(crate) item: I,
    pub(crate) arrived: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) reply: Reply<O, E>,
}

type Reply<O, E> = oneshot::Sender<Result<O, SubmitError<E>>>;

/// Items and replies of one batch, place by place; a reply is taken when it is given.
struct Gathered<I, O, E> {
    items: Vec<I>,
    replies: Vec<Option<Reply<O, E>>>,
    report: Report,
}

pub(crate) struct Runner<I, O, E, P, R> {
    waiting: mpsc::Receiver<Entry<I, O, E>>,
    max_batch: usize,
    process: P,
    observe: R,
}

impl<I, O, E, P, F, R> Runner<I, O, E, P, R>
where
    I: Send + Sync,
    O: Send,
    E: Clone + Send,
    P: FnMut(Batch<I>) -> F + Send,
    F: Future<Output = Result<Vec<O>, BatchError<E>>> + Send,
    R: FnMut(&Report) + Send,
{
    pub(crate) fn new(
        waiting: mpsc::Receiver<Entry<I, O, E>>,
        max_batch: usize,
        process: P,
        observe: R,
    ) -> Self {
        Self {
            waiting,
            max_batch,
            process,
            observe,
        }
    }

    /// Runs batch after batch until the queue is closed and empty.
    pub(crate) async fn run(mut self) {
        while let Some(gathered) = self.gather().await {
            let began = Instant::now();
            let mut report = self.process(gathered).await;
            report.took = began.elapsed();
            let observe = &mut self.observe;
            if std::panic::catch_unwind(AssertUnwindSafe(|| observe(&report))).is_err() {
                tracing::error!("the observer of a batcher panicked");
            }
        }
    }

    /// Waits for an item, then takes all that wait, up to the bound, leaving out those that nobody
    /// waits for any more. `None` when there will be no more.
    async fn gather(&mut self) -> Option<Gathered<I, O, E>> {
        let mut entries = Vec::new();
        if self.waiting.recv_many(&mut entries, self.max_batch).await == 0 {
            return None;
        }
        let now = Instant::now();
        let mut report = Report {
            size: 0,
            expired: 0,
            abandoned: 0,
            left_waiting: 0,
            attempts: 0,
            failed: 0,
            waited: entries
                .first()
                .map_or_else(Default::default, |first| now - first.arrived),
            took: std::time::Duration::ZERO,
        };
        let (mut items, mut replies) = (Vec::new(), Vec::new());
        loop {
            for entry in entries.drain(..) {
                if entry.reply.is_closed() {
                    report.abandoned += 1;
                } else if entry.deadline.is_some_and(|deadline| deadline <= now) {
                    report.expired += 1;
                    answer(entry.reply, Err(SubmitError::DeadlineExceeded));
                } else {
                    items.push(entry.item);
                    replies.push(Some(entry.reply));
                }
            }
            // Dropped ones leave room for others that wait already; nobody is waited for.
            let room = self.max_batch - items.len();
            if room == 0 || self.waiting.is_empty() {
                break;
            }
            self.waiting.recv_many(&mut entries, room).await;
        }
        report.size = items.len();
        report.left_waiting = self.waiting.len();
        Some(Gathered {
            items,
            replies,
            report,
        })
    }

    /// Processes one batch, bisecting it as its errors demand, and answers each item as soon as its
    /// part is done.
    async fn process(&mut self, gathered: Gathered<I, O, E>) -> Report {
        let Gathered {
            items,
            mut replies,
            mut report,
        } = gathered;
        let items = Arc::new(items);
        // The parts that are left to do, the first of them last.
        let mut parts = Vec::new();
        if !items.is_empty() {
            parts.push(0..items.len());
        }
        while let Some(part) = parts.pop() {
            report.attempts += 1;
            match self
                .attempt(Batch::new(Arc::clone(&items), part.clone()))
                .await
            {
                Ok(answers) => {
                    let replies = replies[part].iter_mut().filter_map(Option::take);
                    for (reply, output) in replies.zip(answers) {
                        answer(reply, Ok(output));
                    }
                }
                Err(Failure::Part(BatchError::Item(_))) if part.len() > 1 => {
                    let middle = part.start + part.len() / 2;
                    parts.push(middle..part.end);
                    parts.push(part.start..middle);
                }
                Err(Failure::Part(BatchError::Item(error))) => {
                    report.failed += fail(&mut replies, part, &SubmitError::Failed(error));
                }
                Err(Failure::Part(BatchError::Whole(error))) => {
                    // The parts follow each other without a gap to the end of the batch.
                    report.failed += fail(
                        &mut replies,
                        part.start..items.len(),
                        &SubmitError::Failed(error),
                    );
                    parts.clear();
                }
                Err(Failure::Interrupted) => {
                    report.failed += fail(&mut replies, part, &SubmitError::Interrupted);
                }
            }
        }
        report
    }

    /// Calls the step once, and holds it to its contract.
    async fn attempt(&mut self, batch: Batch<I>) -> Result<Vec<O>, Failure<E>> {
        let size = batch.len();
        let process = &mut self.process;
        // The call itself can panic as well as the future that it returns.
        let step = async move { process(batch).await };
        match AssertUnwindSafe(step).catch_unwind().await {
            Ok(Ok(answers)) if answers.len() == size => Ok(answers),
            Ok(Ok(answers)) => {
                tracing::error!(
                    batch.size = size,
                    batch.answers = answers.len(),
                    "a batch has not one answer for each item"
                );
                Err(Failure::Interrupted)
            }
            Ok(Err(error)) => Err(Failure::Part(error)),
            Err(_) => {
                tracing::error!(batch.size = size, "a batch panicked");
                Err(Failure::Interrupted)
            }
        }
    }
}

/// How one call of the step failed.
enum Failure<E> {
    Part(BatchError<E>),
    Interrupted,
}

/// Fails all items of `part`; returns how many.
fn fail<O, E: Clone>(
    replies: &mut [Option<Reply<O, E>>],
    part: Range<usize>,
    error: &SubmitError<E>,
) -> usize {
    let failed = part.len();
    for reply in replies[part].iter_mut().filter_map(Option::take) {
        answer(reply, Err(error.clone()));
    }
    failed
}

/// Gives an answer, unless nobody waits for it any more.
fn answer<O, E>(reply: Reply<O, E>, outcome: Result<O, SubmitError<E>>) {
    // What comes back is the answer itself: what was done stays done, whoever has gone.
    let _unheard = reply.send(outcome);
}
