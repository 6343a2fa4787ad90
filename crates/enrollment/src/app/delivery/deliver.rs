//! Telling the keys service what became of its keys: a copy of what was decided, which nobody waits for.

use std::time::Duration;

use latchkey_service_kit::faults::planted;
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::{Error, Services};
use crate::clients::keys::{Keys, MAX_ITEMS};
use crate::domain::key::Mark;
use crate::store::deliveries::{self, Use};

/// How long one delivery may take with all its calls. The transaction that remembers how far deliveries are stands idle
/// meanwhile, and the server ends it after five seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// After which part of that no further call is begun: what was told until then is remembered.
const ENOUGH: Duration = Duration::from_secs(2);

/// How many uses one delivery looks for. Those of a transaction that changed a million are put in order whenever some of them
/// are looked for: rather not for each call.
const AT_ONCE: usize = 10 * MAX_ITEMS;

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
    let stretch = deliveries::stretch(&mut transaction, from, until, AT_ONCE).await?;
    if !stretch.uses.is_empty() && planted("bug::told_after_the_commit") {
        deliveries::advance(&mut transaction, stretch.end).await?;
        transaction.commit().await?;
        let uses = tell(&services.keys, &stretch.uses).await?;
        return Ok(Delivery {
            uses,
            more: false,
            owed: false,
        });
    }
    let uses = tell(&services.keys, &stretch.uses).await?;
    let told = stretch.first(uses);
    let more = !told.complete;
    let owed = more || deliveries::is_owed(&mut transaction, told.end.below).await?;
    // Also when nothing was told: what is none of the keys service's business is passed by.
    if told.end > from {
        deliveries::advance(&mut transaction, told.end).await?;
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(Delivery { uses, more, owed })
}

/// Tells the keys service of the first of `uses`, as many as there is time for; how many.
async fn tell(keys: &Keys, uses: &[Use]) -> Result<usize, Error> {
    let began = Instant::now();
    let mut done = 0;
    for some in uses.chunks(MAX_ITEMS) {
        let marks = some.iter().map(|one| &one.mark);
        let unknown = told(keys, marks, began + PATIENCE).await?.unknown_keys;
        if !unknown.is_empty() {
            // Only after its database was restored. The comparison of both sides shows what is missing there.
            tracing::error!(key.ids = ?unknown, "the keys service does not know keys that were redeemed");
        }
        done += some.len();
        if began.elapsed() >= ENOUGH {
            break;
        }
    }
    Ok(done)
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

/// Tells the keys service of uses until `deadline`, those that were given up after the others.
pub(super) async fn told(
    keys: &Keys,
    uses: impl Iterator<Item = &Mark>,
    deadline: Instant,
) -> Result<Heard, Error> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let (live, given_up): (Vec<Mark>, Vec<Mark>) =
        uses.cloned().partition(|one| one.released_at.is_none());
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
