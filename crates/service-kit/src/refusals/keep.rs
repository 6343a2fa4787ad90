//! The task that keeps refused calls.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc::error::TryRecvError;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::tally::{Added, Tally};
use super::{Entry, RefusedCall, RefusedCalls, Resource, Verdict, dropped};
use crate::status::name;
use crate::telemetry::Chain;

/// How many calls are looked at, and how many rows are written, at once.
const AT_ONCE: usize = 500;

/// How many rows wait while the trail cannot be written: those of an outage's first minutes.
const UNWRITTEN: usize = 10_000;

/// How often windows are closed, and how long a trail that failed is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Whom a resource belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The organization that owns it.
    pub organization: Uuid,
    /// The organizations above that one.
    pub ancestors: Vec<Uuid>,
}

/// Where refused calls are kept.
pub trait Trail: Send + Sync + 'static {
    /// How it fails.
    type Error: Error + Send + Sync + 'static;

    /// Whom those of `resources` that exist belong to, in any order. A kind that is not known exists nowhere.
    fn owners(
        &self,
        resources: &[Resource],
    ) -> impl Future<Output = Result<Vec<(Resource, Owner)>, Self::Error>> + Send;

    /// Writes rows, all or none.
    fn write(&self, rows: &[Entry]) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The task that keeps refused calls. It ends by itself when the server that leaves them is gone.
#[derive(Debug)]
pub struct Keeping {
    task: JoinHandle<()>,
    end: CancellationToken,
}

impl Keeping {
    /// Starts to keep `calls` in `trail`. Needs a tokio runtime.
    pub fn start<T: Trail>(calls: RefusedCalls, trail: T) -> Self {
        let end = CancellationToken::new();
        let task = tokio::spawn(keep(calls, trail, end.clone()));
        Self { task, end }
    }

    /// Keeps what was left so far, and ends. What is not written `within` that time is lost.
    pub async fn finish(self, within: Duration) {
        self.end.cancel();
        let aborted = self.task.abort_handle();
        if timeout(within, self.task).await.is_err() {
            aborted.abort();
            tracing::warn!("the service ends before all refused calls are audited");
        }
    }
}

/// Keeps `calls` in `trail` until `end`, or until nobody leaves any more; then what is left.
async fn keep<T: Trail>(mut calls: RefusedCalls, trail: T, end: CancellationToken) {
    let mut keeper = Keeper {
        trail,
        tally: Tally::default(),
        unwritten: Vec::new(),
        not_before: Instant::now(),
    };
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut taken = Vec::with_capacity(AT_ONCE);
    loop {
        tokio::select! {
            number = calls.0.recv_many(&mut taken, AT_ONCE) => if number == 0 { break },
            _ = ticks.tick() => {}
            () = end.cancelled() => break,
        }
        keeper.look_at(std::mem::take(&mut taken)).await;
        let now = Instant::now();
        let over = keeper.tally.close(now);
        keeper.await_writing(over);
        if keeper.not_before <= now {
            keeper.write().await;
        }
    }
    loop {
        match calls.0.try_recv() {
            Ok(call) if taken.len() < AT_ONCE => taken.push(call),
            Ok(_) => dropped(1),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        }
    }
    keeper.look_at(taken).await;
    let rest = keeper.tally.close_all();
    keeper.await_writing(rest);
    keeper.write().await;
}

struct Keeper<T> {
    trail: T,
    tally: Tally,
    unwritten: Vec<Entry>,
    /// When the trail is tried again.
    not_before: Instant,
}

impl<T: Trail> Keeper<T> {
    /// Folds those of `calls` that belong into the trail.
    async fn look_at(&mut self, calls: Vec<RefusedCall>) {
        if calls.is_empty() {
            return;
        }
        let owners = self.owners(&calls).await;
        let now = Instant::now();
        let mut first = Vec::new();
        for call in calls {
            let Some(entry) = entry(call, owners.as_ref()) else {
                continue;
            };
            metrics::counter!("latchkey_audit_refusals_total", "outcome" => entry.verdict.name())
                .increment(1);
            match self.tally.add(entry, now) {
                Added::First(entry) => first.push(entry),
                Added::Counted => {}
                Added::Full => dropped(1),
            }
        }
        self.await_writing(first);
    }

    /// Whom the things belong to that callers were told do not exist; `None` if that cannot be found out.
    async fn owners(&self, calls: &[RefusedCall]) -> Option<HashMap<Resource, Owner>> {
        let asked: HashSet<&Resource> = calls
            .iter()
            .filter(|call| call.verdict == Verdict::BeyondReach)
            .filter_map(|call| call.resource.as_ref())
            .collect();
        if asked.is_empty() {
            return Some(HashMap::new());
        }
        let asked: Vec<Resource> = asked.into_iter().cloned().collect();
        match self.trail.owners(&asked).await {
            Ok(owners) => Some(owners.into_iter().collect()),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "it is not known what refused calls were about");
                None
            }
        }
    }

    fn await_writing(&mut self, rows: Vec<Entry>) {
        let room = UNWRITTEN - self.unwritten.len();
        for lost in rows.iter().skip(room) {
            dropped(lost.calls);
        }
        self.unwritten.extend(rows.into_iter().take(room));
    }

    async fn write(&mut self) {
        while !self.unwritten.is_empty() {
            let next = self.unwritten.len().min(AT_ONCE);
            if let Err(error) = self.trail.write(&self.unwritten[..next]).await {
                tracing::warn!(error = %Chain(&error), rows = self.unwritten.len(), "refused calls are audited late");
                self.not_before = Instant::now() + PAUSE;
                return;
            }
            self.unwritten.drain(..next);
        }
    }
}

/// What the trail gets of a call: nothing, if what it was about does not exist, or is within the caller's reach after all.
fn entry(call: RefusedCall, owners: Option<&HashMap<Resource, Owner>>) -> Option<Entry> {
    let organization = if call.verdict == Verdict::BeyondReach {
        let Some(owners) = owners else {
            dropped(1);
            return None;
        };
        let resource = call.resource.as_ref()?;
        let owner = owners.get(resource)?;
        let oneself = resource.kind == "student" && call.scope.student == Some(resource.id);
        let within = call
            .scope
            .covers_organization(owner.organization, &owner.ancestors);
        if oneself || within {
            return None;
        }
        Some(owner.organization)
    } else {
        call.caller.organization
    };
    Some(Entry {
        verdict: call.verdict,
        caller: call.caller,
        method: call.method,
        reason: name(call.reason),
        resource: call.resource,
        organization,
        peer: call.peer,
        request_id: call.request_id,
        calls: 1,
    })
}

#[cfg(test)]
mod tests;
