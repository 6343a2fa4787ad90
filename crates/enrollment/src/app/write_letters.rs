//! Writing letters into the outbox: those that follow from changes of enrollments, and those of times around classes.
//!
//! Where enrollments are decided, nothing is asked or written for this: what happened is read from the rows, in the order of
//! their commits (docs/decisions/0025).

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use latchkey_service_kit::database::begin;
use latchkey_service_kit::faults::crash_point;
use uuid::Uuid;

use super::{Error, Services};
use crate::domain::notification::Plan;
use crate::domain::notification::letters::{NewLetter, Place};
use crate::store;
use crate::store::notifications::changes::{self, Change};

/// How many changes are looked at in one transaction.
const CHANGES: i64 = 1_000;

/// How many classes a plan writes about in one sweep.
const CLASSES: i64 = 100;

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
    if stretch.below > from {
        changes::advance(&mut transaction, stretch.below).await?;
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
    Ok(letters.map(|one| (services.ids.new_id(), one)).collect())
}

/// Writes the letters of the times around classes that have come.
pub(super) async fn about_times(services: &Services) -> Result<(), Error> {
    let plans = changes::timed_plans(&services.pool).await?;
    for plan in &plans {
        about_times_of(services, plan).await?;
    }
    Ok(())
}

async fn about_times_of(services: &Services, plan: &Plan) -> Result<(), Error> {
    let Some(around) = plan.around() else {
        return Ok(());
    };
    let mut transaction = begin(&services.pool).await?;
    let now: DateTime<Utc> = store::students::erasure::now(&mut transaction).await?;
    // What was due before the plan was there is not written about.
    let from = around.earliest(now).max(plan.created_at);
    let window = (from, now);
    let due = changes::due_classes(&mut transaction, plan, around, window, CLASSES).await?;
    for place in changes::places(&mut transaction, &due).await? {
        let at = around.of(&place.class);
        if !changes::note_time(&mut transaction, plan.id, place.class.id, at).await? {
            continue;
        }
        let enrollments = changes::enrollments(&mut transaction, place.class.id).await?;
        let letters: Vec<(Uuid, NewLetter)> = plan
            .on_time(&place, &enrollments, at)
            .into_iter()
            .map(|one| (services.ids.new_id(), one))
            .collect();
        store::letters::insert(&mut transaction, &letters).await?;
    }
    transaction.commit().await?;
    Ok(())
}
