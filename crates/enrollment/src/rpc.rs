//! gRPC: from messages to use cases and back. With `clients`, the only room that sees generated types.

pub mod access;
pub mod errors;

mod call;
mod messages;

// One file per service.
pub mod assignments;
pub mod audit;
pub mod billing;
pub mod classes;
pub mod enrollments;
pub mod notifications;
pub mod organizations;
pub mod profiles;
pub mod redemptions;
pub mod students;
