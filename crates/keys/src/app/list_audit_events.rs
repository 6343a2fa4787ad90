//! Listing the audit trail.

use uuid::Uuid;

use super::{App, Call, Error};
use crate::domain::audit::Event;
use crate::store::{audit, organizations};

pub use crate::store::audit::listing::Filter;

/// Which events to list.
#[derive(Debug, Clone)]
pub struct ListAuditEvents {
    /// Only events of this organization.
    pub organization_id: Option<Uuid>,
    /// Further filters. Its organizations are put in by the use case.
    pub filter: Filter,
    /// Only events behind this one, which ends the page before.
    pub after: Option<Uuid>,
    /// How many at most.
    pub limit: i64,
}

/// Events within reach that pass the filters, the newest first. What lies beyond the caller's reach is not there.
pub async fn list_audit_events(
    app: &App,
    call: &Call,
    query: ListAuditEvents,
) -> Result<Vec<Event>, Error> {
    let within = organizations::within(&app.pool, &call.scope).await?;
    let organization_ids = match (within, query.organization_id) {
        (within, None) => within,
        (None, Some(wanted)) => Some(vec![wanted]),
        (Some(mut within), Some(wanted)) => {
            within.retain(|id| *id == wanted);
            Some(within)
        }
    };
    let filter = Filter {
        organization_ids,
        ..query.filter
    };
    Ok(audit::listing::page(&app.pool, &filter, query.after, query.limit).await?)
}
