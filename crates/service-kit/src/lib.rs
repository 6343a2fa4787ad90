//! What any gRPC service of Latchkey needs, and nothing about keys or classes.
//!
//! - [`clock`] and [`ids`]: the one source of time, identifiers and randomness.
//! - [`status`]: typed failures, the code of each reason, and the one funnel to a gRPC status with its details.
//! - [`validation`]: collects every violation of a request before it is refused.
//! - [`identity`] and [`access`]: who calls, proven by a bearer token, and the table of who may call what.
//! - [`context`]: what a handler is told about its call.
//! - [`server`] and [`client`]: the two ends of a call between services; [`timeout`]: how long it may take, on the wire.
//! - [`tls`]: how both ends keep a call to themselves; [`reload`]: files that are read again when they change.
//! - [`command`], [`config`], [`telemetry`], [`lifecycle`], [`database`]: the process around it.
//! - [`metrics`]: what operators watch.
//! - [`attempts`]: bounds on attempts that fail.
//! - [`refusals`]: refused calls on their way to the audit trail.
//! - [`backoff`]: pauses before something is tried again.
//! - [`faults`]: crashes and bugs brought about by tests; nothing of it is in what is shipped.
//! - [`invariants`]: what should hold in a schema, and what breaks it.
//! - [`paging`] and [`etag`]: page tokens and versions as callers see them.
//! - [`rows`]: rows as CSV or JSON Lines.

pub mod access;
pub mod attempts;
pub mod backoff;
mod body;
pub mod client;
pub mod clock;
pub mod command;
pub mod config;
pub mod context;
pub mod database;
pub mod etag;
pub mod exports;
pub mod faults;
pub mod identity;
pub mod ids;
pub mod invariants;
pub mod lifecycle;
pub mod metrics;
pub mod paging;
pub mod refusals;
pub mod reload;
pub mod rows;
pub mod server;
pub mod status;
pub mod telemetry;
pub mod tls;
pub mod update_mask;
pub mod validation;

/// The header that carries a call's time-out, for whoever writes or reads it outside of a server.
pub mod timeout {
    pub use crate::server::timeout_header::{NAME, format, read};
}
