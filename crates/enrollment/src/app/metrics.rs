//! What operators watch of redemptions. What each metric means stands in `docs/metrics.md`.

use latchkey_group_commit::Report;
use latchkey_service_kit::metrics::{Description, Kind, count};
use metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram};

/// What the metrics of this service are.
pub const METRICS: &[Description] = &[
    (
        Kind::Histogram,
        "latchkey_batch_items",
        Unit::Count,
        "Items in a batch",
    ),
    (
        Kind::Histogram,
        "latchkey_batch_duration_seconds",
        Unit::Seconds,
        "Batches, from beginning to end",
    ),
    (
        Kind::Histogram,
        "latchkey_batch_wait_seconds",
        Unit::Seconds,
        "How long the oldest item of a batch waited",
    ),
    (
        Kind::Counter,
        "latchkey_batch_failed_items_total",
        Unit::Count,
        "Items that failed in a batch",
    ),
    (
        Kind::Gauge,
        "latchkey_queue_items",
        Unit::Count,
        "Items that wait for a batch",
    ),
    (
        Kind::Counter,
        "latchkey_decide_retries_total",
        Unit::Count,
        "Batches decided afresh after a conflict",
    ),
    (
        Kind::Counter,
        "latchkey_redemptions_total",
        Unit::Count,
        "Answers given to redemptions and registrations",
    ),
    (
        Kind::Counter,
        "latchkey_wrong_codes_total",
        Unit::Count,
        "Codes that no key has, or that are for others",
    ),
    (
        Kind::Counter,
        "latchkey_seats_refused_total",
        Unit::Count,
        "Students refused because the class is full",
    ),
    (
        Kind::Counter,
        "latchkey_passwords_hashed_anew_total",
        Unit::Count,
        "Passwords hashed anew because hashes cost something else now",
    ),
    (
        Kind::Counter,
        "latchkey_sweeps_total",
        Unit::Count,
        "Whole sweeps",
    ),
    (
        Kind::Counter,
        "latchkey_sweeper_delivered_uses_total",
        Unit::Count,
        "Marks and releases told to keys",
    ),
    (
        Kind::Counter,
        "latchkey_sweeper_pushed_copies_total",
        Unit::Count,
        "Copies pushed to keys",
    ),
    (
        Kind::Counter,
        "latchkey_sweeper_retired_grants_total",
        Unit::Count,
        "Grants of abandoned creations retired",
    ),
    (
        Kind::Counter,
        "latchkey_sweeper_purged_rows_total",
        Unit::Count,
        "Old answers forgotten",
    ),
    (
        Kind::Gauge,
        "latchkey_sweeper_oldest_owed_seconds",
        Unit::Seconds,
        "Age of the oldest message owed to keys",
    ),
    (
        Kind::Counter,
        "latchkey_letters_total",
        Unit::Count,
        "What became of letters to people, each time one was tried",
    ),
    (
        Kind::Gauge,
        "latchkey_letters_oldest_due_seconds",
        Unit::Seconds,
        "How long the oldest letter is overdue",
    ),
    (
        Kind::Gauge,
        "latchkey_comparison_differences",
        Unit::Count,
        "What the last full comparison found",
    ),
    (
        Kind::Gauge,
        "latchkey_comparison_finished_timestamp_seconds",
        Unit::Seconds,
        "When the last full comparison ended",
    ),
    (
        Kind::Gauge,
        "latchkey_invariant_findings",
        Unit::Count,
        "Broken invariants, by the last full comparison",
    ),
    (
        Kind::Gauge,
        "latchkey_classes_over_capacity",
        Unit::Count,
        "Classes with more enrolled than seats",
    ),
];

/// The metrics of a step that works on batches.
#[derive(Clone)]
pub(super) struct Stage {
    items: Histogram,
    duration: Histogram,
    wait: Histogram,
    failed: Counter,
    queue: Gauge,
}

impl Stage {
    /// Those of the step with this name.
    pub(super) fn new(stage: &'static str) -> Self {
        Self {
            items: histogram!("latchkey_batch_items", "stage" => stage),
            duration: histogram!("latchkey_batch_duration_seconds", "stage" => stage),
            wait: histogram!("latchkey_batch_wait_seconds", "stage" => stage),
            failed: counter!("latchkey_batch_failed_items_total", "stage" => stage),
            queue: gauge!("latchkey_queue_items", "stage" => stage),
        }
    }

    /// A batch is over.
    pub(super) fn observe(&self, report: &Report) {
        // All that had gathered may have gone away.
        if report.size > 0 {
            self.items.record(count(report.size));
            self.duration.record(report.took);
            self.wait.record(report.waited);
        }
        self.failed.increment(report.failed as u64);
    }

    /// So many items wait at this moment.
    pub(super) fn waiting(&self, items: usize) {
        self.queue.set(count(items));
    }
}

/// A batch is decided afresh.
pub(super) fn decided_afresh() {
    counter!("latchkey_decide_retries_total").increment(1);
}

/// A password has a hash of the present cost now.
pub(super) fn password_hashed_anew() {
    counter!("latchkey_passwords_hashed_anew_total").increment(1);
}
