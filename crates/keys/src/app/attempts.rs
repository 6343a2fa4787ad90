//! Deciding afresh when others were there at the same time.

use super::Error;

/// How often a use case is tried before its caller is told that there is a conflict. Every attempt begins with locks that
/// others wait for in turn, so a second one nearly always gets through.
const ATTEMPTS: u32 = 4;

/// The outcome of `attempt`, which is made again from its beginning, a bounded number of times, while it meets a conflict.
/// A conflict must have left nothing behind: it is met inside a transaction that was not committed.
pub(crate) async fn settled<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(Error::Conflict) => {}
            outcome => return outcome,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn after_conflicts(conflicts: u32) -> (Result<u32, Error>, u32) {
        let made = Cell::new(0);
        let outcome = settled(|| {
            made.set(made.get() + 1);
            let attempt = made.get();
            async move {
                if attempt > conflicts {
                    Ok(attempt)
                } else {
                    Err(Error::Conflict)
                }
            }
        })
        .await;
        (outcome, made.get())
    }

    #[tokio::test]
    async fn a_conflict_is_tried_again_a_bounded_number_of_times() {
        assert!(matches!(after_conflicts(0).await, (Ok(1), 1)));
        assert!(matches!(after_conflicts(2).await, (Ok(3), 3)));
        assert!(matches!(
            after_conflicts(u32::MAX).await,
            (Err(Error::Conflict), ATTEMPTS)
        ));
    }

    #[tokio::test]
    async fn any_other_failure_is_final() {
        let made = Cell::new(0);
        let outcome: Result<(), Error> = settled(|| {
            made.set(made.get() + 1);
            async { Err(Error::bug("of ours")) }
        })
        .await;
        assert!(matches!(outcome, Err(Error::Internal(_))));
        assert_eq!(made.get(), 1);
    }
}
