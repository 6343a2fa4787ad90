//! Bounds on attempts that fail: how often somebody may be wrong before they are asked to wait.
//!
//! Each limit has an allowance: so many failures at once, and one more after each while (GCRA, by the crate `governor`).
//! Only failures use it up. An attempt is let in while there is room for its failure; once there is none, nothing is
//! looked at any more, right or wrong, and the caller is told how long to wait. What replicas let in meanwhile is told to
//! all of them ([`Limits::share`]) and has to be paid back, so that in the long run all together let through what one
//! would.
//!
//! A limit is about subjects: students, organizations, callers. What identifies one is an id or a digest, so that nothing
//! in here is personal data.

mod book;
mod limiter;
mod share;
mod subject;

use std::time::Duration;

use metrics::{Unit, counter};

use crate::config::Problems;
use crate::metrics::{Description, Kind};

use limiter::Limiter;
pub use share::{Heard, Owed};
pub use subject::Subject;

/// The longest that one failure may weigh. Longer than makes sense, and short enough that no arithmetic of times overflows.
const LONGEST_REFILL: Duration = Duration::from_hours(24);

/// The longest that an allowance may take to come back as a whole, and the most that replicas believe one another.
const LONGEST_DEBT: Duration = Duration::from_hours(30 * 24);

/// The metrics of limits.
pub(crate) const METRICS: &[Description] = &[(
    Kind::Counter,
    "latchkey_attempts_limited_total",
    Unit::Count,
    "Attempts not looked at because too many before them failed",
)];

/// How often somebody may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Failures at once: at least 1.
    pub burst: u32,
    /// After how long there is room for one more.
    pub refill: Duration,
}

impl Allowance {
    /// The allowance that two settings make; `None` of one that is off, with a `burst` of 0.
    pub fn of(burst: u32, refill_ms: u64) -> Option<Self> {
        let refill = Duration::from_millis(refill_ms);
        (burst > 0).then_some(Self { burst, refill })
    }

    /// Whether it makes sense: at least one failure, each back within a day, and all of them within thirty.
    pub fn is_sound(&self) -> bool {
        let whole = self.refill.checked_mul(self.burst);
        self.burst > 0
            && (Duration::from_millis(1)..=LONGEST_REFILL).contains(&self.refill)
            && whole.is_some_and(|whole| whole <= LONGEST_DEBT)
    }
}

/// Checks the settings of limits, `NAME_burst` and `NAME_refill_ms` of each, and how often replicas exchange failures.
pub fn check_settings(
    allowances: &[(&str, Option<Allowance>)],
    exchange_interval_ms: u64,
    path: &str,
    problems: &mut Problems,
) {
    for (name, allowance) in allowances {
        problems.check(
            &format!("{path}{name}_refill_ms"),
            allowance.is_none_or(|allowance| allowance.is_sound()),
            "must be 1 to 86400000, and as often as the burst at most thirty days",
        );
    }
    problems.check(
        &format!("{path}exchange_interval_ms"),
        (1..=60_000).contains(&exchange_interval_ms),
        "must be 1 to 60000",
    );
}

/// Too many attempts failed. Nothing was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts failed")]
pub struct TooMany {
    /// After that long there is room for one attempt, unless others use it.
    pub retry_after: Duration,
}

/// Which method an attempt came by, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// The service's name, for example `RedemptionService`.
    pub service: &'static str,
    /// The method's.
    pub name: &'static str,
}

/// A subject of a limit that has this name.
pub type Counted = (&'static str, Subject);

/// An attempt in progress; over when it is dropped. Its failure is counted before that.
#[derive(Debug)]
pub struct Turn<'l> {
    _turn: limiter::Turn<'l>,
}

/// All limits of a process, each by its name.
#[derive(Debug)]
pub struct Limits {
    limiters: Vec<(&'static str, Limiter)>,
}

impl Limits {
    /// Limits with these names. One without an allowance is off. At most `places` subjects of each are remembered: beyond,
    /// those are forgotten that owe least.
    pub fn new(
        limits: impl IntoIterator<Item = (&'static str, Option<Allowance>)>,
        places: usize,
    ) -> Self {
        let on = limits
            .into_iter()
            .filter_map(|(name, allowance)| Some((name, Limiter::new(allowance?, places))));
        Self {
            limiters: on.collect(),
        }
    }

    fn limiter(&self, name: &str) -> Option<&Limiter> {
        let found = self.limiters.iter().find(|(known, _)| *known == name);
        found.map(|(_, limiter)| limiter)
    }

    /// Whether there is room for one more failure of each of `subjects`. Nothing is used up.
    ///
    /// # Errors
    /// When there is not, with the longest wait among them.
    pub fn check(&self, method: Method, subjects: &[Counted]) -> Result<(), TooMany> {
        let mut longest: Option<TooMany> = None;
        for (name, subject) in subjects {
            let Some(limiter) = self.limiter(name) else {
                continue;
            };
            if let Err(refused) = limiter.look(*subject) {
                limited(method, name);
                longest = longest
                    .filter(|known| known.retry_after >= refused.retry_after)
                    .or(Some(refused));
            }
        }
        longest.map_or(Ok(()), Err)
    }

    /// Lets an attempt of the subject in, when there is room for its failure beside those of its other attempts that are in
    /// progress: so attempts at the same time are worth no more than one after the other. Waits for the outcome of
    /// those where it matters.
    ///
    /// # Errors
    /// When there is no room.
    pub async fn enter(
        &self,
        method: Method,
        (name, subject): Counted,
    ) -> Result<Option<Turn<'_>>, TooMany> {
        let Some(limiter) = self.limiter(name) else {
            return Ok(None);
        };
        let entered = limiter.enter(subject).await;
        if entered.is_err() {
            limited(method, name);
        }
        entered.map(|turn| Some(Turn { _turn: turn }))
    }

    /// An attempt failed, for each of `subjects`.
    pub fn failed(&self, subjects: &[Counted]) {
        for (name, subject) in subjects {
            if let Some(limiter) = self.limiter(name) {
                limiter.failed(*subject);
            }
        }
    }
}

fn limited(method: Method, name: &'static str) {
    counter!(
        "latchkey_attempts_limited_total",
        "service" => method.service,
        "method" => method.name,
        "limit" => name,
    )
    .increment(1);
}
