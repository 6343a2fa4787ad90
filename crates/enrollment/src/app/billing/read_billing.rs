//! Reading who is billed, and which periods are closed.

use chrono::{DateTime, Utc};
use latchkey_service_kit::database::{begin, read_one_snapshot};
use latchkey_service_kit::paging::{Page, PageRequest};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::organizations::read_organizations::get_organization;
use crate::app::{Call, Error, Services};
use crate::domain::billing::{Line, Place};
use crate::store;

pub use crate::store::billing::periods::ClosedPeriod;
pub use crate::store::billing::{EVER, Period};

/// Whose statement is wanted, and of which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// The organization; those below it come with it.
    pub organization_id: Uuid,
    /// Which lines: those that are booked within it.
    pub period: Period,
}

/// A page of the lines of a statement, in the order of their places.
pub async fn list_billing_lines(
    services: &Services,
    call: &Call,
    statement: &Statement,
    page: &PageRequest<Place>,
) -> Result<Page<Line>, Error> {
    get_organization(services, call, statement.organization_id).await?;
    let lines = lines(services, statement, page.after, page.limit()).await?;
    Ok(Page::new(lines, page, Line::place))
}

/// A page of the closed periods of an organization, the latest first.
pub async fn list_billing_periods(
    services: &Services,
    call: &Call,
    organization_id: Uuid,
    page: &PageRequest<DateTime<Utc>>,
) -> Result<Page<ClosedPeriod>, Error> {
    get_organization(services, call, organization_id).await?;
    let mut connection = services.pool.acquire().await?;
    let (before, limit) = (page.after, page.limit());
    let periods =
        store::billing::periods::page(&mut connection, organization_id, before, limit).await?;
    Ok(Page::new(periods, page, |last| last.ends_at))
}

/// The lines of a statement after the place `after`, in the order of their places, at most `limit`: closed ones and those
/// that are due, at one instant.
pub(super) async fn lines(
    services: &Services,
    statement: &Statement,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Line>, Error> {
    let mut transaction = begin(&services.pool).await?;
    read_one_snapshot(&mut transaction).await?;
    let lines = of_one_instant(&mut transaction, statement, after, limit).await?;
    transaction.rollback().await?;
    Ok(lines)
}

async fn of_one_instant(
    connection: &mut PgConnection,
    statement: &Statement,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Line>, Error> {
    let first = after.map_or(Uuid::nil(), |place| place.organization_id);
    let root = statement.organization_id;
    let reached = store::billing::periods::reached(connection, root, first).await?;
    let period = statement.period;
    let closed = store::billing::closed(connection, &reached, period, after, limit).await?;
    let due = store::billing::due::lines(connection, &reached, period, after, limit).await?;
    let mut lines: Vec<Line> = closed.into_iter().chain(due).collect();
    lines.sort_unstable_by_key(Line::place);
    lines.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(lines)
}
