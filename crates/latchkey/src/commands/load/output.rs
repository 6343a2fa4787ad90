//! The files that the figures of a run are written to.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use anyhow::Context;
use latchkey::load::report::{Report, html};

/// Where figures go besides the table.
pub(super) struct Output {
    json: Option<PathBuf>,
    html: Option<PathBuf>,
}

impl Output {
    /// Makes sure that both files can be written: a run whose figures are lost at its end was for nothing. What is in them
    /// stays until there are new figures.
    ///
    /// # Errors
    /// When one cannot be written.
    pub(super) fn open(json: Option<PathBuf>, html: Option<PathBuf>) -> anyhow::Result<Self> {
        for path in json.iter().chain(&html) {
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .with_context(|| cannot_write(path))?;
        }
        Ok(Self { json, html })
    }

    /// Writes the figures, and says where they are.
    ///
    /// # Errors
    /// When a file cannot be written; the other one is written all the same.
    pub(super) fn write(&self, report: &Report) -> anyhow::Result<()> {
        let json = self.json.as_ref().map_or(Ok(()), |path| {
            let text = report.json()?;
            write(path, &text)?;
            eprintln!("The figures are in {}", path.display());
            anyhow::Ok(())
        });
        if let Some(path) = &self.html {
            write(path, &html(report))?;
            eprintln!("The report is in {}", path.display());
        }
        json
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| cannot_write(path))
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
