//! Rows that make no sense.

use uuid::Uuid;

/// A stored value that the domain does not know.
#[derive(Debug, thiserror::Error)]
#[error("{table}.{column} of {id} holds {value:?}, which makes no sense")]
pub struct BadRow {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row.
    pub id: Uuid,
    /// What stands there.
    pub value: String,
}

impl BadRow {
    /// The value in `column` of the row `id` of `table`.
    pub fn new(
        table: &'static str,
        column: &'static str,
        id: Uuid,
        value: impl Into<String>,
    ) -> Self {
        Self {
            table,
            column,
            id,
            value: value.into(),
        }
    }
}

impl From<BadRow> for sqlx::Error {
    fn from(row: BadRow) -> Self {
        Self::Decode(Box::new(row))
    }
}
