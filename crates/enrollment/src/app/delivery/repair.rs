//! Making the keys service have what it should, on request: after a restore of either database, too.

use std::time::Duration;

use latchkey_service_kit::database::begin;
use tokio::time::{Instant, sleep};

use super::compare::{Comparison, compare};
use super::sweep;
use crate::app::{Error, Services};
use crate::store::deliveries;
use crate::store::notifications::changes;

/// How many changes one transaction stamps again.
const AT_ONCE: i64 = 10_000;

/// How long another replica's delivery is waited for: longer than one may take.
const LOCK_WITHIN: Duration = Duration::from_secs(10);

/// How often it is looked whether it has ended.
const LOCK_EVERY: Duration = Duration::from_millis(20);

/// Sweeps and compares; with `after_restore`, first brings the order of commits in line with the server that the database
/// is on now.
pub async fn repair(services: &Services, after_restore: bool) -> Result<Comparison, Error> {
    if after_restore {
        stamp_again(services).await?;
        lower(services).await?;
    }
    sweep::sweep_once(services).await?;
    compare(services).await
}

/// A dump carries the ids of transactions of the server it was made on. Those that lie ahead here would be waited for.
async fn stamp_again(services: &Services) -> Result<(), Error> {
    loop {
        let mut transaction = begin(&services.pool).await?;
        let stamped = deliveries::stamp_again(&mut transaction, AT_ONCE).await?;
        transaction.commit().await?;
        if stamped < AT_ONCE.unsigned_abs() {
            return Ok(());
        }
    }
}

/// What was committed before is left to the comparison, which asks no order: from here on deliveries go by this server's.
async fn lower(services: &Services) -> Result<(), Error> {
    let deadline = Instant::now() + LOCK_WITHIN;
    loop {
        let mut transaction = begin(&services.pool).await?;
        if deliveries::lock(&mut transaction).await?.is_some() {
            deliveries::lower(&mut transaction).await?;
            changes::lower(&mut transaction).await?;
            transaction.commit().await?;
            return Ok(());
        }
        transaction.rollback().await?;
        if Instant::now() >= deadline {
            return Err(Error::Conflict);
        }
        sleep(LOCK_EVERY).await;
    }
}
