//! Writing letters into the outbox: those that follow from changes of enrollments, those of times around classes, and those
//! about assignments that expire.
//!
//! Where enrollments are decided, nothing is asked or written for this: what happened is read from the rows, in the order of
//! their commits (docs/decisions/0025).

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_service_kit::database::{self, begin};
use latchkey_service_kit::faults::crash_point;
use latchkey_service_kit::telemetry::Chain;
use uuid::Uuid;

use crate::app::delivery::sweep::in_time;
use crate::app::{Error, Services};
use crate::domain::notification::Plan;
use crate::domain::notification::letter::NewLetter;
use crate::domain::notification::letters::{Around, Place, earliest};
use crate::store;
use crate::store::notifications::changes::{self, Change};
use crate::store::notifications::expiries;

/// How many changes are looked at in one transaction.
const CHANGES: i64 = 1_000;

/// How many classes are written about in one transaction.
const CLASSES: i64 = 100;

/// How many assignments.
const ASSIGNMENTS: i64 = 1_000;

/// Writes the letters that follow from the changes that were not looked at yet; whether more is there. One replica looks at
/// a time.
pub(super) async fn about_changes(services: &Services) -> Result<bool, Error> {
    let mut transaction = begin(&services.pool).await?;
    let Some(from) = changes::lock(&mut transaction).await? else {
        transaction.rollback().await?;
        return Ok(false);
    };
    let until = store::deliveries::mark(&mut transaction).await?;
    let stretch = changes::stretch(&mut transaction, from, until, CHANGES).await?;
    let letters = follow(services, &mut transaction, &stretch.changes).await?;
    store::letters::insert(&mut transaction, &letters).await?;
    if stretch.end > from {
        changes::advance(&mut transaction, stretch.end).await?;
    }
    if !letters.is_empty() {
        crash_point("letters::written");
    }
    transaction.commit().await?;
    Ok(!stretch.complete)
}

async fn follow(
    services: &Services,
    connection: &mut sqlx::PgConnection,
    changed: &[Change],
) -> Result<Vec<(Uuid, NewLetter)>, Error> {
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let classes: BTreeSet<Uuid> = changed.iter().map(|change| change.class_id).collect();
    let classes: Vec<Uuid> = classes.into_iter().collect();
    let places = changes::places(connection, &classes).await?;
    let owners: BTreeSet<Uuid> = places
        .iter()
        .filter(|place| place.on_since.is_some())
        .flat_map(|place| place.ancestors.iter().chain([&place.class.organization_id]))
        .copied()
        .collect();
    let owners: Vec<Uuid> = owners.into_iter().collect();
    let plans = changes::plans_of(connection, &owners).await?;
    let places: HashMap<Uuid, &Place> = places.iter().map(|one| (one.class.id, one)).collect();
    let letters = changed.iter().flat_map(|change| {
        let place = places.get(&change.class_id);
        let of_plan = |plan: &Plan| match place {
            Some(place) => plan.on_change(place, &change.about, change.at),
            None => Vec::new(),
        };
        plans.iter().flat_map(of_plan).collect::<Vec<_>>()
    });
    Ok(numbered(services, letters))
}

/// Writes the letters of the times that have come: around classes, and before assignments expire. What fails for one plan keeps
/// no other from being written; the last failure is returned.
pub(super) async fn about_times(services: &Services) -> Result<(), Error> {
    let plans = in_time(services, async {
        Ok(changes::timed_plans(&services.pool).await?)
    });
    let mut done = Ok(());
    for plan in &plans.await? {
        if let Err(error) = about_times_of(services, plan).await {
            tracing::warn!(plan.id = %plan.id, error = %Chain(&error), "the letters of a plan are late");
            done = Err(error);
        }
    }
    done
}

/// Writes the letters of one plan, some at once, until there are no more.
async fn about_times_of(services: &Services, plan: &Plan) -> Result<(), Error> {
    match (plan.around(), plan.before_expiry()) {
        (Some(around), _) => {
            while in_time(services, about_classes(services, plan, around)).await? {}
        }
        (None, Some(ahead)) => {
            let mut after = None;
            loop {
                let some = about_expiries(services, plan, ahead, after);
                after = in_time(services, some).await?;
                if after.is_none() {
                    break;
                }
            }
        }
        (None, None) => {}
    }
    Ok(())
}

/// When what lies `ahead` must be for the plan to write about it now. What was due before the plan was there it does not write
/// about.
async fn window(
    connection: &mut sqlx::PgConnection,
    plan: &Plan,
    ahead: TimeDelta,
) -> sqlx::Result<(DateTime<Utc>, DateTime<Utc>)> {
    let now = database::now(connection).await?;
    Ok((earliest(ahead, now).max(plan.created_at), now))
}

async fn about_classes(services: &Services, plan: &Plan, around: Around) -> Result<bool, Error> {
    let mut transaction = begin(&services.pool).await?;
    let window = window(&mut transaction, plan, around.ahead).await?;
    let due = changes::due_classes(&mut transaction, plan, around, window, CLASSES).await?;
    for place in changes::places(&mut transaction, &due).await? {
        let at = around.of(&place.class);
        if !changes::note_time(&mut transaction, plan.id, place.class.id, at).await? {
            continue;
        }
        let enrollments = changes::enrollments(&mut transaction, place.class.id).await?;
        let letters = plan.on_time(&place, &enrollments, at);
        store::letters::insert(&mut transaction, &numbered(services, letters)).await?;
    }
    transaction.commit().await?;
    Ok(due.len() >= usize::try_from(CLASSES).unwrap_or(usize::MAX))
}

/// Writes about some assignments behind `after`; behind which there may be more.
async fn about_expiries(
    services: &Services,
    plan: &Plan,
    ahead: TimeDelta,
    after: Option<expiries::Place>,
) -> Result<Option<expiries::Place>, Error> {
    let mut transaction = begin(&services.pool).await?;
    let (from, until) = window(&mut transaction, plan, ahead).await?;
    let expiring = (from + ahead, until + ahead);
    let due = expiries::due(&mut transaction, plan, expiring, ahead, after, ASSIGNMENTS).await?;
    let noted = expiries::note(&mut transaction, plan.id, &due).await?;
    let noted: BTreeSet<Uuid> = noted.into_iter().collect();
    let letters = due
        .iter()
        .filter(|assignment| noted.contains(&assignment.assignment_id))
        .flat_map(|assignment| plan.on_expiry(assignment));
    let letters = numbered(services, letters);
    store::letters::insert(&mut transaction, &letters).await?;
    if !letters.is_empty() {
        crash_point("letters::reminded");
    }
    transaction.commit().await?;
    let full = due.len() >= usize::try_from(ASSIGNMENTS).unwrap_or(usize::MAX);
    let last = due.last().filter(|_| full);
    Ok(last.map(|one| (one.expires_at, one.assignment_id)))
}

/// Letters, each under an id of its own.
fn numbered(
    services: &Services,
    letters: impl IntoIterator<Item = NewLetter>,
) -> Vec<(Uuid, NewLetter)> {
    let numbered = |one| (services.ids.new_id(), one);
    letters.into_iter().map(numbered).collect()
}
