//! Use cases, one a file: load, decide, store.

mod error;
mod wake;

pub use error::{Error, FieldProblem, Source};
pub use wake::Wake;
