//! Group commit: many waiting requests, one transaction in flight.
//!
//! A [`Batcher`] stands in front of a step that costs about the same for many items as for one (a
//! transaction with its flush, a call to another service). While a batch is in flight, arriving
//! items gather; the next batch takes them all, up to a bound, in order of arrival. There is no
//! timer: a lone item waits for nobody.
//!
//! It knows nothing of requests or SQL: the step is an async function from a [`Batch`] of items to
//! as many answers, given to [`Batcher::new`].
//!
//! What it promises:
//!
//! * Exactly one batch is in flight, and batches and their items keep the order of arrival, through
//!   bisecting too.
//! * A batch runs in the batcher's own task: a submitter that goes away cancels no transaction.
//! * An item that the step refuses ([`BatchError::Item`]) does not fail its neighbours.
//! * The queue is bounded, and an item that nobody waits for any more, or too late, is dropped
//!   before it costs anything.
//! * A step that panics fails the items it had in hand; the batcher lives on.

mod batch;
mod batcher;
mod report;
mod runner;

pub use batch::{Batch, BatchError};
pub use batcher::{Batcher, Limits, SubmitError};
pub use report::Report;
