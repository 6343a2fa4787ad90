//! The full comparison and a look at all invariants, at their time, by one replica, and what they come to as metrics.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use latchkey_service_kit::backoff::any_part_of;
use latchkey_service_kit::database::{answered, begin};
use latchkey_service_kit::telemetry::Chain;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::compare::{Comparison, compare};
use super::invariants::{Invariants, invariants};
use super::sweep::in_time;
use crate::app::{Error, Services};
use crate::store::comparisons;

/// How often it is looked, at the least, whether a comparison is due.
const LOOK_INTERVAL: Duration = Duration::from_mins(10);

/// After which time a comparison in progress is taken for dead.
const LONGEST: Duration = Duration::from_hours(1);

/// Runs until `shutdown` is cancelled. A failure is logged; the comparison is then tried again.
pub async fn run(services: Arc<Services>, shutdown: CancellationToken) {
    let look = 2 * services.pace.comparison.min(LOOK_INTERVAL);
    loop {
        // The first one too: replicas are started at the same time.
        let next = Instant::now() + any_part_of(look);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep_until(next) => {}
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            done = if_due(&services) => if let Err(error) = done {
                tracing::warn!(error = %Chain(&error), "the comparison with the keys service failed");
            }
        }
    }
}

async fn if_due(services: &Services) -> Result<(), Error> {
    if !in_time(services, begin_one(services)).await? {
        return Ok(());
    }
    // Each is shown by itself: what one of them found is not lost when the other fails.
    let deadline = Instant::now() + LONGEST;
    let compared = by(deadline, compare(services)).await.inspect(|found| {
        show(found);
        log(found);
    });
    let looked = by(deadline, invariants(services)).await.inspect(|found| {
        show_invariants(found);
        log_invariants(found);
    });
    let whole = compared.is_ok() && looked.is_ok();
    in_time(services, end_one(services, whole)).await?;
    if whole {
        show_end(services);
    }
    if let Err(error) = &looked {
        tracing::warn!(error = %Chain(error), "the invariants could not be looked at");
    }
    compared.map(|_| ())
}

async fn begin_one(services: &Services) -> Result<bool, Error> {
    let mut transaction = begin(&services.pool).await?;
    let due = comparisons::begin(&mut transaction, services.pace.comparison, LONGEST).await?;
    transaction.commit().await?;
    Ok(due)
}

async fn end_one(services: &Services, whole: bool) -> Result<(), Error> {
    let mut transaction = begin(&services.pool).await?;
    comparisons::end(&mut transaction, whole).await?;
    transaction.commit().await?;
    Ok(())
}

async fn by<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let left = deadline.saturating_duration_since(Instant::now());
    answered(left, Box::pin(work))
        .await
        .map_err(Error::unavailable)?
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating-point numbers"
)]
fn show(found: &Comparison) {
    let differences = [
        ("missing_mark", found.marked + found.contradictions.len()),
        ("missing_release", found.released),
        ("unknown_mark", found.unknown_marks.len()),
        ("unknown_key", found.unknown_keys.len()),
        ("stale_copy", found.copies),
    ];
    for (kind, count) in differences {
        metrics::gauge!("latchkey_comparison_differences", "kind" => kind).set(count as f64);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating-point numbers"
)]
fn show_invariants(found: &Invariants) {
    // Of tables without a finding too: what was mended since must not be shown any longer.
    for (table, count) in found.findings.counts() {
        metrics::gauge!("latchkey_invariant_findings", "table" => table).set(count as f64);
    }
    metrics::gauge!("latchkey_classes_over_capacity").set(found.classes_over_capacity as f64);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating-point numbers"
)]
fn show_end(services: &Services) {
    let now = services.clock.now().timestamp_millis() as f64 / 1_000.0;
    metrics::gauge!("latchkey_comparison_finished_timestamp_seconds").set(now);
}

fn log(found: &Comparison) {
    tracing::info!(
        marked = found.marked,
        released = found.released,
        copies = found.copies,
        unknown_marks = found.unknown_marks.len(),
        unknown_keys = found.unknown_keys.len(),
        contradictions = found.contradictions.len(),
        "compared with the keys service"
    );
    for mark in &found.unknown_marks {
        tracing::error!(redemption.id = %mark.redemption_id, key.id = %mark.key_id, "keys has a mark of an unknown redemption");
    }
    for mark in &found.unknown_keys {
        tracing::error!(redemption.id = %mark.redemption_id, key.id = %mark.key_id, "keys does not know a key that was redeemed");
    }
}

fn log_invariants(found: &Invariants) {
    tracing::info!(
        findings = found.findings.iter().count(),
        "looked at the invariants of all rows"
    );
    for finding in found.findings.iter() {
        tracing::error!(
            table = finding.table,
            id = finding.id,
            invariant = finding.invariant,
            found = finding.found,
            "an invariant is broken"
        );
    }
}
