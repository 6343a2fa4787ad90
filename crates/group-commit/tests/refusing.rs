//! What costs no transaction: items beyond the queue's bound, too late, or that nobody waits for.

mod step;

use std::sync::Arc;
use std::time::Duration;

use latchkey_group_commit::{Batch, Batcher, Limits, SubmitError};
use step::{Step, WIDE, answers, batcher, hold_up, submit, submit_until, until};
use tokio::time::{Instant, advance};

#[tokio::test(start_paused = true)]
async fn beyond_the_bound_the_answer_is_overloaded_at_once() {
    let step = Arc::new(Step::gated());
    let batcher = batcher(
        &step,
        Limits {
            max_batch: 10,
            max_queue: 3,
        },
    );
    let handles = hold_up(&batcher, &step, 1..4).await;
    let began = Instant::now();
    assert_eq!(batcher.submit(4, None).await, Err(SubmitError::Overloaded));
    assert_eq!(began.elapsed(), Duration::ZERO);

    // Those that were let in are not harmed, and afterwards there is room again.
    step.allow(3);
    assert_eq!(answers(handles).await, (0..4).map(Ok).collect::<Vec<_>>());
    assert_eq!(batcher.submit(5, None).await, Ok(5));
    assert_eq!(step.done(), [0, 1, 2, 3, 5]);
}

#[tokio::test(start_paused = true)]
async fn an_item_whose_deadline_has_passed_is_not_processed() {
    let step = Arc::new(Step::gated());
    let batcher = batcher(&step, WIDE);
    let held = hold_up(&batcher, &step, 1..2).await;
    let now = Instant::now();
    let late = submit_until(&batcher, 2, Some(now + Duration::from_secs(1)));
    let on_edge = submit_until(&batcher, 3, Some(now + Duration::from_secs(5)));
    let in_time = submit_until(&batcher, 4, Some(now + Duration::from_secs(6)));
    until(|| batcher.waiting() == 4).await;
    advance(Duration::from_secs(5)).await;
    step.allow(2);
    assert_eq!(
        late.await.expect("no panic"),
        Err(SubmitError::DeadlineExceeded)
    );
    assert_eq!(
        on_edge.await.expect("no panic"),
        Err(SubmitError::DeadlineExceeded)
    );
    assert_eq!(in_time.await.expect("no panic"), Ok(4));
    assert_eq!(answers(held).await, [Ok(0), Ok(1)]);
    assert_eq!(step.calls(), [vec![0], vec![1, 4]]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passed_before_submitting_takes_no_place() {
    let step = Arc::new(Step::open());
    let batcher = batcher(&step, WIDE);
    let outcome = batcher.submit(1, Some(Instant::now())).await;
    assert_eq!(outcome, Err(SubmitError::DeadlineExceeded));
    assert_eq!(batcher.waiting(), 0);
    assert!(step.calls().is_empty());
}

/// In flight an item is answered, however late: a passed deadline always means "not done".
#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_in_flight_does_not_hide_the_answer() {
    let step = Arc::new(Step::gated());
    let batcher = batcher(&step, WIDE);
    let handle = submit_until(&batcher, 1, Some(Instant::now() + Duration::from_secs(1)));
    step.called(1).await;
    advance(Duration::from_secs(2)).await;
    step.allow(1);
    assert_eq!(handle.await.expect("no panic"), Ok(1));
}

#[tokio::test]
async fn an_item_whose_submitter_has_gone_is_not_processed() {
    let step = Arc::new(Step::gated());
    let batcher = batcher(&step, WIDE);
    let mut handles = hold_up(&batcher, &step, 1..4).await;
    let gone = handles.remove(2);
    gone.abort();
    assert!(gone.await.expect_err("aborted").is_cancelled());
    step.allow(2);
    assert_eq!(answers(handles).await, [Ok(0), Ok(1), Ok(3)]);
    assert_eq!(step.calls(), [vec![0], vec![1, 3]]);
}

#[tokio::test]
async fn dropped_items_leave_their_room_to_those_that_wait() {
    let step = Arc::new(Step::gated());
    let batcher = batcher(
        &step,
        Limits {
            max_batch: 2,
            max_queue: 100,
        },
    );
    let mut handles = hold_up(&batcher, &step, 1..6).await;
    for gone in handles.drain(1..4) {
        gone.abort();
        assert!(gone.await.expect_err("aborted").is_cancelled());
    }
    step.allow(2);
    assert_eq!(answers(handles).await, [Ok(0), Ok(4), Ok(5)]);
    assert_eq!(step.calls(), [vec![0], vec![4, 5]]);
}

#[tokio::test]
async fn a_batch_of_which_nothing_is_left_calls_nothing() {
    let step = Arc::new(Step::gated());
    let batcher = batcher(&step, WIDE);
    let mut handles = hold_up(&batcher, &step, 1..2).await;
    let gone = handles.remove(1);
    gone.abort();
    assert!(gone.await.expect_err("aborted").is_cancelled());
    step.allow(2);
    assert_eq!(answers(handles).await, [Ok(0)]);
    until(|| batcher.waiting() == 0).await;
    assert_eq!(batcher.submit(2, None).await, Ok(2));
    assert_eq!(step.calls(), [[0], [2]]);
}

#[tokio::test]
async fn a_submitter_that_goes_away_cancels_no_batch_in_flight() {
    let step = Arc::new(Step::gated());
    let batcher = batcher(&step, WIDE);
    let gone = submit(&batcher, 1);
    step.called(1).await;
    gone.abort();
    assert!(gone.await.expect_err("aborted").is_cancelled());
    step.allow(2);
    assert_eq!(batcher.submit(2, None).await, Ok(2));
    assert_eq!(step.done(), [1, 2]);
}

/// The runtime that ran the batches is gone: submitters elsewhere are answered, not left hanging.
#[test]
fn the_end_of_the_runtime_interrupts() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime")
    };
    let (first, second) = (runtime(), runtime());
    let (began, has_begun) = tokio::sync::oneshot::channel();
    let mut began = Some(began);
    let batcher: Arc<Batcher<u32, u32, ()>> = Arc::new(first.block_on(async {
        Batcher::new(WIDE, move |_: Batch<u32>| {
            if let Some(began) = began.take() {
                began.send(()).expect("the test waits for it");
            }
            std::future::pending()
        })
    }));
    let waiting = second.spawn({
        let batcher = Arc::clone(&batcher);
        async move { batcher.submit(1, None).await }
    });
    second.block_on(tokio::task::yield_now());
    first.block_on(has_begun).expect("in flight");
    drop(first);
    assert_eq!(
        second.block_on(waiting).expect("no panic"),
        Err(SubmitError::Interrupted)
    );
    assert_eq!(
        second.block_on(batcher.submit(2, None)),
        Err(SubmitError::Closed)
    );
    second.block_on(batcher.drained());
}
