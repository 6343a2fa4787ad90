//! Creating a pool of keys.

use latchkey_service_kit::database::{self, begin};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{App, Call, Error, FieldProblem, Once, settled};
use crate::domain::audit::{Action, Deed};
use crate::domain::pool::{KeyPool, PoolSettings, described};
use crate::domain::refusal::Refusal;
use crate::store::{audit, organizations, pools};

/// A wish for a pool.
#[derive(Debug, Clone)]
pub struct NewPool {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// The organization that will own it.
    pub organization_id: Uuid,
    /// Its settings.
    pub settings: PoolSettings,
}

/// What is recorded of the request.
#[derive(Debug, Serialize, Deserialize)]
struct Created {
    pool_id: Uuid,
}

/// Creates a pool. The same request again gives the same pool, as it is now.
///
/// Refused with `OrganizationNotFound` or `RequestIdReused`, and when the settings do not fit together.
pub async fn create_pool(app: &App, call: &Call, wish: &NewPool) -> Result<KeyPool, Error> {
    let within = organizations::within(&app.pool, &call.scope).await?;
    let organization_id = wish.organization_id;
    if within.is_some_and(|ids| !ids.contains(&organization_id)) {
        return Err(Refusal::OrganizationNotFound { organization_id }.into());
    }
    check(&wish.settings)?;
    settled(|| attempt(app, call, wish)).await
}

async fn attempt(app: &App, call: &Call, wish: &NewPool) -> Result<KeyPool, Error> {
    let asked = Value::Object(described(&wish.settings)).to_string();
    let once = Once {
        request_id: wish.request_id,
        method: "CreateKeyPool",
        about: wish.organization_id,
        content: &[asked.as_bytes()],
    };
    let issuing = app.keyring.issuing(&app.pool).await?;
    let mut transaction = begin(&app.pool).await?;
    if let Some(Created { pool_id }) = once.earlier(&mut transaction, issuing.keyring()).await? {
        let found = pools::find(&mut transaction, pool_id, &call.scope).await?;
        transaction.commit().await?;
        return found.ok_or_else(|| Error::bug("a pool that was created is not there"));
    }
    issuing.hold(&mut transaction).await?;
    let pool = KeyPool {
        pool_id: app.ids.new_id(),
        organization_id: wish.organization_id,
        settings: wish.settings.clone(),
        created_at: database::now(&mut transaction).await?,
        created_by: call.actor.subject.clone(),
        version: 1,
    };
    pools::insert(&mut transaction, &pool).await?;
    let deed = Deed {
        action: Action::CreatePool,
        organization_id: pool.organization_id,
        resource_id: pool.pool_id,
        details: Value::Object(described(&pool.settings)),
    };
    audit::insert(&mut transaction, call.author(), &app.numbered([deed])).await?;
    let created = Created {
        pool_id: pool.pool_id,
    };
    let (keys, at) = (issuing.keys()?, pool.created_at);
    once.record(&mut transaction, keys, &pool.grant(), at, &created)
        .await?;
    transaction.commit().await?;
    Ok(pool)
}

/// Whether the settings of a pool fit together.
pub(super) fn check(settings: &PoolSettings) -> Result<(), Error> {
    let faults = settings.faults();
    if faults.is_empty() {
        return Ok(());
    }
    let problems = faults.into_iter().map(|fault| FieldProblem {
        field: fault.field.to_owned(),
        description: fault.description.to_owned(),
    });
    Err(Error::Invalid(problems.collect()))
}
