//! Listing the audit trail.

use latchkey_service_kit::paging::{Page, PageRequest};
use uuid::Uuid;

use crate::app::{Call, Error, Services};
use crate::domain::audit::Event;
use crate::store;

pub use crate::store::audit::listing::EventFilter;

/// A page of the events within reach that pass `filter`, the newest first.
pub async fn list_audit_events(
    services: &Services,
    call: &Call,
    filter: &EventFilter,
    page: &PageRequest<Uuid>,
) -> Result<Page<Event>, Error> {
    let rows = store::audit::listing::page(
        &services.pool,
        &call.scope,
        filter,
        page.after,
        page.limit(),
    )
    .await?;
    let bytes = |one: &Event| one.details.to_string().len();
    Ok(Page::weighed(rows, page, |last| last.event_id, bytes))
}
