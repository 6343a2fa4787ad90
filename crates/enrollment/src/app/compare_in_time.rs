//! The full comparison at its time, by one replica, and what it comes to as metrics.

use std::sync::Arc;
use std::time::Duration;

use latchkey_service_kit::backoff::any_part_of;
use latchkey_service_kit::database::{answered, begin};
use latchkey_service_kit::telemetry::Chain;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::compare::{Comparison, compare};
use super::{Error, Services};
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
    let mut transaction = begin(&services.pool).await?;
    let due = comparisons::begin(&mut transaction, services.pace.comparison, LONGEST).await?;
    transaction.commit().await?;
    if !due {
        return Ok(());
    }
    let done = answered(LONGEST, Box::pin(compare(services)))
        .await
        .unwrap_or_else(|silence| Err(Error::unavailable(silence)));
    let mut transaction = begin(&services.pool).await?;
    comparisons::end(&mut transaction, done.is_ok()).await?;
    transaction.commit().await?;
    let found = done?;
    show(&found, services);
    log(&found);
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating-point numbers"
)]
fn show(found: &Comparison, services: &Services) {
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
    // Of tables without a finding too: what was mended since must not be shown any longer.
    for (table, count) in found.findings.counts() {
        metrics::gauge!("latchkey_invariant_findings", "table" => table).set(count as f64);
    }
    metrics::gauge!("latchkey_classes_over_capacity").set(found.classes_over_capacity as f64);
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
        findings = found.findings.iter().count(),
        "compared with the keys service"
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
    for mark in &found.unknown_marks {
        tracing::error!(redemption.id = %mark.redemption_id, key.id = %mark.key_id, "keys has a mark of an unknown redemption");
    }
    for mark in &found.unknown_keys {
        tracing::error!(redemption.id = %mark.redemption_id, key.id = %mark.key_id, "keys does not know a key that was redeemed");
    }
}
