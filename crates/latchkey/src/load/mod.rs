//! `latchkey load`: calls the redemption endpoint as often as asked, measures how that goes, and says whether an answer was
//! wrong. The same as a library, for benchmarks:
//!
//! 1. [`target::Target`]: where to call, and with whose tokens;
//! 2. [`prepare::prepare`] makes classes, keys and students there, or [`given`] takes them from files: [`supply::Supply`];
//! 3. [`engine::run`] calls, closed or open loop, and returns a [`run::Run`]; several runs may follow one another on one
//!    supply, each taking what the ones before have left;
//! 4. [`judge::judge`] reads the rosters and says what was wrong in all that was answered.

pub mod engine;
pub mod given;
pub mod judge;
pub mod mix;
pub mod observe;
pub mod outcome;
pub mod prepare;
pub mod report;
pub mod run;
pub mod supply;
pub mod target;
