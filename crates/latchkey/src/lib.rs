//! The `latchkey` command as a library: Postgres for those who have none, and the development stack.
//!
//! - [`postgres`] finds or downloads Postgres and runs a private cluster of it.
//! - [`stack`] makes secrets, databases and configuration, and runs both services on them.
//!
//! End-to-end tests stand on the same two.

pub mod postgres;
pub mod progress;
pub mod stack;
pub mod tail;
