use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::access::Scope;
use crate::context::RequestId;
use crate::identity::Caller;
use crate::refusals::{QUEUE, Refusals, queue};
use crate::status::ErrorReason;

const OWN: Uuid = Uuid::from_u128(1);
const FOREIGN: Uuid = Uuid::from_u128(2);

/// A trail that knows some resources and keeps what is written.
#[derive(Clone, Default)]
struct Kept {
    owners: Vec<(Resource, Owner)>,
    rows: Arc<Mutex<Vec<Entry>>>,
    failing: Arc<AtomicBool>,
}

impl Kept {
    fn rows(&self) -> Vec<Entry> {
        self.rows.lock().unwrap().clone()
    }
}

impl Trail for Kept {
    type Error = io::Error;

    async fn owners(&self, resources: &[Resource]) -> io::Result<Vec<(Resource, Owner)>> {
        let known = |owner: &&(Resource, Owner)| resources.contains(&owner.0);
        Ok(self.owners.iter().filter(known).cloned().collect())
    }

    async fn write(&self, rows: &[Entry]) -> io::Result<()> {
        if self.failing.load(Ordering::Relaxed) {
            return Err(io::Error::other("away"));
        }
        self.rows.lock().unwrap().extend_from_slice(rows);
        Ok(())
    }
}

fn class(id: u128) -> Resource {
    Resource {
        kind: "class".into(),
        id: Uuid::from_u128(id),
    }
}

fn owner(organization: Uuid) -> Owner {
    Owner {
        organization,
        ancestors: Vec::new(),
    }
}

fn call(verdict: Verdict, resource: Option<Resource>) -> RefusedCall {
    RefusedCall {
        verdict,
        caller: Arc::new(Caller {
            subject: "ann".into(),
            issuer: "i".into(),
            organization: Some(OWN),
            roles: Vec::new(),
        }),
        scope: Scope {
            organization: Some(OWN),
            ..Scope::default()
        },
        method: "test.v1.Test/Get".into(),
        reason: ErrorReason::ClassNotFound,
        resource,
        peer: "::1".into(),
        request_id: RequestId::accept("r").unwrap(),
    }
}

async fn kept(trail: &Kept, calls: impl FnOnce(&Refusals)) -> Vec<Entry> {
    let (refusals, incoming) = queue();
    calls(&refusals);
    drop(refusals);
    keep(incoming, trail.clone(), CancellationToken::new()).await;
    trail.rows()
}

#[tokio::test]
async fn only_what_exists_beyond_reach_is_kept_and_belongs_to_its_owner() {
    let trail = Kept {
        owners: vec![(class(1), owner(FOREIGN)), (class(2), owner(OWN))],
        ..Kept::default()
    };
    let rows = kept(&trail, |refusals| {
        for id in 1..=3 {
            refusals.leave(call(Verdict::BeyondReach, Some(class(id))));
        }
    })
    .await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0].resource, Some(class(1)));
    assert_eq!(rows[0].organization, Some(FOREIGN));
}

#[tokio::test]
async fn a_row_of_what_is_not_allowed_belongs_to_the_callers_organization() {
    let trail = Kept::default();
    let rows = kept(&trail, |refusals| {
        refusals.leave(call(Verdict::Refused, None));
        refusals.leave(call(Verdict::Limited, Some(class(1))));
    })
    .await;
    let whose: Vec<_> = rows.iter().map(|row| row.organization).collect();
    assert_eq!(whose, [Some(OWN), Some(OWN)]);
}

#[tokio::test]
async fn a_flood_is_two_rows_and_none_of_its_calls_is_lost_that_the_queue_took() {
    let trail = Kept::default();
    let rows = kept(&trail, |refusals| {
        for _ in 0..2 * QUEUE {
            refusals.leave(call(Verdict::Refused, None));
        }
    })
    .await;
    let calls: Vec<u64> = rows.iter().map(|row| row.calls).collect();
    assert_eq!(calls, [1, QUEUE as u64 - 1]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_is_written_once_the_trail_is_back() {
    let trail = Kept::default();
    trail.failing.store(true, Ordering::Relaxed);
    let (refusals, incoming) = queue();
    let end = CancellationToken::new();
    let keeper = tokio::spawn(keep(incoming, trail.clone(), end.clone()));
    refusals.leave(call(Verdict::Refused, None));
    tokio::time::sleep(10 * PAUSE).await;
    assert!(trail.rows().is_empty());
    trail.failing.store(false, Ordering::Relaxed);
    tokio::time::sleep(3 * PAUSE).await;
    assert_eq!(trail.rows().len(), 1);
    end.cancel();
    keeper.await.unwrap();
    assert_eq!(trail.rows().len(), 1);
}
