//! `latchkey verify --repair`: mends what can be derived, and tells what is left.

use anyhow::Context;
use latchkey_enrollment::Config;
use serde::Serialize;

use super::losses::losses;
use super::{Databases, Drain, Report, verify};

/// What was mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Mended {
    /// Live uses of keys that keys had no mark of.
    pub marks: usize,
    /// Uses given up that keys had not heard of.
    pub releases: usize,
    /// Copies of organizations and classes that were missing, older or newer than their originals.
    pub copies: usize,
}

/// What was mended and what is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// What was mended.
    pub mended: Mended,
    /// What is left: only a person can decide what to do about it.
    #[serde(flatten)]
    pub left: Report,
}

impl Repaired {
    /// What was mended in one line, and what is left as [`Report::for_people`] has it.
    pub fn for_people(&self) -> String {
        let Mended {
            marks,
            releases,
            copies,
        } = self.mended;
        format!(
            "mended: {marks} marks, {releases} releases, {copies} copies\n{}",
            self.left.for_people()
        )
    }

    /// The same as JSON, in one line.
    ///
    /// # Errors
    /// None that is known of.
    pub fn for_machines(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// Does with the enrollment service's own configuration what its sweeper does, compares both services and mends what can be
/// derived; then verifies. The keys service must run; the enrollment service may.
///
/// `after_restore`: either database was restored. Then it is also told what decisions and marks show to be lost.
///
/// # Errors
/// When a database cannot be read, or the keys service not be reached.
pub async fn repair(
    databases: &Databases,
    config: &Config,
    after_restore: bool,
    drain: &Drain,
) -> anyhow::Result<Repaired> {
    let found = latchkey_enrollment::repair(config, after_restore)
        .await
        .context("cannot repair")?;
    let mut findings = verify(databases, drain).await?.findings;
    if after_restore {
        findings.extend(losses(databases).await?);
    }
    Ok(Repaired {
        mended: Mended {
            marks: found.marked,
            releases: found.released,
            copies: found.copies,
        },
        left: Report::of(findings),
    })
}
