//! The keys service is told what it is owed, and both are compared: in the background, and by `latchkey verify`.

pub mod compare;
pub mod compare_in_time;
pub mod deliver;
pub mod invariants;
mod purge;
pub mod push;
pub mod repair;
pub mod sweep;
