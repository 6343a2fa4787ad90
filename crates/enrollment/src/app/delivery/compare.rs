//! The full comparison of both services: what the keys service should have of this one, against what it has. What can be
//! derived is mended, what cannot is reported.
//!
//! Both sides are read page by page in the order of redemptions and merged. A difference that the merge shows may be on its
//! way, or come of one page having been read before the other. So it is looked at again after everything that had been
//! committed by then was delivered: of a use that has not changed since, keys was told; when it says that it had not
//! heard of it, the difference was one. And whoever keys has a mark of was here before it: if not even a later reading
//! shows it, this database does not know it.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::deliver::{PATIENCE, told};
use super::push;
use super::sweep::{CLASSES, ORGANIZATIONS, PROFILES, in_time, settle};
use crate::app::{Error, Services};
use crate::clients::keys::MAX_ITEMS;
use crate::domain::key::Mark;
use crate::store;
use crate::store::deliveries::Use;

/// How long what is owed may take to arrive: longer than any transaction lasts that it may have to wait for.
const DRAIN_WITHIN: Duration = Duration::from_secs(30);

/// How often it is tried again to deliver what is not ripe.
const DRAIN_EVERY: Duration = Duration::from_millis(20);

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Live uses that keys had no mark of. They have one now.
    pub marked: usize,
    /// Uses that were given up, which keys had not heard of. It has now.
    pub released: usize,
    /// Copies of organizations, classes and subscription profiles that keys did not have, or had older or newer than the original. They are right
    /// now.
    pub copies: usize,
    /// Live marks in keys of redemptions that are not known here: this database was restored. Their keys stay refused.
    pub unknown_marks: Vec<Mark>,
    /// Uses of keys that the keys service does not know: its database was restored.
    pub unknown_keys: Vec<Mark>,
    /// Marks that say something else than the use here, and cannot be changed.
    pub contradictions: Vec<Mark>,
}

/// Compares everything, mends what can be derived, and reports the rest. Sound while calls are served, and to be repeated.
pub async fn compare(services: &Services) -> Result<Comparison, Error> {
    let mut found = Comparison::default();
    // What is merely owed is no difference.
    drain(services).await?;
    copies(services, &mut found).await?;
    uses(services, &mut found).await?;
    // The copies whose originals got a newer version.
    drain(services).await?;
    Ok(found)
}

/// Delivers everything that was committed before this was called. Returns the mark that it was below.
pub(super) async fn drain(services: &Services) -> Result<u64, Error> {
    let mark = store::deliveries::ceiling(&services.pool).await?;
    let deadline = Instant::now() + DRAIN_WITHIN;
    loop {
        settle(services).await?;
        if !store::deliveries::is_owed_below(&services.pool, mark).await? {
            return Ok(mark);
        }
        if Instant::now() >= deadline {
            return Err(Error::DeadlineExceeded);
        }
        sleep(DRAIN_EVERY).await;
    }
}

/// Puts every copy again that is believed to be in keys: one that is there as it should be is not touched.
async fn copies(services: &Services, found: &mut Comparison) -> Result<(), Error> {
    let mut after = Uuid::nil();
    loop {
        let page = store::organizations::copied(&services.pool, after, ORGANIZATIONS).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        found.copies += in_time(services, push::organizations(services, &page)).await?;
    }
    let mut after = Uuid::nil();
    loop {
        let page = store::classes::copied(&services.pool, after, CLASSES).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        found.copies += in_time(services, push::classes(services, &page)).await?;
    }
    let mut after = Uuid::nil();
    loop {
        let page = store::profiles::copied(&services.pool, after, PROFILES).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        found.copies += in_time(services, push::profiles(services, &page)).await?;
    }
    Ok(())
}

/// The pair that names a use on both sides.
type Pair = (Uuid, Uuid);

fn pair(mark: &Mark) -> Pair {
    (mark.redemption_id, mark.key_id)
}

/// A difference that may be on its way.
struct Open {
    pair: Pair,
    mark: Option<Mark>,
}

async fn uses(services: &Services, found: &mut Comparison) -> Result<(), Error> {
    let mut copies = Copies::of(services);
    let mut originals = Originals::of(services);
    let mut open = Vec::new();
    loop {
        let (copy, original) = (copies.peek().await?, originals.peek().await?);
        let order = match (copy, original) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(copy), Some(original)) => pair(copy).cmp(&pair(&original.mark)),
        };
        let copy = copies.page.next_if(|_| order.is_le());
        let original = originals.page.next_if(|_| order.is_ge());
        open.extend(difference(copy, original.as_ref()));
        if open.len() >= MAX_ITEMS {
            look_again(services, std::mem::take(&mut open), found).await?;
        }
    }
    look_again(services, open, found).await
}

fn difference(copy: Option<Mark>, original: Option<&Use>) -> Option<Open> {
    let pair = copy
        .as_ref()
        .or(original.map(|original| &original.mark))
        .map(pair)?;
    let differs = match (&copy, original) {
        (Some(copy), Some(original)) => {
            contradicts(copy, &original.mark)
                || copy.released_at.is_some() != original.mark.released_at.is_some()
        }
        (Some(copy), None) => copy.released_at.is_none(),
        (None, _) => true,
    };
    differs.then_some(Open { pair, mark: copy })
}

/// Whether both say something else of the same use.
fn contradicts(copy: &Mark, original: &Mark) -> bool {
    (copy.student_id, copy.generation, copy.redeemed_at)
        != (
            original.student_id,
            original.generation,
            original.redeemed_at,
        )
        || (copy.released_at.is_some() && original.released_at.is_none())
}

/// Delivers what is owed, and sees which of the differences are some.
async fn look_again(
    services: &Services,
    open: Vec<Open>,
    found: &mut Comparison,
) -> Result<(), Error> {
    if open.is_empty() {
        return Ok(());
    }
    let delivered_below = drain(services).await?;
    let ids: Vec<Uuid> = open.iter().map(|one| one.pair.0).collect();
    let present = store::deliveries::uses_of(&services.pool, &ids).await?;
    let present: HashMap<Pair, Use> = present
        .into_iter()
        .map(|one| (pair(&one.mark), one))
        .collect();
    let mut late = Vec::new();
    for Open { pair, mark } in open {
        match (present.get(&pair), mark) {
            (None, Some(mark)) => found.unknown_marks.push(mark),
            // Changed meanwhile: keys is told of it by itself.
            (Some(original), _) if original.changed >= delivered_below => {}
            (Some(original), Some(mark)) if contradicts(&mark, &original.mark) => {
                found.contradictions.push(mark);
            }
            (Some(Use { mark, .. }), _) => late.push(mark.clone()),
            (None, None) => {}
        }
    }
    tell(services, &late, found).await
}

/// Tells keys of uses; what it had not heard of is counted.
async fn tell(services: &Services, uses: &[Mark], found: &mut Comparison) -> Result<(), Error> {
    let heard = told(&services.keys, uses.iter(), Instant::now() + PATIENCE).await?;
    found.marked += heard.marked;
    found.released += heard.released;
    let lost = uses
        .iter()
        .filter(|mark| heard.unknown_keys.contains(&mark.key_id));
    found.unknown_keys.extend(lost.cloned());
    Ok(())
}

/// Items of a page that were not taken yet.
type Page<T> = std::iter::Peekable<std::vec::IntoIter<T>>;

/// All marks of the keys service, page by page.
struct Copies<'s> {
    services: &'s Services,
    page: Page<Mark>,
    /// Of the next page; `None` behind the last.
    token: Option<String>,
}

impl<'s> Copies<'s> {
    fn of(services: &'s Services) -> Self {
        Self {
            services,
            page: Vec::new().into_iter().peekable(),
            token: Some(String::new()),
        }
    }

    async fn peek(&mut self) -> Result<Option<&Mark>, Error> {
        while self.page.peek().is_none() {
            let Some(token) = self.token.take() else {
                return Ok(None);
            };
            let keys = self.services.keys.with_timeout(PATIENCE);
            let next = keys.list_marks(token).await?;
            self.token = Some(next.next_page_token).filter(|token| !token.is_empty());
            self.page = next.marks.into_iter().peekable();
        }
        Ok(self.page.peek())
    }
}

/// All uses of keys, page by page.
struct Originals<'s> {
    services: &'s Services,
    page: Page<Use>,
    /// The last enrollment that was read; `None` behind the last page.
    after: Option<Uuid>,
}

impl<'s> Originals<'s> {
    fn of(services: &'s Services) -> Self {
        Self {
            services,
            page: Vec::new().into_iter().peekable(),
            after: Some(Uuid::nil()),
        }
    }

    async fn peek(&mut self) -> Result<Option<&Use>, Error> {
        while self.page.peek().is_none() {
            let Some(after) = self.after.take() else {
                return Ok(None);
            };
            let limit = i64::try_from(MAX_ITEMS).unwrap_or(i64::MAX);
            let next = store::deliveries::uses_after(&self.services.pool, after, limit).await?;
            self.after = next.last().map(|last| last.mark.redemption_id);
            self.page = next.into_iter().peekable();
        }
        Ok(self.page.peek())
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn mark(released: bool) -> Mark {
        Mark {
            redemption_id: Uuid::from_u128(1),
            key_id: Uuid::from_u128(2),
            student_id: Uuid::from_u128(3),
            generation: 1,
            redeemed_at: DateTime::UNIX_EPOCH,
            released_at: released.then_some(DateTime::UNIX_EPOCH),
        }
    }

    fn differs(copy: Option<Mark>, original: Option<Mark>) -> bool {
        let original = original.map(|mark| Use { mark, changed: 7 });
        difference(copy, original.as_ref()).is_some()
    }

    #[test]
    fn a_mark_that_was_released_needs_no_redemption_and_everything_else_its_equal() {
        for released in [false, true] {
            assert!(!differs(Some(mark(released)), Some(mark(released))));
            assert!(differs(Some(mark(released)), Some(mark(!released))));
            assert!(differs(None, Some(mark(released))));
        }
        assert!(differs(Some(mark(false)), None));
        assert!(!differs(Some(mark(true)), None));
        let other = Mark {
            student_id: Uuid::from_u128(4),
            ..mark(false)
        };
        assert!(differs(Some(other), Some(mark(false))));
    }

    #[test]
    fn a_live_mark_of_a_use_given_up_is_late_and_a_released_one_of_a_live_use_is_wrong() {
        assert!(!contradicts(&mark(false), &mark(true)));
        assert!(contradicts(&mark(true), &mark(false)));
    }
}
