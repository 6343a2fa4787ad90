//! Deleting answers and letters whose retention has passed, and notes of what has expired. What enrolled somebody is kept for
//! ever.

use latchkey_service_kit::database::begin;

use crate::app::{Error, Services};
use crate::store::{letters, notifications, redemptions};

/// How many answers one transaction deletes: short enough to be in nobody's way.
const AT_ONCE: i64 = 1_000;

/// What one transaction came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Purged {
    /// How many answers were deleted.
    pub(super) deleted: u64,
    /// Whether there may be more.
    pub(super) more: bool,
}

/// Deletes the oldest answers that were kept long enough, some at once. Their ids are new from then on.
pub(super) async fn answers(services: &Services) -> Result<Purged, Error> {
    let mut transaction = begin(&services.pool).await?;
    let deleted =
        redemptions::purge::delete(&mut transaction, services.answers_kept_days, AT_ONCE).await?;
    transaction.commit().await?;
    Ok(Purged {
        deleted,
        more: deleted >= AT_ONCE.unsigned_abs(),
    })
}

/// Deletes the oldest notes that somebody was reminded of an assignment that has expired, some at once.
pub(super) async fn reminders(services: &Services) -> Result<Purged, Error> {
    let mut transaction = begin(&services.pool).await?;
    let deleted = notifications::expiries::purge(&mut transaction, AT_ONCE).await?;
    transaction.commit().await?;
    Ok(Purged {
        deleted,
        more: deleted >= AT_ONCE.unsigned_abs(),
    })
}

/// Deletes the oldest letters that were sent or given up long enough ago, some at once.
pub(super) async fn letters(services: &Services) -> Result<Purged, Error> {
    let mut transaction = begin(&services.pool).await?;
    let deleted = letters::purge(&mut transaction, services.answers_kept_days, AT_ONCE).await?;
    transaction.commit().await?;
    Ok(Purged {
        deleted,
        more: deleted >= AT_ONCE.unsigned_abs(),
    })
}
