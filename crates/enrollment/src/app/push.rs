//! Copies of organizations and classes, pushed to the keys service.
//!
//! A change stands whether or not its copy arrives: what did not is found by its versions and pushed again by the
//! sweeper.

use std::time::Duration;

use latchkey_service_kit::database::begin;
use latchkey_service_kit::faults::planted;
use latchkey_service_kit::telemetry::Chain;
use uuid::Uuid;

use super::{Error, Services};
use crate::domain::class::Class;
use crate::domain::grant::Grant;
use crate::domain::organization::Organization;
use crate::store;

/// How long the answer to a change waits for its copy: several times what a push takes, and well within the deadline of
/// a usual call.
const PATIENCE: Duration = Duration::from_secs(2);

/// Copies organizations, at most [`crate::clients::keys::MAX_ITEMS`].
pub async fn organizations(
    services: &Services,
    organizations: &[Organization],
) -> Result<(), Error> {
    let keys = services.keys.with_timeout(PATIENCE);
    keys.put_organizations(organizations).await?;
    let mut transaction = begin(&services.pool).await?;
    store::organizations::set_copied(&mut transaction, organizations).await?;
    transaction.commit().await?;
    Ok(())
}

/// Copies classes as grants, at most [`crate::clients::keys::MAX_ITEMS`].
pub async fn classes(services: &Services, classes: &[Class]) -> Result<(), Error> {
    let grants: Vec<Grant> = classes.iter().map(Grant::of).collect();
    let keys = services.keys.with_timeout(PATIENCE);
    if !planted("bug::push_lost") {
        keys.put_grants(&grants).await?;
    }
    let mut transaction = begin(&services.pool).await?;
    store::classes::set_copied(&mut transaction, classes).await?;
    transaction.commit().await?;
    Ok(())
}

/// Copies an organization that was changed, before the answer; a failure is logged.
pub(super) async fn organization(services: &Services, organization: &Organization) {
    if let Err(error) = organizations(services, std::slice::from_ref(organization)).await {
        tracing::warn!(
            organization.id = %organization.id,
            error = %Chain(&error),
            "the copy of the organization in keys is late"
        );
        services.wake.ring();
    }
}

/// Copies a class that was changed, before the answer; a failure is logged.
pub(super) async fn class(services: &Services, class: &Class) {
    if let Err(error) = classes(services, std::slice::from_ref(class)).await {
        tracing::warn!(class.id = %class.id, error = %Chain(&error), "the copy of the class in keys is late");
        services.wake.ring();
    }
}

/// Sees to it that the organization `id` is known to the keys service before something of it is put there.
pub(super) async fn organization_first(services: &Services, id: Uuid) -> Result<(), Error> {
    if store::organizations::is_owed(&services.pool, id).await?
        && let Some(owed) = store::organizations::find(&services.pool, id).await?
    {
        organizations(services, &[owed]).await?;
    }
    Ok(())
}
