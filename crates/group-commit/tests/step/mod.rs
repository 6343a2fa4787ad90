//! A step for tests: it records its batches, and begins none before the test lets it.

#![allow(
    dead_code,
    reason = "each test file compiles this module, and none uses all of it"
)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use latchkey_group_commit::{Batch, BatchError, Batcher, Limits, Report, SubmitError};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What the tests' step answers: the item, so that a swapped answer is noticed.
pub(crate) type Answer = Result<u32, SubmitError<&'static str>>;
pub(crate) type TestBatcher = Arc<Batcher<u32, u32, &'static str>>;

pub(crate) const WIDE: Limits = Limits {
    max_batch: 100,
    max_queue: 1000,
};

#[derive(Default)]
pub(crate) struct Seen {
    /// The items of each call, in order.
    pub(crate) calls: Vec<Vec<u32>>,
    /// The items of the calls that succeeded, in order.
    pub(crate) done: Vec<u32>,
    pub(crate) in_flight: usize,
    pub(crate) most_in_flight: usize,
}

/// Shared between a test and its step.
pub(crate) struct Step {
    pub(crate) seen: Mutex<Seen>,
    /// One permit for each call that may go on.
    pub(crate) gate: Semaphore,
    /// Items that fail their batch with a data error.
    pub(crate) bad: BTreeSet<u32>,
    /// Items whose batch fails as a whole.
    pub(crate) fatal: BTreeSet<u32>,
    /// Items whose batch panics.
    pub(crate) explosive: BTreeSet<u32>,
}

impl Step {
    /// A step that waits for permits.
    pub(crate) fn gated() -> Self {
        Self {
            seen: Mutex::default(),
            gate: Semaphore::new(0),
            bad: BTreeSet::new(),
            fatal: BTreeSet::new(),
            explosive: BTreeSet::new(),
        }
    }

    /// A step that waits for nothing.
    pub(crate) fn open() -> Self {
        Self {
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            ..Self::gated()
        }
    }

    pub(crate) fn calls(&self) -> Vec<Vec<u32>> {
        self.seen.lock().expect("unpoisoned").calls.clone()
    }

    pub(crate) fn done(&self) -> Vec<u32> {
        self.seen.lock().expect("unpoisoned").done.clone()
    }

    pub(crate) fn allow(&self, calls: usize) {
        self.gate.add_permits(calls);
    }

    /// Waits until the step was called so many times.
    pub(crate) async fn called(&self, times: usize) {
        until(|| self.calls().len() >= times).await;
    }

    pub(crate) async fn run(
        &self,
        batch: Batch<u32>,
    ) -> Result<Vec<u32>, BatchError<&'static str>> {
        {
            let mut seen = self.seen.lock().expect("unpoisoned");
            seen.calls.push(batch.to_vec());
            seen.in_flight += 1;
            seen.most_in_flight = seen.most_in_flight.max(seen.in_flight);
        }
        self.gate
            .acquire()
            .await
            .expect("the gate is never closed")
            .forget();
        let any = |items: &BTreeSet<u32>| batch.iter().any(|item| items.contains(item));
        let mut seen = self.seen.lock().expect("unpoisoned");
        seen.in_flight -= 1;
        if any(&self.explosive) {
            drop(seen);
            panic!("an explosive item");
        }
        if any(&self.bad) {
            return Err(BatchError::Item("bad item"));
        }
        if any(&self.fatal) {
            return Err(BatchError::Whole("connection lost"));
        }
        seen.done.extend(&batch);
        Ok(batch.to_vec())
    }
}

pub(crate) fn batcher(step: &Arc<Step>, limits: Limits) -> TestBatcher {
    observed(step, limits, |_| {})
}

pub(crate) fn observed(
    step: &Arc<Step>,
    limits: Limits,
    observe: impl FnMut(&Report) + Send + 'static,
) -> TestBatcher {
    let step = Arc::clone(step);
    let process = move |batch| {
        let step = Arc::clone(&step);
        async move { step.run(batch).await }
    };
    Arc::new(Batcher::observed(limits, process, observe))
}

/// Submits from a task of its own; tasks spawned one after another arrive in that order.
pub(crate) fn submit(batcher: &TestBatcher, item: u32) -> JoinHandle<Answer> {
    submit_until(batcher, item, None)
}

pub(crate) fn submit_until(
    batcher: &TestBatcher,
    item: u32,
    deadline: Option<Instant>,
) -> JoinHandle<Answer> {
    let batcher = Arc::clone(batcher);
    tokio::spawn(async move { batcher.submit(item, deadline).await })
}

/// Has one item in flight and the rest waiting behind it.
pub(crate) async fn hold_up(
    batcher: &TestBatcher,
    step: &Step,
    waiting: std::ops::Range<u32>,
) -> Vec<JoinHandle<Answer>> {
    let mut handles = vec![submit(batcher, 0)];
    step.called(1).await;
    let count = waiting.len();
    handles.extend(waiting.map(|item| submit(batcher, item)));
    until(|| batcher.waiting() == count).await;
    handles
}

/// Lets the other tasks run until something is so.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn answers(handles: Vec<JoinHandle<Answer>>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for handle in handles {
        answers.push(handle.await.expect("a submitter never panics"));
    }
    answers
}
