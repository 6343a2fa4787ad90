//! Folding: of calls that are refused again and again, the first is kept at once and the others are counted.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::{Entry, Resource, Verdict};
use crate::identity::Caller;

/// How long calls are counted as one. A minute: short enough for an alarm, long enough that the fastest caller makes few
/// rows.
pub(super) const WINDOW: Duration = Duration::from_mins(1);

/// How many things one caller's refusals are told apart by, in one window. Who tries a thousand ids is known by the
/// first of them.
const RESOURCES: usize = 20;

/// How many windows are open at once: about 10 MB.
const WINDOWS: usize = 10_000;

/// What is counted as one, but for what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    issuer: String,
    subject: String,
    method: String,
    reason: &'static str,
    verdict: Verdict,
    organization: Option<Uuid>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    /// Calls after the first.
    more: u64,
    /// The last call.
    last: Entry,
}

/// What became of a call.
#[derive(Debug)]
pub(super) enum Added {
    /// It is the first of its window: a row.
    First(Entry),
    /// It is counted.
    Counted,
    /// There is no room for another window.
    Full,
}

/// The windows that are open.
#[derive(Debug, Default)]
pub(super) struct Tally {
    windows: HashMap<(Kind, Option<Resource>), Window>,
    /// How many of them are of one kind and about something.
    told_apart: HashMap<Kind, usize>,
}

impl Tally {
    /// Adds a call at `now`.
    pub(super) fn add(&mut self, mut call: Entry, now: Instant) -> Added {
        let kind = Kind::of(&call.caller, &call);
        let known = self
            .windows
            .contains_key(&(kind.clone(), call.resource.clone()));
        let told_apart = self.told_apart.get(&kind).copied().unwrap_or_default();
        if !known && told_apart >= RESOURCES {
            call.resource = None;
        }
        let full = self.windows.len() >= WINDOWS;
        match self.windows.entry((kind.clone(), call.resource.clone())) {
            Slot::Occupied(mut window) => {
                let window = window.get_mut();
                window.more += call.calls;
                window.last = call;
                Added::Counted
            }
            Slot::Vacant(_) if full => Added::Full,
            Slot::Vacant(place) => {
                if call.resource.is_some() {
                    *self.told_apart.entry(kind).or_default() += 1;
                }
                place.insert(Window {
                    since: now,
                    more: 0,
                    last: call.clone(),
                });
                Added::First(call)
            }
        }
    }

    /// Closes the windows that are over at `now`: a row for each that counted calls after its first.
    pub(super) fn close(&mut self, now: Instant) -> Vec<Entry> {
        self.close_where(|window| now.duration_since(window.since) >= WINDOW)
    }

    /// Closes all windows.
    pub(super) fn close_all(&mut self) -> Vec<Entry> {
        self.close_where(|_| true)
    }

    fn close_where(&mut self, over: impl Fn(&Window) -> bool) -> Vec<Entry> {
        let told_apart = &mut self.told_apart;
        self.windows
            .extract_if(|_, window| over(window))
            .filter_map(|((kind, resource), window)| {
                if resource.is_some()
                    && let Slot::Occupied(mut number) = told_apart.entry(kind)
                {
                    *number.get_mut() -= 1;
                    if *number.get() == 0 {
                        number.remove();
                    }
                }
                (window.more > 0).then_some(Entry {
                    calls: window.more,
                    ..window.last
                })
            })
            .collect()
    }
}

impl Kind {
    fn of(caller: &Arc<Caller>, call: &Entry) -> Self {
        Self {
            issuer: caller.issuer.clone(),
            subject: caller.subject.clone(),
            method: call.method.clone(),
            reason: call.reason,
            verdict: call.verdict,
            organization: call.organization,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::RequestId;

    fn call(subject: &str, resource: Option<u128>, request_id: &str) -> Entry {
        Entry {
            verdict: Verdict::BeyondReach,
            caller: Arc::new(Caller {
                subject: subject.into(),
                issuer: "i".into(),
                organization: None,
                roles: Vec::new(),
            }),
            method: "test.v1.Test/Get".into(),
            reason: "CLASS_NOT_FOUND",
            resource: resource.map(|id| Resource {
                kind: "class".into(),
                id: Uuid::from_u128(id),
            }),
            organization: Some(Uuid::from_u128(9)),
            peer: "::1".into(),
            request_id: RequestId::accept(request_id).unwrap(),
            calls: 1,
        }
    }

    fn is_first(added: &Added) -> bool {
        matches!(added, Added::First(_))
    }

    #[test]
    fn the_first_call_is_a_row_at_once_and_the_others_of_its_minute_are_one_more() {
        let (mut tally, began) = (Tally::default(), Instant::now());
        assert!(is_first(&tally.add(call("ann", Some(1), "a"), began)));
        for id in ["b", "c"] {
            let later = began + WINDOW / 2;
            assert!(!is_first(&tally.add(call("ann", Some(1), id), later)));
        }
        assert!(is_first(&tally.add(call("bob", Some(1), "d"), began)));
        assert!(is_first(&tally.add(call("ann", Some(2), "e"), began)));
        assert!(tally.close(began + WINDOW / 2).is_empty());
        let rows = tally.close(began + WINDOW);
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!((rows[0].calls, rows[0].request_id.as_str()), (2, "c"));
        assert!(tally.windows.is_empty() && tally.told_apart.is_empty());
        // A new minute begins with a row.
        assert!(is_first(
            &tally.add(call("ann", Some(1), "f"), began + WINDOW)
        ));
    }

    #[test]
    fn who_tries_many_things_is_counted_without_telling_them_apart() {
        let (mut tally, now) = (Tally::default(), Instant::now());
        let rows = (0..10_000)
            .filter(|id| is_first(&tally.add(call("ann", Some(*id), "a"), now)))
            .count();
        assert_eq!(rows, RESOURCES + 1);
        let rows = tally.close_all();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].resource, None);
        assert_eq!(rows[0].calls, 10_000 - RESOURCES as u64 - 1);
    }

    #[test]
    fn windows_are_bounded() {
        let (mut tally, now) = (Tally::default(), Instant::now());
        for subject in 0..WINDOWS {
            assert!(is_first(
                &tally.add(call(&subject.to_string(), None, "a"), now)
            ));
        }
        let added = tally.add(call("one more", None, "a"), now);
        assert!(matches!(added, Added::Full), "{added:?}");
        tally.close(now + WINDOW);
        assert!(is_first(&tally.add(call("one more", None, "a"), now)));
    }
}
