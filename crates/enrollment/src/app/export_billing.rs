//! Exporting a statement: all its lines as the content of one CSV file, in pieces.
//!
//! The lines are read page by page, each page by a short transaction of its own, so that a slow reader holds none. The audit
//! trail hears of it twice: before the first row leaves, and when it is over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use latchkey_service_kit::database::{answered, begin};
use latchkey_service_kit::exports::{BrokenOff, PIECE_BYTES, Part};
use latchkey_service_kit::rows::{Contents, RowFormat, RowWriter};
use serde_json::{Value, json};
use uuid::Uuid;

use super::read_billing::{EVER, Statement, exists, lines};
use super::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::billing::{Line, Place};
use crate::domain::enrollment::Origin;
use crate::store;

/// The columns of the file, as the contract states them.
const COLUMNS: &[&str] = &[
    "organization_id",
    "booked_at",
    "kind",
    "reason",
    "occurred_at",
    "enrollment_id",
    "student_id",
    "course_id",
    "course_name",
    "class_id",
    "class_name",
    "key_kind",
    "key_id",
];

/// How many lines are read at once.
const PAGE: usize = 2_000;

/// How long reading a page may take before the database is taken for gone: its own bounds on statements are shorter.
const PAGE_WITHIN: Duration = Duration::from_secs(15);

/// An export that has begun: its first audit row is committed. Whoever reads it takes [`Export::next`] until that gives
/// nothing more, or says why it ends before ([`Export::break_off`]).
#[derive(Debug)]
pub struct Export {
    services: Arc<Services>,
    call: Call,
    statement: Statement,
    /// The id of the audit row that tells of the beginning.
    id: Uuid,
    writer: RowWriter,
    /// Lines that were read and not yet written.
    ahead: VecDeque<Line>,
    /// The last line that was read.
    after: Option<Place>,
    /// Whether there are no more lines to be read.
    read: bool,
    /// What was handed over.
    contents: Contents,
    /// Whether the audit trail was told of the end, or could not be.
    ended: bool,
}

/// Begins an export of a statement. Its audit row, `billing.export`, is committed when this returns.
///
/// Refused with `OrganizationNotFound`.
pub async fn export_billing(
    services: &Arc<Services>,
    call: &Call,
    statement: Statement,
) -> Result<Export, Error> {
    exists(services, call, statement.organization_id).await?;
    let export = Export {
        services: Arc::clone(services),
        call: call.clone(),
        statement,
        id: services.ids.new_id(),
        writer: RowWriter::new(RowFormat::Csv, COLUMNS),
        ahead: VecDeque::new(),
        after: None,
        read: false,
        contents: Contents::default(),
        ended: false,
    };
    let (from, until) = statement.period;
    let details = json!({
        "from": Some(from).filter(|from| *from != EVER.0),
        "until": Some(until).filter(|until| *until != EVER.1),
    });
    export
        .record(Action::ExportBilling, export.id, details)
        .await?;
    Ok(export)
}

impl Export {
    /// The next part; `None` after the summary. The audit row of the end is committed before the summary is given.
    ///
    /// Fails when the database cannot be reached: then the export has ended, and the audit trail was told so if it could be.
    pub async fn next(&mut self) -> Result<Option<Part>, Error> {
        let part = self.part().await;
        if part.is_err() {
            self.break_off(BrokenOff::Failed).await;
        }
        part
    }

    /// Ends the export before it is whole, and tells the audit trail, which is worth a warning when it cannot be told.
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

    async fn part(&mut self) -> Result<Option<Part>, Error> {
        let mut rows = 0;
        while self.writer.len() < PIECE_BYTES {
            if let Some(line) = self.ahead.pop_front() {
                write(&mut self.writer, &line);
                rows += 1;
            } else if self.read {
                break;
            } else {
                self.read_on().await?;
            }
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

    async fn read_on(&mut self) -> Result<(), Error> {
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let read = lines(&self.services, &self.statement, self.after, limit);
        let page = answered(PAGE_WITHIN, read).await;
        let page = page.map_err(|silence| Error::DependencyUnavailable(Arc::new(silence)))??;
        self.read = page.len() < PAGE;
        self.after = page.last().map(Line::place).or(self.after);
        self.ahead.extend(page);
        Ok(())
    }

    async fn end(&mut self, broken_off: Option<BrokenOff>) -> Result<(), Error> {
        // Once: what a failed attempt to say so has come to is not known.
        self.ended = true;
        let details = json!({
            "export_id": self.id,
            "complete": broken_off.is_none(),
            "because": broken_off.map(BrokenOff::name),
            "lines": self.contents.rows(),
            "bytes": self.contents.bytes(),
            "sha256": self.contents.sha256(),
        });
        self.record(
            Action::EndBillingExport,
            self.services.ids.new_id(),
            details,
        )
        .await
    }

    async fn record(&self, action: Action, event_id: Uuid, details: Value) -> Result<(), Error> {
        let organization_id = self.statement.organization_id;
        let deed = Deed {
            action,
            organization_id,
            resource_id: organization_id,
            student_id: None,
            details,
        };
        let mut transaction = begin(&self.services.pool).await?;
        store::audit::insert(&mut transaction, self.call.author(), &[(event_id, deed)]).await?;
        transaction.commit().await?;
        Ok(())
    }
}

fn write(writer: &mut RowWriter, line: &Line) {
    let item = &line.item;
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, true);
    let (key_kind, key_id) = match item.origin {
        Origin::Direct => (None, None),
        Origin::Key { key_id, kind, .. } => (Some(kind.as_str()), Some(key_id.to_string())),
    };
    let kind = if line.reason.charges() {
        "charge"
    } else {
        "credit"
    };
    writer.write(&[
        Some(&item.organization_id.to_string()),
        Some(&time(line.booked_at)),
        Some(kind),
        Some(line.reason.as_str()),
        Some(&time(line.occurred_at)),
        Some(&item.enrollment_id.to_string()),
        Some(&item.student_id.to_string()),
        Some(&item.course_id),
        Some(&item.course_name),
        Some(&item.class_id.to_string()),
        Some(&item.class_name),
        key_kind,
        key_id.as_deref(),
    ]);
}
