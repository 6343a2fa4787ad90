//! Where wishes for redemption queue: one batcher for each step, so that the steps of different batches overlap.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use latchkey_code::CanonicalCode;
use latchkey_group_commit::{Batch, BatchError, Batcher, Limits, SubmitError};
use latchkey_service_kit::access::{ResourceScope, Scope};
use latchkey_service_kit::database::answered;
use latchkey_service_kit::metrics::SAMPLE_INTERVAL;
use latchkey_service_kit::telemetry::traces;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::admission::Answer;
use super::check_key::{self, Inquiry, Judged};
use super::decide::{self, Decided, Locking};
use super::intake;
use super::intake::Recalled;
use crate::app::metrics::Stage;
use crate::app::{Call, Error, Services};
use crate::clients::keys::MAX_ITEMS;
use crate::domain::decision::{Applicant, Home, Wish};
use crate::domain::key::ResolvedKey;
use crate::domain::student::Student;

/// The bounds of each queue. A batch is one call to the keys service, so it has at most [`MAX_ITEMS`]; the queue holds a
/// few batches more, which a waiting caller sits out well within a usual deadline.
const LIMITS: Limits = Limits {
    max_batch: 512,
    max_queue: 4_096,
};
const _: () = assert!(LIMITS.max_batch <= MAX_ITEMS);

/// How often a wish is decided among all others before it waits for its class alone. Another replica holds a class for the
/// moment of one batch: it is free again by the next one, which costs nothing more for it, while each class that is waited for
/// alone takes a transaction of its own.
const TRIES: usize = 4;

/// A wish on its way, with whose it is.
#[derive(Debug, Clone)]
pub struct Item {
    /// The wish.
    pub wish: Wish,
    /// The call that brought it.
    pub call: Call,
    /// The account that comes with it, if it is a registration.
    pub registration: Option<Registration>,
}

/// An account to be made with an enrollment.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The account.
    pub student: Student,
    /// The hash of its password, as a PHC string, once it is there.
    pub password_hash: Option<SecretString>,
}

/// A code that some call asks about.
pub(super) struct Sought {
    code: CanonicalCode,
    /// The span of the call.
    span: Span,
}

impl Sought {
    /// The code as the keys service is asked about it: the same for all spellings.
    pub(super) fn text(&self) -> &str {
        self.code.expose()
    }
}

/// The way of redemptions through the service. One a process; closed by dropping it, after which what waits is still
/// decided.
pub struct Desk {
    services: Arc<Services>,
    recalls: Batcher<Item, Recalled, Error>,
    resolutions: Batcher<Sought, Option<ResolvedKey>, Error>,
    decisions: Batcher<Item, Decided, Error>,
    judgements: Batcher<Inquiry, Judged, Error>,
    lanes: Lanes,
    stages: Stages,
}

/// The metrics of each step.
struct Stages {
    recall: Stage,
    resolve: Stage,
    decide: Stage,
    judge: Stage,
    lane: Stage,
}

impl Stages {
    fn new() -> Self {
        Self {
            recall: Stage::new("recall"),
            resolve: Stage::new("resolve"),
            decide: Stage::new("decide"),
            judge: Stage::new("judge"),
            lane: Stage::new("lane"),
        }
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    /// Opens the queues. Needs a tokio runtime, which runs their batches.
    pub fn open(services: Arc<Services>) -> Self {
        let stages = Stages::new();
        Self {
            recalls: batcher(
                &services,
                stages.recall.clone(),
                |services, batch| async move { intake::recall(&services, &batch).await },
            ),
            resolutions: batcher(
                &services,
                stages.resolve.clone(),
                |services, batch: Batch<Sought>| {
                    // One call for many: it can belong to one trace only, that of who waited longest.
                    let first = batch.first();
                    let span = first.map_or_else(Span::none, |sought| sought.span.clone());
                    async move { intake::resolve(&services, &batch).await }.instrument(span)
                },
            ),
            decisions: batcher(
                &services,
                stages.decide.clone(),
                |services, batch| async move {
                    decide::step(&services, &batch, Locking::OnlyFree).await
                },
            ),
            judgements: batcher(
                &services,
                stages.judge.clone(),
                |services, batch| async move { check_key::step(&services, &batch).await },
            ),
            lanes: Lanes::new(&services, stages.lane.clone()),
            stages,
            services,
        }
    }

    /// Shows how many wait in each queue, again and again while there is the desk.
    pub async fn watch(desk: Weak<Self>) {
        while let Some(desk) = desk.upgrade() {
            let stages = &desk.stages;
            stages.recall.waiting(desk.recalls.waiting());
            stages.resolve.waiting(desk.resolutions.waiting());
            stages.decide.waiting(desk.decisions.waiting());
            stages.judge.waiting(desk.judgements.waiting());
            stages.lane.waiting(desk.lanes.waiting());
            drop(desk);
            tokio::time::sleep(SAMPLE_INTERVAL).await;
        }
    }

    /// What the desk works with.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// What is known of `item` before its key is.
    pub(super) async fn recall(&self, item: Item) -> Result<Recalled, Error> {
        let deadline = item.call.deadline;
        submit(&self.recalls, item, deadline).await
    }

    /// What `code` is, if a key has it.
    pub(super) async fn resolve(
        &self,
        code: CanonicalCode,
        deadline: Instant,
    ) -> Result<Option<ResolvedKey>, Error> {
        let span = traces::current();
        submit(&self.resolutions, Sought { code, span }, deadline).await
    }

    /// What would be decided about `inquiry`; nothing is done.
    pub(super) async fn judge(&self, inquiry: Inquiry) -> Result<Judged, Error> {
        let deadline = inquiry.item.call.deadline;
        submit(&self.judgements, inquiry, deadline).await
    }

    /// Decides about `item`, whose key is resolved. `None`: its password has to be hashed first.
    pub(super) async fn decide(&self, item: Item) -> Result<Option<Answer>, Error> {
        let deadline = item.call.deadline;
        let mut decided = submit(&self.decisions, item.clone(), deadline).await?;
        for _ in 1..TRIES {
            if !matches!(decided, Decided::Busy(_)) {
                break;
            }
            decided = submit(&self.decisions, item.clone(), deadline).await?;
        }
        if let Decided::Busy(class) = decided {
            let lane = self.lanes.lane(class);
            decided = submit(&lane, item, deadline).await?;
        }
        match decided {
            Decided::Answered(answer) => Ok(Some(*answer)),
            Decided::HashFirst => Ok(None),
            Decided::Busy(_) => Err(Error::Conflict),
        }
    }
}

type Lane = Batcher<Item, Decided, Error>;

/// Queues of classes that were locked by others at first try: each waits for its own class and for no other.
struct Lanes {
    services: Arc<Services>,
    /// How many of them may hold a connection and wait at the same time: the others of the pool are for classes that
    /// nobody holds.
    permits: Arc<Semaphore>,
    /// A lane lives as long as somebody waits in it.
    open: Mutex<HashMap<Uuid, Weak<Lane>>>,
    stage: Stage,
}

impl Lanes {
    fn new(services: &Arc<Services>, stage: Stage) -> Self {
        let connections = services.pool.options().get_max_connections() as usize;
        Self {
            services: Arc::clone(services),
            permits: Arc::new(Semaphore::new((connections / 2).max(1))),
            open: Mutex::default(),
            stage,
        }
    }

    /// How many wait in all of them.
    fn waiting(&self) -> usize {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let lanes = open.values().filter_map(Weak::upgrade);
        lanes.map(|lane| lane.waiting()).sum()
    }

    fn lane(&self, class: Uuid) -> Arc<Lane> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = open.get(&class).and_then(Weak::upgrade) {
            return lane;
        }
        open.retain(|_, lane| lane.strong_count() > 0);
        let permits = Arc::clone(&self.permits);
        let lane = Arc::new(batcher(
            &self.services,
            self.stage.clone(),
            move |services, batch| {
                let permits = Arc::clone(&permits);
                async move {
                    let _permit = decide::wait_for(&permits).await?;
                    decide::step(&services, &batch, Locking::Waiting).await
                }
            },
        ));
        open.insert(class, Arc::downgrade(&lane));
        lane
    }
}

fn batcher<I, O, P, F>(services: &Arc<Services>, stage: Stage, mut step: P) -> Batcher<I, O, Error>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    P: FnMut(Arc<Services>, Batch<I>) -> F + Send + 'static,
    F: Future<Output = Result<Vec<O>, BatchError<Error>>> + Send + 'static,
{
    let services = Arc::clone(services);
    Batcher::observed(
        LIMITS,
        move |batch| {
            let done = answered(services.patience, step(Arc::clone(&services), batch));
            async move {
                done.await
                    .unwrap_or_else(|silence| Err(BatchError::Whole(Error::unavailable(silence))))
            }
        },
        move |report| stage.observe(report),
    )
}

async fn submit<I, O>(
    batcher: &Batcher<I, O, Error>,
    item: I,
    deadline: Instant,
) -> Result<O, Error>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
{
    batcher
        .submit(item, Some(deadline))
        .await
        .map_err(|error| match error {
            SubmitError::Overloaded => Error::Overloaded,
            SubmitError::DeadlineExceeded => Error::DeadlineExceeded,
            SubmitError::Failed(error) => error,
            SubmitError::Closed => Error::unavailable(error),
            SubmitError::Interrupted => Error::internal(error),
        })
}

/// Whether `applicant`, who belongs to `home`, exists for a caller with this `scope`.
///
/// Of somebody who does not exist at all, those learn it whose scope would cover them wherever they belonged; to all
/// others they are like somebody beyond their reach.
pub(super) fn within_reach(scope: &Scope, applicant: &Applicant, home: Option<Home<'_>>) -> bool {
    let student = match applicant {
        Applicant::Student(id) => Some(*id),
        Applicant::Newcomer { .. } => None,
    };
    match home {
        Some(home) => scope.covers(&ResourceScope {
            organization: home.organization_id,
            ancestors: home.ancestors,
            instructors: &[],
            students: student.as_slice(),
        }),
        None => scope.everything || student.is_some_and(|id| scope.student == Some(id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUDENT: Uuid = Uuid::from_u128(1);
    const ORGANIZATION: Uuid = Uuid::from_u128(2);
    const ABOVE: [Uuid; 1] = [Uuid::from_u128(3)];

    fn reach(scope: &Scope, applicant: &Applicant, exists: bool) -> bool {
        let home = exists.then_some(Home {
            organization_id: ORGANIZATION,
            ancestors: &ABOVE,
            active: true,
            self_registration: true,
        });
        within_reach(scope, applicant, home)
    }

    #[test]
    fn who_does_not_exist_is_like_who_is_beyond_reach() {
        let newcomer = Applicant::Newcomer {
            organization_id: ORGANIZATION,
            account: None,
        };
        let student = Applicant::Student(STUDENT);
        let everything = Scope {
            everything: true,
            ..Scope::default()
        };
        let above = Scope {
            organization: Some(ABOVE[0]),
            ..Scope::default()
        };
        let elsewhere = Scope {
            organization: Some(Uuid::from_u128(9)),
            ..Scope::default()
        };
        let myself = Scope {
            student: Some(STUDENT),
            ..Scope::default()
        };
        for (scope, of_student, of_newcomer) in [
            (&everything, [true, true], [true, true]),
            (&above, [true, false], [true, false]),
            (&elsewhere, [false, false], [false, false]),
            (&myself, [true, true], [false, false]),
        ] {
            let reached = [reach(scope, &student, true), reach(scope, &student, false)];
            assert_eq!(reached, of_student, "{scope:?}");
            let reached = [
                reach(scope, &newcomer, true),
                reach(scope, &newcomer, false),
            ];
            assert_eq!(reached, of_newcomer, "{scope:?}");
        }
    }
}
