//! What goes into a batch, in which order, and what happens at the end.

mod step;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey_group_commit::{Batch, Batcher, Limits, Report, SubmitError};
use step::{Step, WIDE, answers, batcher, hold_up, observed, submit, submit_until, until};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_lone_item_waits_for_nobody() {
    let step = Arc::new(Step::open());
    let batcher = batcher(&step, WIDE);
    let began = Instant::now();
    assert_eq!(batcher.submit(7, None).await, Ok(7));
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(step.calls(), [[7]]);
}

#[tokio::test]
async fn items_gather_while_a_batch_is_in_flight_and_keep_their_order() {
    let step = Arc::new(Step::gated());
    let batcher = batcher(&step, WIDE);
    let handles = hold_up(&batcher, &step, 1..51).await;
    assert_eq!(step.calls(), [[0]]);
    step.allow(2);
    assert_eq!(answers(handles).await, (0..51).map(Ok).collect::<Vec<_>>());
    assert_eq!(step.calls(), [vec![0], (1..51).collect()]);
}

#[tokio::test]
async fn a_batch_takes_no_more_than_its_bound() {
    let step = Arc::new(Step::gated());
    let batcher = batcher(
        &step,
        Limits {
            max_batch: 4,
            max_queue: 100,
        },
    );
    let handles = hold_up(&batcher, &step, 1..11).await;
    step.allow(10);
    assert_eq!(answers(handles).await, (0..11).map(Ok).collect::<Vec<_>>());
    assert_eq!(
        step.calls(),
        [vec![0], vec![1, 2, 3, 4], vec![5, 6, 7, 8], vec![9, 10]]
    );
}

#[tokio::test]
async fn limits_of_zero_count_as_one() {
    let step = Arc::new(Step::gated());
    let batcher = batcher(
        &step,
        Limits {
            max_batch: 0,
            max_queue: 0,
        },
    );
    let handles = hold_up(&batcher, &step, 1..2).await;
    assert_eq!(batcher.submit(2, None).await, Err(SubmitError::Overloaded));
    step.allow(2);
    assert_eq!(answers(handles).await, [Ok(0), Ok(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_batch_is_in_flight_however_many_threads_submit() {
    let step = Arc::new(Step::open());
    let batcher = batcher(
        &step,
        Limits {
            max_batch: 16,
            max_queue: 10_000,
        },
    );
    let handles = (0..5000).map(|item| submit(&batcher, item)).collect();
    assert_eq!(
        answers(handles).await,
        (0..5000).map(Ok).collect::<Vec<_>>()
    );
    let seen = step.seen.lock().expect("unpoisoned");
    assert_eq!(seen.most_in_flight, 1);
    assert!(seen.calls.iter().all(|call| (1..=16).contains(&call.len())));
    assert_eq!(seen.done.len(), 5000);
}

#[tokio::test]
async fn a_closed_batcher_drains_what_waits_and_refuses_the_rest() {
    let step = Arc::new(Step::gated());
    let batcher = batcher(
        &step,
        Limits {
            max_batch: 3,
            max_queue: 100,
        },
    );
    let handles = hold_up(&batcher, &step, 1..8).await;
    batcher.close();
    assert_eq!(batcher.submit(99, None).await, Err(SubmitError::Closed));

    let drained = tokio::spawn({
        let batcher = Arc::clone(&batcher);
        async move { batcher.drained().await }
    });
    step.allow(2);
    step.called(3).await;
    assert!(!drained.is_finished(), "a batch is still in flight");
    step.allow(2);
    drained.await.expect("drained");
    assert_eq!(step.done(), (0..8).collect::<Vec<_>>());
    assert_eq!(answers(handles).await, (0..8).map(Ok).collect::<Vec<_>>());

    batcher.close();
    batcher.drained().await;
    assert_eq!(batcher.submit(99, None).await, Err(SubmitError::Closed));
}

#[tokio::test]
async fn a_dropped_batcher_ends_its_task() {
    let alive = Arc::new(());
    let batcher: Batcher<u32, u32, ()> = Batcher::new(WIDE, {
        let alive = Arc::clone(&alive);
        move |batch: Batch<u32>| {
            let alive = Arc::clone(&alive);
            async move {
                drop(alive);
                Ok(batch.to_vec())
            }
        }
    });
    assert_eq!(batcher.submit(1, None).await, Ok(1));
    drop(batcher);
    until(|| Arc::strong_count(&alive) == 1).await;
}

#[tokio::test(start_paused = true)]
async fn the_observer_is_told_of_each_batch() {
    let reports = Arc::new(Mutex::new(Vec::<Report>::new()));
    let step = Arc::new(Step {
        bad: [2].into(),
        ..Step::gated()
    });
    let limits = Limits {
        max_batch: 2,
        max_queue: 10,
    };
    let batcher = observed(&step, limits, {
        let reports = Arc::clone(&reports);
        move |report| reports.lock().expect("unpoisoned").push(report.clone())
    });
    let handles = hold_up(&batcher, &step, 1..6).await;
    let soon = Instant::now() + Duration::from_millis(10);
    let expired = submit_until(&batcher, 6, Some(soon));
    let abandoned = submit(&batcher, 7);
    until(|| batcher.waiting() == 7).await;
    abandoned.abort();
    tokio::time::advance(Duration::from_millis(30)).await;
    step.allow(100);
    answers(handles).await;
    assert_eq!(
        expired.await.expect("no panic"),
        Err(SubmitError::DeadlineExceeded)
    );
    batcher.close();
    batcher.drained().await;

    let reports = reports.lock().expect("unpoisoned");
    let (none, held_up) = (Duration::ZERO, Duration::from_millis(30));
    let plain = Report {
        size: 2,
        expired: 0,
        abandoned: 0,
        left_waiting: 0,
        attempts: 1,
        failed: 0,
        waited: held_up,
        took: none,
    };
    assert_eq!(
        *reports,
        [
            Report {
                size: 1,
                waited: none,
                took: held_up,
                ..plain.clone()
            },
            Report {
                left_waiting: 5,
                attempts: 3,
                failed: 1,
                ..plain.clone()
            },
            Report {
                left_waiting: 3,
                ..plain.clone()
            },
            Report {
                size: 1,
                expired: 1,
                abandoned: 1,
                ..plain
            },
        ]
    );
}
