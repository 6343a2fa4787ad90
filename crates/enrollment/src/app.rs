//! Use cases, one a file: load, decide, store.

pub mod assignments;
pub mod audit;
pub mod billing;
pub mod classes;
pub mod delivery;
pub mod enrollments;
pub mod notifications;
pub mod organizations;
pub mod profiles;
pub mod redemption;
pub mod students;

// What they share.
mod call;
mod error;
mod etags;
mod made_before;
pub mod metrics;
mod reached;
mod services;
mod wake;

pub use call::Call;
pub use error::{Error, FieldProblem, Source};
pub use services::{Pace, Services};
pub use students::passwords::Passwords;
pub use wake::Wake;
