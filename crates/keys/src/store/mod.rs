//! SQL, one file per aggregate: statements checked at compile time, and rows turned into domain types.
//!
//! Nothing found is `Ok(None)`; the caller names the error. Every function that writes takes a connection, which is in a
//! transaction of the caller's.

pub mod attempts;
pub mod audit;
pub mod batches;
pub mod codes;
pub mod event_keys;
pub mod grants;
pub mod keyring_holders;
pub mod keyring_versions;
pub mod listing;
pub mod marks;
pub mod organizations;
pub mod planted;
pub mod pools;
pub mod requests;
pub mod resolve;
pub mod rotation;
pub mod subscription_keys;
pub mod training_keys;
pub mod verify;
mod view;

use std::fmt;

/// Why the store has no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A row holds what this release cannot read.
    #[error("{table}.{column} of the row {row} holds what cannot be read")]
    BadRow {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
    },
}

impl StoreError {
    /// That `column` of the row `row` in `table` cannot be read.
    pub(crate) fn bad_row(
        table: &'static str,
        column: &'static str,
        row: impl fmt::Display,
    ) -> Self {
        Self::BadRow {
            table,
            column,
            row: row.to_string(),
        }
    }
}
