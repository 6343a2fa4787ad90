//! gRPC: from messages to use cases and back. With `clients`, the only room that sees generated types.

pub mod access;
pub mod errors;
