//! Wrong guesses, and who has made too many.
//!
//! A wrong guess is a code that is looked up and no key has, or a text of one's own that another key has. It
//! counts for the caller and for the organization the caller belongs to. Once there is room for no more, nothing is looked at,
//! right or wrong; what was decided before is answered all the same, because that comes first.

use std::time::Duration;

use latchkey_service_kit::attempts::{Counted, Limits, Method, Owed, Subject, TooMany};
use latchkey_service_kit::database::{answered, reached};
use latchkey_service_kit::metrics::{Description, Kind};
use metrics::{Unit, counter};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{App, Call, Error};
use crate::domain::refusal::Refusal;
use crate::store;

/// The limit of one caller.
pub const CALLER: &str = "caller";
/// The limit of all callers of an organization.
pub const ORGANIZATION: &str = "organization";

/// The most subjects of each limit that are remembered: less than a hundred bytes each.
pub const PLACES: usize = 50_000;

/// The metrics of guesses.
pub const METRICS: &[Description] = &[(
    Kind::Counter,
    "latchkey_wrong_codes_total",
    Unit::Count,
    "Codes that no key has, or that another has already",
)];

/// `LookUpTrainingKey`.
pub(crate) const LOOK_UP: Method = Method {
    service: "TrainingKeyService",
    name: "LookUpTrainingKey",
};
/// `SetEventKey`.
pub(crate) const SET_EVENT_KEY: Method = Method {
    service: "TrainingKeyService",
    name: "SetEventKey",
};
/// `AddOwnPoolKeys`.
pub(crate) const ADD_OWN_POOL_KEYS: Method = Method {
    service: "KeyPoolService",
    name: "AddOwnPoolKeys",
};
/// `AddOwnSubscriptionKeys`.
pub(crate) const ADD_OWN_SUBSCRIPTION_KEYS: Method = Method {
    service: "SubscriptionKeyService",
    name: "AddOwnSubscriptionKeys",
};
/// `PutEventKey`: a class is created with its event key.
pub(crate) const PUT_EVENT_KEY: Method = Method {
    service: "KeyUsageService",
    name: "PutEventKey",
};

impl App {
    /// Refuses a guess by `method` when there is no room for it to be wrong.
    pub(crate) fn may_guess(&self, call: &Call, method: Method) -> Result<(), Error> {
        Ok(self.guesses.check(method, &counted(call))?)
    }

    /// Counts a guess by `method` that was wrong.
    pub(crate) fn settle_guess<T>(&self, call: &Call, method: Method, outcome: &Result<T, Error>) {
        let reason = match outcome {
            Err(Error::Refused(Refusal::CodeNotFound)) => "KEY_NOT_FOUND",
            Err(Error::Refused(Refusal::CodeTaken)) => "CODE_TAKEN",
            _ => return,
        };
        self.count(call, method, reason, 1);
    }

    /// Counts as many guesses by `method` that were wrong: codes that other keys have.
    pub(crate) fn count_guesses(&self, call: &Call, method: Method, number: usize) {
        self.count(call, method, "CODE_TAKEN", number);
    }

    fn count(&self, call: &Call, method: Method, reason: &'static str, number: usize) {
        let counted = counted(call);
        for _ in 0..number {
            counter!(
                "latchkey_wrong_codes_total",
                "service" => method.service,
                "method" => method.name,
                "reason" => reason,
            )
            .increment(1);
            self.guesses.failed(&counted);
        }
    }
}

fn counted(call: &Call) -> Vec<Counted> {
    let actor = &call.actor;
    let caller = (CALLER, Subject::caller(&actor.issuer, &actor.subject));
    let organization = actor.organization_id;
    let organization = organization.map(|id| (ORGANIZATION, Subject::id(id)));
    [caller].into_iter().chain(organization).collect()
}

impl From<TooMany> for Error {
    fn from(too_many: TooMany) -> Self {
        Self::TooManyAttempts {
            retry_after: too_many.retry_after,
        }
    }
}

/// Tells other replicas of wrong guesses, `every` so long, and hears of theirs, until `stop` and once after it. An exchange
/// may take as long as `patience`.
pub async fn share(
    limits: &Limits,
    pool: &PgPool,
    every: Duration,
    patience: Duration,
    stop: CancellationToken,
) {
    let exchange = async |owed: Vec<Owed>, unheard| {
        let exchange = store::attempts::exchange(pool, &owed, unheard);
        let silent = |silence| Error::DependencyUnavailable(std::sync::Arc::new(silence));
        answered(patience, exchange)
            .await
            .map_err(silent)?
            .map_err(Error::from)
    };
    tokio::select! {
        () = reached(pool) => {}
        () = stop.cancelled() => {}
    }
    limits.share(every, stop, exchange).await;
}
