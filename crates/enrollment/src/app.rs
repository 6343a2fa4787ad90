//! Use cases, one a file: load, decide, store.

mod error;
mod passwords;
mod wake;

pub use error::{Error, FieldProblem, Source};
pub use passwords::Passwords;
pub use wake::Wake;
