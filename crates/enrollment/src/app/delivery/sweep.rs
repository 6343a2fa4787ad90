//! The sweeper: one function in every replica, without an owner. It delivers what the keys service is owed, pushes copies
//! that did not arrive, retires what abandoned creations left behind, ends what erased students came by too late, and deletes
//! answers that were kept long enough.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use latchkey_service_kit::backoff::{Backoff, any_part_of};
use latchkey_service_kit::database::answered;
use latchkey_service_kit::telemetry::Chain;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::deliver::{self, deliver};
use super::purge;
use super::push;
use crate::app::students::erase_student::end_what_came_late;
use crate::app::{Error, Services};
use crate::store;

/// The pauses before what failed, or was not ripe, is tried again.
const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(20),
    longest: Duration::from_secs(5),
};

/// How long after one delivery the next one begins, when there is much to deliver. Nobody waits for the copy of a use, and
/// what a delivery costs hardly grows with what goes along: one for each batch took a quarter of what the keys service did.
const GATHERING: Duration = Duration::from_millis(100);

/// How many organizations are pushed in one call. Each has at most 32 ancestors: within a message of 1 MiB.
pub(super) const ORGANIZATIONS: i64 = 500;

/// How many classes are pushed in one call. Each has at most 50 instructors with long names: within a message of 1 MiB.
pub(super) const CLASSES: i64 = 50;

/// How many subscription profiles are pushed in one call: of each little is told.
pub(super) const PROFILES: i64 = 500;

/// How many times one sweep deletes some of what was kept long enough. What is left over is for the next, which begins at once:
/// meanwhile keys are told what they are owed.
const PURGES: usize = 50;

/// What a sweep came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Uses of keys that the keys service was told of.
    pub uses: usize,
    /// Organizations pushed.
    pub organizations: usize,
    /// Classes pushed.
    pub classes: usize,
    /// Subscription profiles pushed.
    pub profiles: usize,
    /// Left-overs of abandoned creations retired.
    pub retired: usize,
    /// Answers deleted that were kept long enough.
    pub purged: u64,
    /// Whether more may be there.
    pub purgeable: bool,
    /// Enrollments ended that erased students came by too late.
    pub ended: usize,
    /// Whether something was not ripe for delivery yet.
    pub owed: bool,
}

/// Runs until `shutdown` is cancelled: delivers whenever the service's bell rings, and sweeps at intervals. Failures are
/// logged and tried again later.
pub async fn run(services: Arc<Services>, shutdown: CancellationToken) {
    let mut next_sweep = Instant::now();
    let mut fruitless = 0;
    loop {
        let began = Instant::now();
        let whole = next_sweep <= began;
        let done = if whole {
            next_sweep = began + any_part_of(2 * services.pace.sweep);
            sweep_once(&services).await
        } else {
            settle(&services).await
        };
        if done.as_ref().is_ok_and(|swept| swept.purgeable) {
            next_sweep = began;
        }
        let wait = match done {
            Ok(swept) if !swept.owed => Wait::Idle,
            Ok(swept) => {
                fruitless = if swept.uses > 0 { 0 } else { fruitless + 1 };
                Wait::Unripe
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "what the keys service is owed is late");
                fruitless += 1;
                Wait::Failed
            }
        };
        if wait == Wait::Idle {
            fruitless = 0;
        }
        let now = Instant::now();
        let look = next_sweep.min(now + any_part_of(2 * services.pace.look));
        let again = now + PAUSES.pause(fruitless);
        let (bell, until) = match wait {
            Wait::Idle => (true, look),
            Wait::Unripe => (true, again),
            // Who cannot be reached is not called more often because there is more to say.
            Wait::Failed => (false, again),
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = services.wake.rung(), if bell => {}
            () = sleep_until(until) => {}
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep_until(began + GATHERING) => {}
        }
    }
}

/// What is waited for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// Nothing is left to do.
    Idle,
    /// Something is left that cannot be done yet.
    Unripe,
    /// Something failed.
    Failed,
}

/// Does all there is to do, once. What fails does not keep the rest from being done; the first failure is returned.
pub async fn sweep_once(services: &Services) -> Result<Swept, Error> {
    let mut swept = Swept::default();
    let settled = settle_into(services, Extent::Whole, &mut swept).await;
    let retired = retire(services).await;
    let purged = purge(services).await;
    let whole = settled.is_ok() && retired.is_ok() && purged.is_ok();
    let result = if whole { "ok" } else { "failed" };
    metrics::counter!("latchkey_sweeps_total", "result" => result).increment(1);
    // One failure is returned; the others would be seen by nobody.
    let others = [retired.as_ref().err(), purged.as_ref().err()];
    let returned = settled.is_ok();
    for error in others.into_iter().flatten().skip(usize::from(returned)) {
        tracing::warn!(error = %Chain(error), "a part of a sweep failed");
    }
    settled?;
    swept.retired = retired?;
    (swept.purged, swept.purgeable) = purged?;
    Ok(swept)
}

/// Delivers what is owed, and pushes copies that did not arrive.
pub(super) async fn settle(services: &Services) -> Result<Swept, Error> {
    let mut swept = Swept::default();
    settle_into(services, Extent::Owed, &mut swept).await?;
    Ok(swept)
}

/// What a delivery goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What is owed, if anything is.
    Owed,
    /// All that was committed since the last one. Enrollments without a key are passed by for good, which would else be
    /// looked through whenever it is asked what is owed.
    Whole,
}

async fn settle_into(services: &Services, extent: Extent, swept: &mut Swept) -> Result<(), Error> {
    // First: what it ends, keys are owed.
    let ended = in_time(services, end_what_came_late(services)).await;
    let owed = in_time(services, async {
        let owed = store::deliveries::owed(&services.pool).await?;
        let age = if owed.uses {
            store::deliveries::oldest_owed_seconds(&services.pool).await?
        } else {
            0.0
        };
        metrics::gauge!("latchkey_sweeper_oldest_owed_seconds").set(age);
        Ok(owed)
    })
    .await?;
    let delivered = if owed.uses || extent == Extent::Whole {
        deliver_all(services, swept).await
    } else {
        Ok(())
    };
    // Organizations first: classes and profiles belong to them.
    let organizations = if owed.organizations {
        push_organizations(services).await
    } else {
        Ok(0)
    };
    let classes = if owed.classes {
        push_classes(services).await
    } else {
        Ok(0)
    };
    let profiles = if owed.profiles {
        push_profiles(services).await
    } else {
        Ok(0)
    };
    delivered?;
    swept.ended = ended?;
    swept.organizations = organizations?;
    swept.classes = classes?;
    swept.profiles = profiles?;
    Ok(())
}

/// What a step comes to, within the bounds of one batch and of what it asks of the keys service: nobody else would find
/// out that a sweeper waits for a connection that has gone.
pub(in crate::app) async fn in_time<T>(
    services: &Services,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    answered(services.patience + deliver::PATIENCE, step)
        .await
        .map_err(Error::unavailable)?
}

async fn deliver_all(services: &Services, swept: &mut Swept) -> Result<(), Error> {
    loop {
        let delivery = in_time(services, deliver(services)).await?;
        swept.uses += delivery.uses;
        metrics::counter!("latchkey_sweeper_delivered_uses_total").increment(delivery.uses as u64);
        swept.owed = delivery.owed;
        if !delivery.more {
            return Ok(());
        }
    }
}

async fn push_organizations(services: &Services) -> Result<usize, Error> {
    let mut pushed = 0;
    loop {
        let next = in_time(services, async {
            let next = store::organizations::owed(&services.pool, ORGANIZATIONS).await?;
            if !next.is_empty() {
                push::organizations(services, &next).await?;
            }
            metrics::counter!("latchkey_sweeper_pushed_copies_total", "kind" => "organization")
                .increment(next.len() as u64);
            Ok(next.len())
        });
        match next.await? {
            0 => return Ok(pushed),
            more => pushed += more,
        }
    }
}

async fn push_classes(services: &Services) -> Result<usize, Error> {
    let mut pushed = 0;
    loop {
        let next = in_time(services, async {
            let next = store::classes::owed(&services.pool, CLASSES).await?;
            if !next.is_empty() {
                push::classes(services, &next).await?;
            }
            metrics::counter!("latchkey_sweeper_pushed_copies_total", "kind" => "class")
                .increment(next.len() as u64);
            Ok(next.len())
        });
        match next.await? {
            0 => return Ok(pushed),
            more => pushed += more,
        }
    }
}

async fn push_profiles(services: &Services) -> Result<usize, Error> {
    let mut pushed = 0;
    loop {
        let next = in_time(services, async {
            let next = store::profiles::owed(&services.pool, PROFILES).await?;
            if !next.is_empty() {
                push::profiles(services, &next).await?;
            }
            metrics::counter!("latchkey_sweeper_pushed_copies_total", "kind" => "profile")
                .increment(next.len() as u64);
            Ok(next.len())
        });
        match next.await? {
            0 => return Ok(pushed),
            more => pushed += more,
        }
    }
}

/// Deletes answers, letters and notes that were kept long enough; how many, and whether there may be more.
async fn purge(services: &Services) -> Result<(u64, bool), Error> {
    let mut purged = 0;
    for _ in 0..PURGES {
        let answers = in_time(services, purge::answers(services)).await?;
        let letters = in_time(services, purge::letters(services)).await?;
        let reminders = in_time(services, purge::reminders(services)).await?;
        let deleted = answers.deleted + letters.deleted + reminders.deleted;
        purged += deleted;
        metrics::counter!("latchkey_sweeper_purged_rows_total").increment(deleted);
        if !(answers.more || letters.more || reminders.more) {
            return Ok((purged, false));
        }
    }
    Ok((purged, true))
}

/// Retires what abandoned creations of classes left behind in the keys service, and pushes those classes that were
/// created after all; how many were retired.
async fn retire(services: &Services) -> Result<usize, Error> {
    in_time(services, retire_stale(services)).await
}

async fn retire_stale(services: &Services) -> Result<usize, Error> {
    let stale = services.keys.retire_grants(&[]).await?;
    if stale.is_empty() {
        return Ok(0);
    }
    let created = store::classes::find_all(&services.pool, &stale).await?;
    for classes in created.chunks(usize::try_from(CLASSES).unwrap_or(1)) {
        push::classes(services, classes).await?;
    }
    let abandoned: Vec<Uuid> = stale
        .into_iter()
        .filter(|id| created.iter().all(|class| class.id != *id))
        .collect();
    if !abandoned.is_empty() {
        services.keys.retire_grants(&abandoned).await?;
    }
    metrics::counter!("latchkey_sweeper_retired_grants_total").increment(abandoned.len() as u64);
    Ok(abandoned.len())
}
