//! Telling the keys service what became of its keys: a copy of what was decided, which nobody waits for.

use std::time::Duration;

use latchkey_service_kit::faults::planted;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Error, Services};
use crate::clients::keys::{Keys, MAX_ITEMS};
use crate::domain::key::Mark;
use crate::store::deliveries;

/// How long one delivery may take with all its calls. The transaction that remembers how far deliveries are stands idle
/// meanwhile, and the server ends it after five seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// What a delivery came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// How many uses the keys service was told of.
    pub uses: usize,
    /// Whether more was there than fits into one delivery.
    pub more: bool,
    /// Whether something is left: more than was there, not below the transactions in progress, or in the hands of another
    /// replica.
    pub owed: bool,
}

/// Delivers what is next. One delivery is in flight at a time, over all replicas; what is committed meanwhile goes with
/// the next one. To be told of a use twice, or in another order, changes nothing.
pub async fn deliver(services: &Services) -> Result<Delivery, Error> {
    let mut transaction = services.standing.begin().await?;
    let Some(from) = deliveries::lock(&mut transaction).await? else {
        transaction.rollback().await?;
        return Ok(Delivery {
            uses: 0,
            more: false,
            owed: true,
        });
    };
    let until = deliveries::mark(&mut transaction).await?;
    let stretch = deliveries::stretch(&mut transaction, from, until, MAX_ITEMS).await?;
    let uses = stretch.uses.len();
    if uses > 0 && planted("bug::told_after_the_commit") {
        deliveries::advance(&mut transaction, stretch.below).await?;
        transaction.commit().await?;
        tell(&services.keys, &stretch.uses).await?;
        return Ok(Delivery {
            uses,
            more: false,
            owed: false,
        });
    }
    if uses > 0 {
        tell(&services.keys, &stretch.uses).await?;
    }
    let more = !stretch.complete;
    let owed = more || deliveries::is_owed(&mut transaction, stretch.below).await?;
    // Also when nothing was told: what is none of the keys service's business is passed by.
    if stretch.below > from {
        deliveries::advance(&mut transaction, stretch.below).await?;
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(Delivery { uses, more, owed })
}

async fn tell(keys: &Keys, uses: &[Mark]) -> Result<(), Error> {
    let unknown = told(keys, uses).await?.unknown_keys;
    if !unknown.is_empty() {
        // Only after its database was restored. The comparison of both sides shows what is missing there.
        tracing::error!(key.ids = ?unknown, "the keys service does not know keys that were redeemed");
    }
    Ok(())
}

/// What the keys service says to being told of uses.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// How many uses it had no mark of.
    pub(super) marked: usize,
    /// How many it did not know to be given up.
    pub(super) released: usize,
    /// The ids of keys that it does not know.
    pub(super) unknown_keys: Vec<Uuid>,
}

/// Tells the keys service of uses, those that were given up after the others; [`PATIENCE`] bounds all calls together.
pub(super) async fn told(keys: &Keys, uses: &[Mark]) -> Result<Heard, Error> {
    let deadline = Instant::now() + PATIENCE;
    let left = || deadline.saturating_duration_since(Instant::now());
    let (live, given_up): (Vec<Mark>, Vec<Mark>) = uses
        .iter()
        .cloned()
        .partition(|one| one.released_at.is_none());
    let mut heard = Heard::default();
    for marks in live.chunks(MAX_ITEMS) {
        let told = keys.with_timeout(left()).mark(marks).await?;
        heard.marked += told.new;
        heard.unknown_keys.extend(told.unknown_keys);
    }
    for releases in given_up.chunks(MAX_ITEMS) {
        let told = keys.with_timeout(left()).release(releases).await?;
        heard.released += told.new;
        heard.unknown_keys.extend(told.unknown_keys);
    }
    Ok(heard)
}
