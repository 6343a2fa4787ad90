//! Exports: the content of one file, handed over in parts, of which the audit trail hears how it ended.

use std::fmt;

use crate::rows::Contents;
use crate::server::NotTaken;

/// From how many bytes on a piece is handed over: with the row that brought it there, the names in it included, it stays below
/// 64 KiB.
pub const PIECE_BYTES: usize = 60 * 1024;

/// A part of an export.
pub enum Part {
    /// The next bytes of the file: whole rows.
    Rows(Vec<u8>),
    /// The export is whole, and this is what it consists of.
    Summary(Contents),
}

/// Rows may be secret: they do not show.
impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => write!(f, "Rows({} bytes, [redacted])", rows.len()),
            Self::Summary(contents) => f.debug_tuple("Summary").field(contents).finish(),
        }
    }
}

/// Why an export broke off; the audit trail names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenOff {
    /// Its reader is not there any more.
    ReaderGone,
    /// Its reader did not take it in time.
    TooSlow,
    /// The service could not go on.
    Failed,
}

impl BrokenOff {
    /// The name, as audit rows have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReaderGone => "reader_gone",
            Self::TooSlow => "too_slow",
            Self::Failed => "failed",
        }
    }
}

impl From<NotTaken> for BrokenOff {
    fn from(why: NotTaken) -> Self {
        match why {
            NotTaken::Gone => Self::ReaderGone,
            NotTaken::Late => Self::TooSlow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_do_not_show_in_debug() {
        let part = Part::Rows(b"hunter2".to_vec());
        assert_eq!(format!("{part:?}"), "Rows(7 bytes, [redacted])");
    }
}
