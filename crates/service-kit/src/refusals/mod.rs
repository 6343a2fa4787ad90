//! Refused calls on their way to the audit trail.
//!
//! The [`server`](crate::server) hands over how each call of a known caller ended, if that belongs into the trail. From
//! there on nobody waits: a bounded queue, then one task ([`Keeping`]) that asks which of the things that callers were told
//! do not exist do exist beyond their reach, folds repetitions, and writes. What does not fit is dropped and counted, so
//! that a flood of refusals is neither a flood of rows nor a burden on calls.

mod keep;
mod tally;

use std::sync::Arc;

use tokio::sync::mpsc;
use uuid::Uuid;

pub use keep::{Keeping, Owner, Trail};

use crate::access::Scope;
use crate::context::RequestId;
use crate::identity::Caller;
use crate::status::ErrorReason;

/// How many calls wait to be looked at. At a few hundred bytes each: about 2 MB.
const QUEUE: usize = 4096;

/// Something that a refused call was about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resource {
    /// Its type, for example `class`.
    pub kind: String,
    /// Its id.
    pub id: Uuid,
}

/// What became of a refused call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The caller was told that they are not allowed to.
    Refused,
    /// The caller was told that it does not exist; it does, beyond their reach.
    BeyondReach,
    /// The caller was told that they tried too often.
    Limited,
}

impl Verdict {
    /// The name, as trails keep it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::BeyondReach => "beyond_reach",
            Self::Limited => "limited",
        }
    }
}

/// A call that was refused, perhaps to be kept.
#[derive(Debug, Clone)]
pub(crate) struct RefusedCall {
    pub(crate) verdict: Verdict,
    pub(crate) caller: Arc<Caller>,
    /// How far the caller reaches with the method.
    pub(crate) scope: Scope,
    /// `package.Service/Method`.
    pub(crate) method: String,
    pub(crate) reason: ErrorReason,
    pub(crate) resource: Option<Resource>,
    pub(crate) peer: String,
    pub(crate) request_id: RequestId,
}

/// A row of the trail: one refused call, or several of the same kind.
#[derive(Debug, Clone)]
pub struct Entry {
    /// How it ended.
    pub verdict: Verdict,
    /// Who called.
    pub caller: Arc<Caller>,
    /// What was called, as `package.Service/Method`.
    pub method: String,
    /// The name of the reason that the caller was given.
    pub reason: &'static str,
    /// What it was about, if that is known and the same for all.
    pub resource: Option<Resource>,
    /// Whose row it is: the owner of what is beyond reach, else the caller's organization, if the token has one.
    pub organization: Option<Uuid>,
    /// The address of the last of the calls; empty when unknown.
    pub peer: String,
    /// The id of the last of the calls.
    pub request_id: RequestId,
    /// How many calls it stands for.
    pub calls: u64,
}

/// Where the server leaves refused calls. Clones share one queue.
#[derive(Debug, Clone)]
pub struct Refusals(mpsc::Sender<RefusedCall>);

/// The other end of [`Refusals`].
#[derive(Debug)]
pub struct RefusedCalls(mpsc::Receiver<RefusedCall>);

/// A queue of refused calls.
pub fn queue() -> (Refusals, RefusedCalls) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Refusals(sender), RefusedCalls(receiver))
}

impl Refusals {
    /// Leaves a call, without waiting: a full queue drops it.
    pub(crate) fn leave(&self, call: RefusedCall) {
        if self.0.try_send(call).is_err() {
            dropped(1);
        }
    }
}

/// Counts calls that the trail does not get.
fn dropped(calls: u64) {
    metrics::counter!("latchkey_audit_refusals_dropped_total").increment(calls);
}
