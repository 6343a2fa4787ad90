//! SQL, inline and checked when the crate is compiled; one file per aggregate. A row that makes no sense is named by
//! table, column and id.
//!
//! Nothing found is `Ok(None)`; the caller names the error. Every function that writes takes a connection, which is in a
//! transaction of the caller's.

pub mod assignments;
pub mod attempts;
pub mod audit;
pub mod billing;
pub mod by_student;
pub mod classes;
pub mod comparisons;
pub mod cursor;
pub mod deliveries;
pub mod enrollments;
pub mod facts;
pub mod letters;
pub mod notifications;
pub mod organizations;
pub mod profiles;
mod reached;
pub mod redemptions;
pub mod requests;
mod row;
pub mod students;
pub mod verify;

pub use row::BadRow;
