//! What a batch leaves for metrics.

use std::time::Duration;

/// One batch, told to the batcher's observer when it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Items that were given to the step; 0 if all that had gathered were dropped.
    pub size: usize,
    /// Items dropped before, because their deadline had passed.
    pub expired: usize,
    /// Items dropped before, because their submitter had gone.
    pub abandoned: usize,
    /// Items left waiting when the batch began, beyond its bound.
    pub left_waiting: usize,
    /// How often the step was called: 1, or more when the batch was bisected.
    pub attempts: usize,
    /// Items that failed.
    pub failed: usize,
    /// How long the first item of the batch had waited when it began.
    pub waited: Duration,
    /// From the batch's beginning to its end.
    pub took: Duration,
}
