//! Changing a pool of keys.

use latchkey_service_kit::database::begin;
use uuid::Uuid;

use super::create_pool::check;
use super::etags::check_etag;
use super::{App, Call, Error, settled};
use crate::domain::audit::{Action, Deed, difference};
use crate::domain::grant::GrantKind;
use crate::domain::pool::{KeyPool, PoolChange, described};
use crate::domain::refusal::Refusal;
use crate::store::grants::Admission;
use crate::store::{audit, grants, pools};

/// Changes a pool: for all its keys at once, as far as they are redeemed later. `etag`, if given, must be of its present
/// version. A change that changes nothing leaves no trace.
///
/// Refused with `PoolNotFound` or `EtagMismatch`, and when the settings do not fit together then.
pub async fn update_pool(
    app: &App,
    call: &Call,
    pool_id: Uuid,
    change: &PoolChange,
    etag: Option<&str>,
) -> Result<KeyPool, Error> {
    settled(|| attempt(app, call, pool_id, change, etag)).await
}

async fn attempt(
    app: &App,
    call: &Call,
    pool_id: Uuid,
    change: &PoolChange,
    etag: Option<&str>,
) -> Result<KeyPool, Error> {
    let mut transaction = begin(&app.pool).await?;
    let admission = Admission::Within(&call.scope);
    let grant = grants::lock(&mut transaction, GrantKind::Pool, pool_id, admission).await?;
    grant.ok_or(Refusal::PoolNotFound { pool_id })?;
    let found = pools::find(&mut transaction, pool_id, &call.scope).await?;
    let mut pool = found.ok_or_else(|| Error::bug("a locked pool is not there"))?;
    let kind = GrantKind::Pool.resource_type();
    check_etag(etag, kind, pool_id, pool.version)?;
    let changed = change.apply(&pool.settings);
    if changed == pool.settings {
        transaction.commit_confirmed().await?;
        return Ok(pool);
    }
    check(&changed)?;
    let deed = Deed {
        action: Action::UpdatePool,
        organization_id: pool.organization_id,
        resource_id: pool_id,
        details: difference(&described(&pool.settings), &described(&changed)),
    };
    pool.settings = changed;
    pool.version += 1;
    pools::update(&mut transaction, &pool).await?;
    audit::insert(&mut transaction, call.author(), &app.numbered([deed])).await?;
    transaction.commit().await?;
    Ok(pool)
}
