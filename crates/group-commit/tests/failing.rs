//! Failures: who gets which error, and who gets none.

mod step;

use std::collections::BTreeSet;
use std::sync::Arc;

use latchkey_group_commit::{Batch, BatchError, Batcher, Limits, SubmitError};
use proptest::prelude::*;
use step::{Answer, Step, WIDE, answers, batcher, hold_up};

/// Item 0 goes first, the others in one batch after it.
async fn in_one_batch(step: Step, count: u32) -> (Arc<Step>, Vec<Answer>) {
    let step = Arc::new(step);
    let batcher = batcher(
        &step,
        Limits {
            max_batch: 1000,
            max_queue: 1000,
        },
    );
    let handles = hold_up(&batcher, &step, 1..count + 1).await;
    step.allow(10_000);
    let answers = answers(handles).await;
    (step, answers)
}

fn failed<T>(error: &'static str) -> Result<T, SubmitError<&'static str>> {
    Err(SubmitError::Failed(error))
}

#[tokio::test]
async fn a_bad_item_fails_alone_and_the_rest_keeps_its_order() {
    let (step, answers) = in_one_batch(
        Step {
            bad: [3].into(),
            ..Step::gated()
        },
        6,
    )
    .await;
    assert_eq!(
        answers,
        [Ok(0), Ok(1), Ok(2), failed("bad item"), Ok(4), Ok(5), Ok(6)]
    );
    assert_eq!(
        step.calls(),
        [
            vec![0],
            vec![1, 2, 3, 4, 5, 6],
            vec![1, 2, 3],
            vec![1],
            vec![2, 3],
            vec![2],
            vec![3],
            vec![4, 5, 6]
        ]
    );
    assert_eq!(step.done(), [0, 1, 2, 4, 5, 6]);
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_is_not_tried_again() {
    let (step, answers) = in_one_batch(
        Step {
            fatal: [2].into(),
            ..Step::gated()
        },
        4,
    )
    .await;
    assert_eq!(answers[0], Ok(0));
    assert_eq!(answers[1..], [(); 4].map(|()| failed("connection lost")));
    assert_eq!(step.calls().len(), 2);
}

#[tokio::test]
async fn a_whole_failure_amid_bisecting_spares_what_is_done_and_fails_the_rest_untried() {
    let (step, answers) = in_one_batch(
        Step {
            bad: [1].into(),
            fatal: [3].into(),
            ..Step::gated()
        },
        8,
    )
    .await;
    assert_eq!(answers[..3], [Ok(0), failed("bad item"), Ok(2)]);
    assert_eq!(answers[3..], [(); 6].map(|()| failed("connection lost")));
    assert_eq!(step.calls().last(), Some(&vec![3, 4]));
    assert_eq!(step.done(), [0, 2]);
}

#[tokio::test]
async fn a_panic_amid_bisecting_fails_its_part_only() {
    let step = Step {
        bad: [1].into(),
        explosive: [3].into(),
        ..Step::gated()
    };
    let step = Arc::new(step);
    let batcher: Arc<Batcher<_, _, _>> = Arc::new(Batcher::new(WIDE, {
        let step = Arc::clone(&step);
        move |batch: Batch<u32>| {
            let step = Arc::clone(&step);
            async move {
                // As a data error is found before what would panic.
                if batch.contains(&1) {
                    Err(BatchError::Item("bad item"))
                } else {
                    step.run(batch).await
                }
            }
        }
    }));
    step.allow(100);
    let all: Vec<Answer> =
        futures::future::join_all((1..9).map(|item| batcher.submit(item, None))).await;
    assert_eq!(all[..2], [failed("bad item"), Ok(2)]);
    assert_eq!(all[2..4], [(); 2].map(|()| Err(SubmitError::Interrupted)));
    assert_eq!(all[4..], [Ok(5), Ok(6), Ok(7), Ok(8)]);
}

#[tokio::test]
async fn a_panic_fails_its_batch_and_the_batcher_lives_on() {
    let step = Arc::new(Step {
        explosive: [2].into(),
        ..Step::gated()
    });
    let batcher = batcher(&step, WIDE);
    let handles = hold_up(&batcher, &step, 1..4).await;
    step.allow(100);
    let answers = answers(handles).await;
    assert_eq!(answers[0], Ok(0));
    assert_eq!(
        answers[1..],
        [(); 3].map(|()| Err(SubmitError::Interrupted))
    );
    assert_eq!(batcher.submit(9, None).await, Ok(9));
}

#[tokio::test]
async fn a_step_that_panics_before_its_future_is_caught_too() {
    let mut calls = 0;
    let batcher: Batcher<u32, u32, ()> = Batcher::new(WIDE, move |batch: Batch<u32>| {
        calls += 1;
        assert!(calls > 1, "the first call panics");
        async move { Ok(batch.to_vec()) }
    });
    assert_eq!(batcher.submit(1, None).await, Err(SubmitError::Interrupted));
    assert_eq!(batcher.submit(2, None).await, Ok(2));
}

#[tokio::test]
async fn an_observer_that_panics_harms_nobody() {
    let batcher: Batcher<u32, u32, ()> = Batcher::observed(
        WIDE,
        |batch: Batch<u32>| async move { Ok(batch.to_vec()) },
        |_| panic!("an observer"),
    );
    assert_eq!(batcher.submit(1, None).await, Ok(1));
    assert_eq!(batcher.submit(2, None).await, Ok(2));
}

#[tokio::test]
async fn too_few_or_too_many_answers_are_given_to_nobody() {
    let batcher: Batcher<u32, u32, ()> = Batcher::new(WIDE, |batch: Batch<u32>| async move {
        Ok(match batch[0] {
            1 => vec![],
            2 => vec![2, 2],
            _ => batch.to_vec(),
        })
    });
    assert_eq!(batcher.submit(1, None).await, Err(SubmitError::Interrupted));
    assert_eq!(batcher.submit(2, None).await, Err(SubmitError::Interrupted));
    assert_eq!(batcher.submit(3, None).await, Ok(3));
}

proptest! {
    /// Whatever items are bad: each good one is done exactly once, in order of arrival, and gets
    /// its own answer; each bad one gets the error; and no more calls are made than bisecting needs.
    #[test]
    fn bisecting_never_fails_a_neighbour(count in 1..80u32, bad in proptest::collection::btree_set(1..80u32, 0..20)) {
        let bad: BTreeSet<u32> = bad.into_iter().filter(|&item| item <= count).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (step, answers) = runtime.block_on(in_one_batch(Step { bad: bad.clone(), ..Step::gated() }, count));

        let expected: Vec<_> =
            (0..=count).map(|item| if bad.contains(&item) { failed("bad item") } else { Ok(item) }).collect();
        prop_assert_eq!(answers, expected);
        let good: Vec<_> = (0..=count).filter(|item| !bad.contains(item)).collect();
        prop_assert_eq!(step.done(), good);

        // One for item 0, one for the batch, and for each bad item two at each level.
        let levels = usize::try_from(count.next_power_of_two().ilog2()).expect("small");
        prop_assert!(step.calls().len() <= 2 + bad.len() * 2 * levels);
    }
}
