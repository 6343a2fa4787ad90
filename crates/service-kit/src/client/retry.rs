//! Calling again what can be repeated, without making an outage worse.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use tower::retry::budget::{Budget, TpsBudget};

use crate::backoff::Backoff;

/// How often a call is made at most.
const ATTEMPTS: u32 = 4;

/// The pauses between attempts.
const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(25),
    longest: Duration::from_millis(400),
};

/// How long a call counts for the budget.
const BUDGET_FOR: Duration = Duration::from_secs(10);

/// Repetitions that are always allowed, a second: a service that is hardly called has them too.
const BUDGET_PER_SECOND: u32 = 5;

/// Repetitions beyond these, as a share of calls: an outage costs a tenth more calls, not four times as many.
const BUDGET_SHARE: f32 = 0.1;

/// Repeats calls that fail because the other side could not be reached: after a pause of random length (full jitter), in
/// the time that is left, and within a budget that all calls of this process share.
#[derive(Debug)]
pub struct Retries {
    budget: TpsBudget,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            budget: TpsBudget::new(BUDGET_FOR, BUDGET_PER_SECOND, BUDGET_SHARE),
        }
    }
}

impl Retries {
    /// The answer to a call that may take `within` altogether; `attempt` makes it, in the time that is left, and must be
    /// repeatable.
    ///
    /// # Errors
    /// That of the last attempt.
    pub async fn call<T, F>(
        &self,
        within: Duration,
        attempt: impl Fn(Duration) -> F,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let deadline = Instant::now() + within;
        self.budget.deposit();
        let mut made = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = attempt(left).await;
            made += 1;
            let Err(status) = answer else { return answer };
            if made == ATTEMPTS || !is_worth_it(&status) || !self.budget.withdraw() {
                return Err(status);
            }
            let pause = PAUSES.pause(made);
            if Instant::now() + pause >= deadline {
                return Err(status);
            }
            sleep(pause).await;
        }
    }
}

/// Whether the call was not answered because of the way to the other side, or of what that itself depends on. A call that
/// took too long is not made again: there is no time left for it.
fn is_worth_it(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::Unknown | Code::Cancelled
    )
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    /// Calls that fail with `code` so often; how it ends, and how many attempts that took.
    async fn failing(retries: &Retries, times: u32, code: Code) -> (Result<(), Code>, u32) {
        let made = Cell::new(0);
        let answer = retries.call(LONG, |_| {
            made.set(made.get() + 1);
            let answer = if made.get() <= times {
                Err(Status::new(code, "no"))
            } else {
                Ok(())
            };
            std::future::ready(answer)
        });
        let answer = answer.await.map_err(|status| status.code());
        (answer, made.get())
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_reached_is_called_again_a_few_times() {
        let retries = Retries::default();
        assert_eq!(failing(&retries, 0, Code::Unavailable).await, (Ok(()), 1));
        assert_eq!(failing(&retries, 2, Code::Unavailable).await, (Ok(()), 3));
        let given_up = (Err(Code::Unavailable), ATTEMPTS);
        assert_eq!(failing(&retries, 9, Code::Unavailable).await, given_up);
        for code in [Code::NotFound, Code::DeadlineExceeded, Code::Internal] {
            assert_eq!(failing(&retries, 1, code).await, (Err(code), 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_costs_few_more_calls_than_there_are() {
        let retries = Retries::default();
        let mut made = 0;
        for _ in 0..2_000 {
            made += failing(&retries, ATTEMPTS, Code::Unavailable).await.1;
        }
        // A tenth more, and what is allowed a second for the ten that are counted, whatever the clock says.
        assert!(made <= 2_000 + 200 + 2 * 50, "{made} attempts");
        assert!(made > 2_000, "some are made again");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_goes_on_beyond_the_time_there_is() {
        let retries = Retries::default();
        let began = Instant::now();
        let within = Duration::from_millis(30);
        for _ in 0..20 {
            let refused = retries.call(within, |left| {
                assert!(left <= within);
                std::future::ready(Err::<(), _>(Status::unavailable("no")))
            });
            refused.await.expect_err("nobody answers");
        }
        assert!(began.elapsed() <= within * 20);
    }
}
