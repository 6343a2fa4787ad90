//! The cells of a CSV file, by the names of their columns. What is wrong in one is told by its place and never by its content:
//! that may be a code, in whatever column it came to stand.

use std::io::Read;

use anyhow::{Context, bail};
use csv::{Reader, StringRecord};
use uuid::Uuid;

/// A line of a file.
#[derive(Debug)]
pub(super) struct Line<'h> {
    head: &'h StringRecord,
    cells: StringRecord,
}

/// Reads each line of `from`, which has the columns `needed` and maybe others.
///
/// # Errors
/// When a column is missing, a line is no CSV, or `read` says what is wrong in it.
pub(super) fn lines<T>(
    from: impl Read,
    needed: &[&str],
    read: impl Fn(&Line<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let mut reader = Reader::from_reader(from);
    let head = reader.headers().ok().context("the first line is no CSV")?;
    let head = head.clone();
    for needed in needed {
        if !head.iter().any(|name| name == *needed) {
            bail!("there is no column `{needed}`");
        }
    }
    let mut rows = Vec::new();
    for cells in reader.records() {
        let cells = match cells {
            Ok(cells) => cells,
            Err(error) => bail!(
                "line {}: not CSV with as many columns as the first line",
                error.position().map_or(0, csv::Position::line)
            ),
        };
        rows.push(read(&Line { head: &head, cells })?);
    }
    Ok(rows)
}

impl Line<'_> {
    /// What stands in the column `name`; nothing if there is no such column, or nothing in it.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let at = self.head.iter().position(|column| column == name)?;
        self.cells.get(at).filter(|text| !text.is_empty())
    }

    /// What stands in the column `name`.
    ///
    /// # Errors
    /// When nothing does.
    pub(super) fn needed(&self, name: &str) -> anyhow::Result<&str> {
        let text = self.text(name);
        text.with_context(|| format!("{}: empty", self.place(name)))
    }

    /// The id in the column `name`.
    ///
    /// # Errors
    /// When there is something else.
    pub(super) fn id(&self, name: &str) -> anyhow::Result<Option<Uuid>> {
        let id = self.text(name).map(str::parse).transpose();
        // What the parser says repeats a part of the text.
        id.ok()
            .with_context(|| format!("{}: this is no UUID", self.place(name)))
    }

    /// The id in the column `name`.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn needed_id(&self, name: &str) -> anyhow::Result<Uuid> {
        let id = self.id(name)?;
        id.with_context(|| format!("{}: empty", self.place(name)))
    }

    /// Where a cell is, for people.
    pub(super) fn place(&self, name: &str) -> String {
        let line = self.cells.position().map_or(0, csv::Position::line);
        format!("line {line}, column `{name}`")
    }
}
