//! Calls to the other service.

pub mod keys;
