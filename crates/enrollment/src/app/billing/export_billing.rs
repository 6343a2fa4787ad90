//! Exporting a statement: all its lines as the content of one CSV file, in pieces.
//!
//! The lines are read page by page, each page by a short transaction of its own, so that a slow reader holds none. The audit
//! trail hears of it twice: before the first row leaves, and when it is over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use latchkey_service_kit::database::{answered, begin};
use latchkey_service_kit::exports::{self, Source};
use latchkey_service_kit::rows::{RowFormat, RowWriter};
use serde_json::{Value, json};
use uuid::Uuid;

use super::read_billing::{EVER, Statement, lines};
use crate::app::organizations::read_organizations::get_organization;
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::billing::{ItemKind, Line, Place};
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
    "assignment_id",
    "pool_id",
    "profile_id",
    "profile_name",
];

/// How many lines are read at once.
const PAGE: usize = 2_000;

/// How long reading a page may take before the database is taken for gone: its own bounds on statements are shorter.
const PAGE_WITHIN: Duration = Duration::from_secs(15);

/// An export of a statement.
pub type Export = exports::Export<Lines>;

/// The lines of a statement, read page by page.
#[derive(Debug)]
pub struct Lines {
    services: Arc<Services>,
    call: Call,
    statement: Statement,
    /// Lines that were read and not yet written.
    ahead: VecDeque<Line>,
    /// The last line that was read.
    after: Option<Place>,
    /// Whether there are no more lines to be read.
    read: bool,
}

/// Begins an export of a statement. Its audit row, `billing.export`, is committed when this returns.
///
/// Refused with `OrganizationNotFound`.
pub async fn export_billing(
    services: &Arc<Services>,
    call: &Call,
    statement: Statement,
) -> Result<Export, Error> {
    get_organization(services, call, statement.organization_id).await?;
    let lines = Lines {
        services: Arc::clone(services),
        call: call.clone(),
        statement,
        ahead: VecDeque::new(),
        after: None,
        read: false,
    };
    let (from, until) = statement.period;
    let details = json!({
        "from": Some(from).filter(|from| *from != EVER.0),
        "until": Some(until).filter(|until| *until != EVER.1),
    });
    let id = services.ids.new_id();
    lines.record(Action::ExportBilling, id, details).await?;
    let writer = RowWriter::new(RowFormat::Csv, COLUMNS);
    Ok(Export::new(id, writer, lines))
}

impl Source for Lines {
    const ROWS: &'static str = "lines";
    type Error = Error;

    async fn write_next(&mut self, writer: &mut RowWriter) -> Result<bool, Error> {
        if self.ahead.is_empty() && !self.read {
            self.read_on().await?;
        }
        let next = self.ahead.pop_front();
        if let Some(line) = &next {
            write(writer, line);
        }
        Ok(next.is_some())
    }

    async fn record_end(&mut self, details: Value) -> Result<(), Error> {
        let id = self.services.ids.new_id();
        self.record(Action::EndBillingExport, id, details).await
    }
}

impl Lines {
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
    let (item, got) = (&line.item, &line.item.got);
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, true);
    let id = |kind| (got.kind() == kind).then(|| item.id.to_string());
    let text = |id: Uuid| id.to_string();
    let (class, course, key) = (got.class(), got.course(), got.key());
    let profile = got.profile();
    let kind = if line.reason.charges() {
        "charge"
    } else {
        "credit"
    };
    writer.write(&[
        Some(&text(item.organization_id)),
        Some(&time(line.booked_at)),
        Some(kind),
        Some(line.reason.as_str()),
        Some(&time(line.occurred_at)),
        id(ItemKind::Enrollment).as_deref(),
        Some(&text(item.student_id)),
        course.map(|one| &*one.course_id),
        course.map(|one| &*one.course_name),
        class.map(|(id, _)| text(id)).as_deref(),
        class.map(|(_, name)| name),
        key.map(|one| one.kind),
        key.map(|one| text(one.id)).as_deref(),
        id(ItemKind::Assignment).as_deref(),
        got.pool_id().map(text).as_deref(),
        profile.map(|(id, _)| text(id)).as_deref(),
        profile.map(|(_, name)| name),
    ]);
}
