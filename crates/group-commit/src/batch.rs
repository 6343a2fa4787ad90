//! What a step is given, and how it fails.

use std::ops::{Deref, Range};
use std::sync::Arc;

/// Items in order of arrival: a slice that can be moved into a future. Never empty.
///
/// Cheap to clone. While a batch is bisected, its parts share the items of the whole.
pub struct Batch<I> {
    items: Arc<Vec<I>>,
    range: Range<usize>,
}

impl<I> Batch<I> {
    pub(crate) fn new(items: Arc<Vec<I>>, range: Range<usize>) -> Self {
        debug_assert!(!range.is_empty() && range.end <= items.len());
        Self { items, range }
    }
}

impl<I> Clone for Batch<I> {
    fn clone(&self) -> Self {
        Self {
            items: Arc::clone(&self.items),
            range: self.range.clone(),
        }
    }
}

impl<I> Deref for Batch<I> {
    type Target = [I];

    fn deref(&self) -> &[I] {
        &self.items[self.range.clone()]
    }
}

impl<'a, I> IntoIterator for &'a Batch<I> {
    type Item = &'a I;
    type IntoIter = std::slice::Iter<'a, I>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// How a batch failed. Either way nothing of it was done: whoever returns this has rolled back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError<E> {
    /// Some item in the batch is at fault (a data error). The batch is tried again in halves, first
    /// half first, until the item stands alone; it alone fails, with this error.
    #[error("an item of the batch failed")]
    Item(#[source] E),
    /// The batch failed for a reason that is not in its items (a connection error). All its items
    /// fail with this error, and with them those of the same batch that bisecting left to be tried:
    /// they would meet the same.
    #[error("the batch failed")]
    Whole(#[source] E),
}
