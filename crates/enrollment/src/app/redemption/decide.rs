//! The deciding step of a redemption: one transaction for a whole batch, the single commit point.

mod record;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use latchkey_group_commit::{Batch, BatchError};
use latchkey_service_kit::faults::{crash_point, planted};
use sqlx::PgConnection;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use super::admission::{Admitted, Answer, Found, Gain, Granted, answers};
use super::desk::{Item, within_reach};
use super::give_way;
use super::intake::{batch_error, is_registration};
use super::planted::distort;
use crate::app::metrics::decided_afresh;
use crate::app::{Error, Services};
use crate::domain::class::Class;
use crate::domain::decision::{Decision, Ledger, Wish};
use crate::domain::key::Opens;
use crate::domain::redemption::Outcome;
use crate::domain::refusal::Refusal;
use crate::domain::student::Student;
use crate::store;

/// How often a batch is decided before its callers are told that there is a conflict. Classes are locked before anything
/// is read, so only a few things can come in between: the same redemption at another replica, an account with the same
/// e-mail address.
const ATTEMPTS: u32 = 5;

/// How long a lane waits for its turn to wait for its class: about as long as it may wait for the class itself.
const TURN_PATIENCE: Duration = Duration::from_secs(2);

/// What became of an item.
#[derive(Debug, Clone)]
pub(super) enum Decided {
    /// It was decided.
    Answered(Box<Answer>),
    /// Its password has to be hashed; nothing else stands against it, and nothing was done.
    HashFirst,
    /// Its class is held by somebody else, and nothing was done.
    Busy(Uuid),
}

/// What to do about a class that somebody else holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locking {
    /// Leave its items out: they are [`Decided::Busy`].
    OnlyFree,
    /// Wait, as long as the database lets one.
    Waiting,
}

/// Why a transaction was given up.
struct Failure {
    error: Error,
    /// Whether the same transaction may succeed when it is begun afresh.
    again: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let again = matches!(error, Error::Conflict);
        Self { error, again }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Error::from(error).into()
    }
}

/// The right to hold a connection while waiting for a class.
pub(super) async fn wait_for(
    permits: &Semaphore,
) -> Result<SemaphorePermit<'_>, BatchError<Error>> {
    match tokio::time::timeout(TURN_PATIENCE, permits.acquire()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(BatchError::Whole(Error::Conflict)),
    }
}

/// Decides a batch, in order of arrival. Whatever the facts did not show (a constraint, a deadlock) undoes the whole
/// batch, and it is decided afresh: never patched.
pub(super) async fn step(
    services: &Services,
    batch: &Batch<Item>,
    locking: Locking,
) -> Result<Vec<Decided>, BatchError<Error>> {
    tracing::trace!(number = batch.len(), "deciding redemptions");
    let mut attempt = 1;
    loop {
        match transact(services, batch, locking).await {
            Ok(decided) => return Ok(decided),
            Err(Failure { again: true, .. }) if planted("bug::conflict_patched") => {
                let guess = || answered(Err(Refusal::EmailTaken));
                return Ok(batch.iter().map(|_| guess()).collect());
            }
            Err(Failure { again: true, .. }) if attempt < ATTEMPTS => {
                attempt += 1;
                decided_afresh();
            }
            Err(Failure { error, again }) => {
                // A class that was not to be had is so for all of its items.
                return Err(match error {
                    Error::Conflict if !again => BatchError::Whole(error),
                    error => batch_error(error),
                });
            }
        }
    }
}

async fn transact(
    services: &Services,
    items: &[Item],
    locking: Locking,
) -> Result<Vec<Decided>, Failure> {
    let mut transaction = services.standing.begin().await?;
    match attempt(&mut transaction, services, items, locking).await {
        Ok(Attempt { decided, changed }) => {
            if planted("bug::answered_before_the_flush") {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    transaction.commit().await
                });
            } else {
                transaction.commit().await?;
            }
            if changed {
                services.wake.ring();
            }
            Ok(decided)
        }
        Err(failure) => {
            // Its locks must be gone before the next attempt. A connection that cannot even do that is lost, and its
            // locks with it.
            let _gone = transaction.rollback().await;
            Err(failure)
        }
    }
}

struct Attempt {
    decided: Vec<Decided>,
    /// Whether enrollments were made, which the keys service has to be told.
    changed: bool,
}

async fn attempt(
    connection: &mut PgConnection,
    services: &Services,
    items: &[Item],
    locking: Locking,
) -> Result<Attempt, Failure> {
    let early = if planted("bug::facts_read_before_the_lock") {
        let classes = classes(connection, items).await?;
        Some(facts(connection, wishes(items), classes).await?)
    } else {
        None
    };
    let Locked { classes, busy } = lock(connection, items, locking).await?;
    let held = |item: &Item| class_of(item).filter(|class| busy.contains(class));
    let open: Vec<&Item> = items.iter().filter(|item| held(item).is_none()).collect();
    let (answered, changed) = if open.is_empty() {
        (Vec::new(), false)
    } else {
        let counted: Vec<Uuid> = open.iter().filter_map(|item| counted_key(item)).collect();
        store::assignments::lock_keys(connection, &counted).await?;
        let ledger = match early {
            Some(ledger) => ledger,
            None => facts(connection, wishes(open.iter().copied()), classes).await?,
        };
        decide(connection, services, &open, ledger).await?
    };
    let mut answered = answered.into_iter();
    let decided = items
        .iter()
        .filter_map(|item| held(item).map(Decided::Busy).or_else(|| answered.next()))
        .collect();
    Ok(Attempt { decided, changed })
}

fn class_of(item: &Item) -> Option<Uuid> {
    item.wish.key.as_ref()?.class_id()
}

/// The key of `item`, if it has several uses, which are counted.
fn counted_key(item: &Item) -> Option<Uuid> {
    let key = item.wish.key.as_ref()?;
    match key.opens {
        Opens::Subscription(terms) if terms.max_uses.is_some_and(|uses| uses > 1) => {
            Some(key.key_id)
        }
        _ => None,
    }
}

/// The classes that a batch is about.
#[derive(Default)]
struct Locked {
    /// Those that are locked now, as they are.
    classes: HashMap<Uuid, Class>,
    /// Those that others hold.
    busy: BTreeSet<Uuid>,
}

/// Locks the classes of `items`, in order of their ids, and reads them.
async fn lock(
    connection: &mut PgConnection,
    items: &[Item],
    locking: Locking,
) -> Result<Locked, Failure> {
    let wanted: BTreeSet<Uuid> = items.iter().filter_map(class_of).collect();
    if wanted.is_empty() {
        return Ok(Locked::default());
    }
    if !planted("bug::class_not_locked") {
        match locking {
            Locking::OnlyFree => return lock_free(connection, wanted).await,
            Locking::Waiting => wait(connection, wanted).await?,
        }
    }
    Ok(Locked {
        classes: classes(connection, items).await?,
        busy: BTreeSet::new(),
    })
}

/// Locks and reads those of `wanted` that nobody holds.
async fn lock_free(
    connection: &mut PgConnection,
    wanted: BTreeSet<Uuid>,
) -> Result<Locked, Failure> {
    let wanted: Vec<Uuid> = wanted.into_iter().collect();
    let locked = store::classes::locks::lock_free(connection, &wanted).await?;
    let classes: HashMap<Uuid, Class> = locked.into_iter().map(|one| (one.id, one)).collect();
    let rest: Vec<Uuid> = wanted
        .into_iter()
        .filter(|class| !classes.contains_key(class))
        .collect();
    let busy = if rest.is_empty() {
        BTreeSet::new()
    } else {
        // The others are held, or do not exist, which is a reason to be decided like any other.
        let existing = store::classes::locks::existing(connection, &rest).await?;
        existing.into_iter().collect()
    };
    Ok(Locked { classes, busy })
}

/// Locks all of `wanted`, one after the other.
async fn wait(connection: &mut PgConnection, wanted: BTreeSet<Uuid>) -> Result<(), Failure> {
    for class in wanted {
        let locked = store::classes::lock(connection, class).await;
        // A lock that was not granted in time is not waited for once more.
        locked.map_err(|error| Failure {
            error: error.into(),
            again: false,
        })?;
    }
    Ok(())
}

fn wishes<'i>(items: impl IntoIterator<Item = &'i Item>) -> Vec<&'i Wish> {
    items.into_iter().map(|item| &item.wish).collect()
}

async fn classes(
    connection: &mut PgConnection,
    items: &[Item],
) -> sqlx::Result<HashMap<Uuid, Class>> {
    store::facts::read_classes(connection, &wishes(items)).await
}

/// What is known about `wishes`, whose classes are `classes`.
async fn facts(
    connection: &mut PgConnection,
    wishes: Vec<&Wish>,
    classes: HashMap<Uuid, Class>,
) -> Result<Ledger, Failure> {
    let mut ledger = store::facts::read(connection, &wishes).await?;
    ledger.classes = classes;
    distort(&mut ledger, &wishes);
    crash_point("decide::facts_read");
    Ok(ledger)
}

/// Decides and writes; whether enrollments were made.
async fn decide(
    connection: &mut PgConnection,
    services: &Services,
    items: &[&Item],
    mut ledger: Ledger,
) -> Result<(Vec<Decided>, bool), Failure> {
    let judge = |item: &&Item| {
        let home = ledger.home(&item.wish.applicant);
        let reached = within_reach(&item.call.scope, &item.wish.applicant, home);
        ledger.decide(&item.wish, reached)
    };
    let decisions: Vec<Decision> = if planted("bug::last_come_first_served") {
        let last_first: Vec<Decision> = items.iter().rev().map(judge).collect();
        last_first.into_iter().rev().collect()
    } else {
        items.iter().map(judge).collect()
    };
    give_way::end(connection, services, items, &decisions, ledger.now).await?;
    let changed = record::write(connection, items, &decisions, &ledger).await?;
    let found: Vec<Found> = items
        .iter()
        .zip(&decisions)
        .filter_map(|(item, decision)| found(&item.wish, decision))
        .collect();
    // After the writes: what was decided a moment ago, in this batch, is among it.
    let mut found = answers(connection, &found).await?.into_iter();
    let classes: HashMap<Uuid, Arc<Class>> = ledger
        .classes
        .into_iter()
        .map(|(id, class)| (id, Arc::new(class)))
        .collect();
    let now = ledger.now;
    let decided = items
        .iter()
        .zip(decisions)
        .filter_map(|(item, decision)| match decision {
            Decision::Enroll(admission) => {
                let class = classes.get(&admission.enrollment.class_id)?;
                let gain = Gain::Enrollment {
                    enrollment: admission.enrollment,
                    class: Arc::clone(class),
                };
                Some(answered(Ok(admitted(item, gain, now))))
            }
            Decision::Assign { assignment, .. } => {
                let gain = Gain::Assignment(assignment);
                Some(answered(Ok(admitted(item, gain, now))))
            }
            Decision::AlreadyIn(_) | Decision::AlreadyAssigned(_) | Decision::Repeat(_) => {
                found.next().map(answered)
            }
            Decision::HashFirst => Some(Decided::HashFirst),
            Decision::Refuse(refusal) => Some(answered(Err(refusal))),
        })
        .collect();
    Ok((decided, changed))
}

fn answered(answer: Answer) -> Decided {
    Decided::Answered(Box::new(answer))
}

fn found(wish: &Wish, decision: &Decision) -> Option<Found> {
    let outcome = match decision {
        Decision::Repeat(outcome) => outcome.clone(),
        Decision::AlreadyIn(id) => Outcome::AlreadyIn { enrollment_id: *id },
        Decision::AlreadyAssigned(id) => Outcome::AlreadyAssigned { assignment_id: *id },
        Decision::Enroll(_)
        | Decision::Assign { .. }
        | Decision::HashFirst
        | Decision::Refuse(_) => {
            return None;
        }
    };
    Some(Found {
        redemption_id: wish.redemption_id?,
        outcome,
        registration: is_registration(wish),
    })
}

fn admitted(item: &Item, gain: Gain, now: DateTime<Utc>) -> Admitted {
    Admitted {
        outcome: match &gain {
            Gain::Enrollment { enrollment, .. } if enrollment.status.is_waiting() => {
                Granted::WaitListed
            }
            Gain::Enrollment { .. } => Granted::Enrolled,
            Gain::Assignment(_) => Granted::Assigned,
        },
        gain,
        student: item.registration.as_ref().map(|one| Student {
            created_at: now,
            ..one.student.clone()
        }),
        replayed: false,
    }
}
