//! What each subject owes, as `governor` wants it kept: the time by which all its failures are paid off.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;

use super::Subject;

/// What is done with a subject's account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    /// Looks whether there is room, and leaves it as it is.
    Look(Subject),
    /// Counts a failure, whether or not there was room: one that was let in elsewhere, or at the same time, is owed too.
    Failure(Subject),
}

/// The accounts. Clones are the same book.
#[derive(Debug, Clone)]
pub(super) struct Book {
    /// What one failure costs.
    cost: Nanos,
    /// The most subjects that are remembered.
    places: usize,
    due: Arc<Mutex<HashMap<Subject, Nanos>>>,
}

impl Book {
    pub(super) fn new(cost: Nanos, places: usize) -> Self {
        Self {
            cost,
            places,
            due: Arc::default(),
        }
    }

    fn due(&self) -> MutexGuard<'_, HashMap<Subject, Nanos>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By when everything is paid off that `subject` owes.
    #[cfg(test)]
    pub(super) fn of(&self, subject: Subject) -> Option<Nanos> {
        self.due().get(&subject).copied()
    }

    /// Has `subject` pay until `due`, unless it owes more.
    pub(super) fn raise(&self, subject: Subject, due: Nanos) {
        let mut all = self.due();
        let known = all.get(&subject).copied();
        self.put(&mut all, subject, known.map_or(due, |known| known.max(due)));
    }

    fn put(&self, all: &mut HashMap<Subject, Nanos>, subject: Subject, due: Nanos) {
        if all.len() >= self.places && !all.contains_key(&subject) {
            forget_some(all);
        }
        all.insert(subject, due);
    }
}

impl StateStore for Book {
    type Key = Entry;

    fn measure_and_replace<T, F, E>(&self, entry: &Entry, judge: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut all = self.due();
        match *entry {
            Entry::Look(subject) => judge(all.get(&subject).copied()).map(|(answer, _)| answer),
            Entry::Failure(subject) => {
                let before = all.get(&subject).copied();
                match judge(before) {
                    Ok((answer, due)) => {
                        self.put(&mut all, subject, due);
                        Ok(answer)
                    }
                    Err(refusal) => {
                        // Who is refused owes something, so that there is a time to add to.
                        let due = before.unwrap_or_default() + self.cost;
                        self.put(&mut all, subject, due);
                        Err(refusal)
                    }
                }
            }
        }
    }
}

impl ShrinkableKeyedStateStore<Entry> for Book {
    fn retain_recent(&self, drop_below: Nanos) {
        self.due().retain(|_, due| *due > drop_below);
    }

    fn len(&self) -> usize {
        self.due().len()
    }

    fn is_empty(&self) -> bool {
        self.due().is_empty()
    }
}

/// Forgets the quarter that owes least. Somebody who makes subjects up to have another one's failures forgotten would have
/// to fail as often with each of them.
fn forget_some(all: &mut HashMap<Subject, Nanos>) {
    let mut dues: Vec<Nanos> = all.values().copied().collect();
    if dues.is_empty() {
        return;
    }
    let mut left = dues.len() / 4 + 1;
    let (_, most, _) = dues.select_nth_unstable(left - 1);
    let most = *most;
    all.retain(|_, due| {
        let goes = left > 0 && *due <= most;
        left -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn subject(number: u128) -> Subject {
        Subject::id(Uuid::from_u128(number))
    }

    #[test]
    fn a_full_book_forgets_those_who_owe_least_and_never_grows() {
        let book = Book::new(Nanos::from(1), 100);
        let guilty = subject(0);
        book.raise(guilty, Nanos::from(1_000));
        for made_up in 1..10_000 {
            book.raise(
                subject(made_up),
                Nanos::from(u64::try_from(made_up % 900).unwrap()),
            );
            assert!(book.len() <= 100);
        }
        assert_eq!(book.of(guilty), Some(Nanos::from(1_000)));
    }

    #[test]
    fn equals_are_not_all_forgotten_at_once() {
        let mut all: HashMap<Subject, Nanos> = (0..100)
            .map(|number| (subject(number), Nanos::from(7)))
            .collect();
        forget_some(&mut all);
        assert_eq!(all.len(), 74);
    }
}
