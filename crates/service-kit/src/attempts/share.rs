//! What replicas tell each other about failures.

use std::error::Error;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limiter::Untold;
use super::{LONGEST_DEBT, Limits, Subject};
use crate::telemetry::Chain;

/// How much further back than the last exchange one looks: a change has the time at which it was written, and is seen by
/// others once it is committed. As long as a statement may run, twice over. To hear something twice changes nothing.
const OVERLAP: Duration = Duration::from_secs(10);

/// A limit's name, and the failures there that the others were not told of.
type Untolds = (&'static str, Vec<(Subject, Untold)>);

/// Failures of one subject that the others were not told of yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// The name of the limit.
    pub limit: &'static str,
    /// Who.
    pub subject: Subject,
    /// How long ago the first of them happened.
    pub age: Duration,
    /// How long they have to be paid for.
    pub cost: Duration,
}

/// What all replicas together have of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The name of the limit.
    pub limit: String,
    /// Who.
    pub subject: Subject,
    /// How long it pays from now on.
    pub pays_for: Duration,
}

impl Limits {
    /// Tells the other replicas of failures here and hears of those there, `every` so long, until `stop` and once after it.
    ///
    /// `exchange` tells what is owed and returns what was changed by any replica within the time that it is given. While it
    /// fails each replica goes by what it knows, and tells the rest later.
    pub async fn share<E, F>(
        &self,
        every: Duration,
        stop: CancellationToken,
        exchange: impl Fn(Vec<Owed>, Duration) -> F,
    ) where
        E: Error + 'static,
        F: Future<Output = Result<Vec<Heard>, E>>,
    {
        let mut heard_at: Option<Instant> = None;
        let mut in_touch = true;
        loop {
            let last = stop.is_cancelled();
            let now = Instant::now();
            // At first, everything that is still owed: a process that starts again has forgotten nothing.
            let unheard = heard_at.map_or(LONGEST_DEBT, |at| now - at + OVERLAP);
            let untold = self.take_untold();
            match exchange(self.owed(&untold), unheard).await {
                Ok(heard) => {
                    self.hear(heard);
                    heard_at = Some(now);
                    in_touch = true;
                }
                Err(error) => {
                    self.keep_untold(untold);
                    if in_touch {
                        let error = tracing::field::display(Chain(&error));
                        tracing::warn!(error, "replicas do not hear of each other's failures");
                    }
                    in_touch = false;
                }
            }
            if last {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn take_untold(&self) -> Vec<Untolds> {
        self.limiters
            .iter()
            .map(|(name, limiter)| {
                limiter.forget_settled();
                (*name, limiter.take_untold())
            })
            .collect()
    }

    fn keep_untold(&self, untold: Vec<Untolds>) {
        for (name, failures) in untold {
            if let Some(limiter) = self.limiter(name) {
                limiter.keep_untold(failures);
            }
        }
    }

    /// In the order of names and subjects, in which all replicas lock rows.
    fn owed(&self, untold: &[Untolds]) -> Vec<Owed> {
        let mut all = Vec::new();
        for (limit, failures) in untold {
            let Some(limiter) = self.limiter(limit) else {
                continue;
            };
            let refill = limiter.allowance().refill;
            all.extend(failures.iter().map(|(subject, untold)| Owed {
                limit,
                subject: *subject,
                age: limiter.age(untold.since),
                cost: refill.saturating_mul(untold.failures).min(LONGEST_DEBT),
            }));
        }
        all.sort_unstable_by_key(|owed| (owed.limit, owed.subject));
        all
    }

    fn hear(&self, heard: Vec<Heard>) {
        for one in heard {
            if let Some(limiter) = self.limiter(&one.limit) {
                limiter.hear(one.subject, one.pays_for);
            }
        }
    }
}

#[cfg(test)]
mod tests;
