//! Listing keys.

use uuid::Uuid;

use super::{App, Call, Error};
use crate::domain::key::TrainingKey;
use crate::store::{listing, organizations};

pub use crate::store::listing::{Filter, Times};

/// Which keys to list.
#[derive(Debug, Clone)]
pub struct ListKeys {
    /// Only keys of this organization.
    pub organization_id: Option<Uuid>,
    /// Further filters. Its organizations are put in by the use case.
    pub filter: Filter,
    /// Only keys behind this one, which ends the page before.
    pub after: Option<Uuid>,
    /// How many at most.
    pub limit: i64,
}

/// Keys within reach that pass the filters, the newest first. What lies beyond the caller's reach is not there.
pub async fn list_keys(app: &App, call: &Call, query: ListKeys) -> Result<Vec<TrainingKey>, Error> {
    // Keys are listed for staff only: a scope without an organization contains none of them.
    let mut organization_ids = organizations::within(&app.pool, &call.scope)
        .await?
        .unwrap_or_default();
    if let Some(wanted) = query.organization_id {
        organization_ids.retain(|id| *id == wanted);
    }
    let filter = Filter {
        organization_ids,
        ..query.filter
    };
    Ok(listing::page(&app.pool, &filter, query.after, query.limit).await?)
}
