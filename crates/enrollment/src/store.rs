//! SQL, inline and checked when the crate is compiled; one file per aggregate. A row that makes no sense is named by
//! table, column and id.

mod row;

pub use row::BadRow;
