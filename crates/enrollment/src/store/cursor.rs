//! How far changes were gone over, in the order of commits.
//!
//! A change is below a mark when the transaction that made it has a lower id than the mark, and a mark is the lowest id
//! of those in progress: everything below it has ended. Sequences and clocks have no such order.

use uuid::Uuid;

/// Behind all changes below a mark, and behind those of the mark's own transaction whose rows have ids up to one. A transaction
/// may have changed more than can be gone over at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The mark.
    pub below: u64,
    /// The id.
    pub to: Uuid,
}

impl Cursor {
    /// Before all changes from the mark on.
    pub fn at(mark: u64) -> Self {
        Self {
            below: mark,
            to: Uuid::nil(),
        }
    }
}
