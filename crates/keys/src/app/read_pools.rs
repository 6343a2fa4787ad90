//! Reading pools of keys.

use uuid::Uuid;

use super::count_keys::{KeyCount, count_keys};
use super::{App, Call, Error};
use crate::domain::pool::KeyPool;
use crate::domain::refusal::Refusal;
use crate::store::{organizations, pools};

/// One pool, and its keys by state. Refused with `PoolNotFound`.
pub async fn get_pool(app: &App, call: &Call, pool_id: Uuid) -> Result<(KeyPool, KeyCount), Error> {
    let mut connection = app.pool.acquire().await?;
    let found = pools::find(&mut connection, pool_id, &call.scope).await?;
    drop(connection);
    let pool = found.ok_or(Refusal::PoolNotFound { pool_id })?;
    let counted = count_keys(app, &[pool_id]).await?.pop();
    let count = counted.ok_or_else(|| Error::bug("a pool was not counted"))?;
    Ok((pool, count))
}

/// Which pools to list.
#[derive(Debug, Clone, Copy)]
pub struct ListPools {
    /// Only pools of this organization.
    pub organization_id: Option<Uuid>,
    /// Only pools behind this one, which ends the page before.
    pub after: Option<Uuid>,
    /// How many at most.
    pub limit: i64,
}

/// Pools within reach, the newest first. What lies beyond the caller's reach is not there.
pub async fn list_pools(app: &App, call: &Call, query: ListPools) -> Result<Vec<KeyPool>, Error> {
    // Pools are listed for staff only: a scope without an organization contains none of them.
    let mut organization_ids = organizations::within(&app.pool, &call.scope)
        .await?
        .unwrap_or_default();
    if let Some(wanted) = query.organization_id {
        organization_ids.retain(|id| *id == wanted);
    }
    Ok(pools::page(&app.pool, &organization_ids, query.after, query.limit).await?)
}
