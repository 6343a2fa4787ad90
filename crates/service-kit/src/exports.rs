//! Exports: the content of one file, handed over in parts, of which the audit trail hears how it ended.

use std::fmt;
use std::future::Future;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::rows::{Contents, RowWriter};
use crate::server::{NotTaken, Outlet, Place};
use crate::status::ApiError;

/// From how many bytes on a piece is handed over: with the row that brought it there, the names in it included, it stays below
/// 64 KiB.
const PIECE_BYTES: usize = 60 * 1024;

/// What an export is made of, and who is told of its end.
pub trait Source: Send {
    /// What its rows are, as the audit trail names them.
    const ROWS: &'static str;

    /// Why it cannot go on.
    type Error: fmt::Display + Send;

    /// Writes the next row; false if there is none.
    fn write_next(
        &mut self,
        writer: &mut RowWriter,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Commits the audit row of the end, which says `details`.
    fn record_end(
        &mut self,
        details: Value,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// An export that has begun: its first audit row is committed. Whoever reads it takes [`Export::next`] until that gives
/// nothing more, or says why it ends before ([`Export::break_off`]); [`Export::hand_over`] does.
#[derive(Debug)]
pub struct Export<S> {
    /// The id of the audit row that tells of the beginning.
    id: Uuid,
    source: S,
    writer: RowWriter,
    /// What was handed over.
    contents: Contents,
    /// Whether the audit trail was told of the end, or could not be.
    ended: bool,
}

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

impl<S: Source> Export<S> {
    /// The export that the audit row `id` tells of, of all rows of `source`, by `writer`, to which none was written.
    pub fn new(id: Uuid, writer: RowWriter, source: S) -> Self {
        Self {
            id,
            source,
            writer,
            contents: Contents::default(),
            ended: false,
        }
    }

    /// The next part; `None` after the summary. The audit row of the end is committed before the summary is given.
    ///
    /// # Errors
    /// Fails when the source does: then the export has ended, and the audit trail was told so if it could be.
    pub async fn next(&mut self) -> Result<Option<Part>, S::Error> {
        let part = self.part().await;
        if part.is_err() {
            self.break_off(BrokenOff::Failed).await;
        }
        part
    }

    /// Ends the export before it is whole, and tells the audit trail, which is worth a warning when it cannot be told: an export
    /// without an end is taken for one that gave everything away.
    pub async fn break_off(&mut self, why: BrokenOff) {
        if self.ended {
            return;
        }
        if let Err(error) = self.end(Some(why)).await {
            tracing::warn!(
                export.id = %self.id,
                error = %error,
                "the audit trail could not be told that an export broke off"
            );
        }
    }

    /// Hands over all of it, as messages, or as much as is taken, and then gives up its place among the exports.
    ///
    /// # Errors
    /// Fails when the source does, or a message is not taken.
    pub async fn hand_over<M: Send>(
        mut self,
        outlet: Outlet<M>,
        place: Place,
        message: fn(Part) -> M,
        error: fn(S::Error) -> ApiError,
    ) -> Result<(), ApiError> {
        while let Some(part) = self.next().await.map_err(error)? {
            if let Err(not_taken) = outlet.send(message(part)).await {
                self.break_off(not_taken.into()).await;
                return Err(not_taken.into());
            }
        }
        drop(place);
        Ok(())
    }

    async fn part(&mut self) -> Result<Option<Part>, S::Error> {
        let mut rows = 0;
        while self.writer.len() < PIECE_BYTES && self.source.write_next(&mut self.writer).await? {
            rows += 1;
        }
        if !self.writer.is_empty() {
            let piece = self.writer.take();
            self.contents.add(&piece, rows);
            return Ok(Some(Part::Rows(piece)));
        }
        if self.ended {
            return Ok(None);
        }
        self.end(None).await?;
        Ok(Some(Part::Summary(self.contents.clone())))
    }

    async fn end(&mut self, broken_off: Option<BrokenOff>) -> Result<(), S::Error> {
        // Once: what a failed attempt to say so has come to is not known.
        self.ended = true;
        let details = json!({
            "export_id": self.id,
            "complete": broken_off.is_none(),
            "because": broken_off.map(BrokenOff::name),
            S::ROWS: self.contents.rows(),
            "bytes": self.contents.bytes(),
            "sha256": self.contents.sha256(),
        });
        self.source.record_end(details).await
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
    use crate::rows::RowFormat;

    /// So many rows of a number, the one with the number `fails_at` excepted; what was told of the end.
    struct Numbers {
        next: u32,
        many: u32,
        fails_at: Option<u32>,
        told: Vec<Value>,
    }

    impl Source for Numbers {
        const ROWS: &'static str = "numbers";
        type Error = &'static str;

        async fn write_next(&mut self, writer: &mut RowWriter) -> Result<bool, &'static str> {
            if self.fails_at == Some(self.next) {
                return Err("out of numbers");
            }
            if self.next == self.many {
                return Ok(false);
            }
            writer.write(&[Some(&self.next.to_string())]);
            self.next += 1;
            Ok(true)
        }

        async fn record_end(&mut self, details: Value) -> Result<(), &'static str> {
            self.told.push(details);
            Ok(())
        }
    }

    fn export(many: u32, fails_at: Option<u32>) -> Export<Numbers> {
        let source = Numbers {
            next: 0,
            many,
            fails_at,
            told: Vec::new(),
        };
        let writer = RowWriter::new(RowFormat::JsonLines, &["number"]);
        Export::new(Uuid::from_u128(7), writer, source)
    }

    #[tokio::test]
    async fn it_comes_in_pieces_of_whole_rows_and_then_what_they_are_together() {
        let many = 10_000;
        let mut export = export(many, None);
        let (mut bytes, mut pieces) = (Vec::new(), 0);
        let summary = loop {
            assert!(export.source.told.is_empty(), "it has not ended");
            match export.next().await.unwrap() {
                Some(Part::Rows(piece)) => {
                    assert!(piece.len() < 64 * 1024 && piece.ends_with(b"\n"));
                    bytes.extend(piece);
                    pieces += 1;
                }
                Some(Part::Summary(contents)) => break contents,
                None => panic!("there is no summary"),
            }
        };
        assert!(pieces > 2);
        let mut whole = Contents::default();
        whole.add(&bytes, many.into());
        assert_eq!(
            (summary.rows(), summary.bytes(), summary.sha256()),
            (whole.rows(), whole.bytes(), whole.sha256())
        );
        assert!(export.next().await.unwrap().is_none());
        export.break_off(BrokenOff::ReaderGone).await;
        let told = json!({
            "export_id": Uuid::from_u128(7), "complete": true, "because": null, "numbers": many,
            "bytes": whole.bytes(), "sha256": whole.sha256(),
        });
        assert_eq!(export.source.told, [told], "once");
    }

    #[tokio::test]
    async fn one_that_breaks_off_is_told_of_once_with_what_was_handed_over() {
        let mut failing = export(10_000, Some(9_000));
        while let Ok(part) = failing.next().await {
            assert!(matches!(part, Some(Part::Rows(_))), "it is not whole");
        }
        failing.break_off(BrokenOff::ReaderGone).await;
        let mut left = export(10_000, None);
        left.next().await.unwrap();
        left.break_off(BrokenOff::TooSlow).await;
        left.break_off(BrokenOff::ReaderGone).await;
        for (export, because) in [(failing, "failed"), (left, "too_slow")] {
            let [told] = &export.source.told[..] else {
                panic!("once")
            };
            assert_eq!(told["complete"], false);
            assert_eq!(told["because"], because);
            assert_eq!(told["numbers"], export.contents.rows());
            assert!(export.contents.rows() > 0);
        }
    }

    #[test]
    fn rows_do_not_show_in_debug() {
        let part = Part::Rows(b"hunter2".to_vec());
        assert_eq!(format!("{part:?}"), "Rows(7 bytes, [redacted])");
    }
}
