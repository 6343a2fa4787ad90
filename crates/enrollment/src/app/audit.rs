//! The trail.

pub mod keep_refusals;
pub mod list_audit_events;
