//! `latchkey bench`: how fast redemption is, side by side with the same work done by hand.

pub mod baselines;
pub mod catalogue;
pub mod ground;
pub mod meter;
pub mod percentile;
pub mod pgbench;
pub mod rounds;
pub mod site;
