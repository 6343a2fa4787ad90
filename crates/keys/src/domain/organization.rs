//! Organizations, as far as keys must know them: who stands above whom.

use uuid::Uuid;

/// A copy of an organization that the enrollment service owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub organization_id: Uuid,
    /// The organizations above it, nearest first.
    pub ancestor_ids: Vec<Uuid>,
    /// Grows with every change: the greater one is the newer.
    pub version: i64,
}
