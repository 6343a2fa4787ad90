//! Calls to the other service.

pub mod keys;
pub mod smtp;
