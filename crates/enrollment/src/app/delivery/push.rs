//! Copies of organizations, classes and subscription profiles, pushed to the keys service.
//!
//! A change stands whether or not its copy arrives: what did not is found by its versions and pushed again by the
//! sweeper.

use std::time::Duration;

use latchkey_service_kit::database::begin;
use latchkey_service_kit::faults::planted;
use latchkey_service_kit::telemetry::Chain;
use uuid::Uuid;

use crate::app::{Error, Services};
use crate::clients::keys::Put;
use crate::domain::class::Class;
use crate::domain::grant::Grant;
use crate::domain::organization::Organization;
use crate::domain::profile::Profile;
use crate::store;

/// How long the answer to a change waits for its copy: several times what a push takes, and well within the deadline of
/// a usual call.
const PATIENCE: Duration = Duration::from_secs(2);

/// Copies organizations, at most [`crate::clients::keys::MAX_ITEMS`]; how many copies were not as they should be.
///
/// Where keys holds what this database does not know, it was restored from a backup: the original then gets a version above
/// the one that is held, and is owed again.
pub async fn organizations(
    services: &Services,
    organizations: &[Organization],
) -> Result<usize, Error> {
    let keys = services.keys.with_timeout(PATIENCE);
    let put = keys.put_organizations(organizations).await?;
    let mut wrong = put.stored;
    let mut copied = organizations.to_vec();
    let mut transaction = begin(&services.pool).await?;
    for (id, held) in put.held {
        let Some(place) = copied.iter().position(|one| one.id == id) else {
            continue;
        };
        let version = copied.swap_remove(place).version;
        let raised = store::organizations::raise(&mut transaction, id, version, held).await?;
        wrong += usize::from(raised);
    }
    store::organizations::set_copied(&mut transaction, &copied).await?;
    transaction.commit().await?;
    Ok(wrong)
}

/// Copies classes as grants, at most [`crate::clients::keys::MAX_ITEMS`]; see [`organizations`].
pub async fn classes(services: &Services, classes: &[Class]) -> Result<usize, Error> {
    let grants: Vec<Grant> = classes.iter().map(Grant::of).collect();
    let keys = services.keys.with_timeout(PATIENCE);
    let put = if planted("bug::push_lost") {
        Put::default()
    } else {
        keys.put_grants(&grants).await?
    };
    let mut wrong = put.stored;
    let mut copied = classes.to_vec();
    let mut transaction = begin(&services.pool).await?;
    for (id, held) in put.held {
        let Some(place) = copied.iter().position(|one| one.id == id) else {
            continue;
        };
        let version = copied.swap_remove(place).version;
        let raised = store::classes::raise(&mut transaction, id, version, held).await?;
        wrong += usize::from(raised);
    }
    store::classes::set_copied(&mut transaction, &copied).await?;
    transaction.commit().await?;
    Ok(wrong)
}

/// Copies subscription profiles, at most [`crate::clients::keys::MAX_ITEMS`]; see [`organizations`].
pub async fn profiles(services: &Services, profiles: &[Profile]) -> Result<usize, Error> {
    let keys = services.keys.with_timeout(PATIENCE);
    let put = keys.put_profiles(profiles).await?;
    let mut wrong = put.stored;
    let mut copied = profiles.to_vec();
    let mut transaction = begin(&services.pool).await?;
    for (id, held) in put.held {
        let Some(place) = copied.iter().position(|one| one.id == id) else {
            continue;
        };
        let version = copied.swap_remove(place).version;
        let raised = store::profiles::raise(&mut transaction, id, version, held).await?;
        wrong += usize::from(raised);
    }
    store::profiles::set_copied(&mut transaction, &copied).await?;
    transaction.commit().await?;
    Ok(wrong)
}

/// Copies an organization that was changed, before the answer; a failure is logged.
pub(in crate::app) async fn organization(services: &Services, organization: &Organization) {
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
pub(in crate::app) async fn class(services: &Services, class: &Class) {
    if let Err(error) = classes(services, std::slice::from_ref(class)).await {
        tracing::warn!(class.id = %class.id, error = %Chain(&error), "the copy of the class in keys is late");
        services.wake.ring();
    }
}

/// Copies a subscription profile that was changed, before the answer, and before that its organization if it is owed; a failure
/// is logged.
pub(in crate::app) async fn profile(services: &Services, profile: &Profile) {
    let pushed = async {
        organization_first(services, profile.organization_id).await?;
        profiles(services, std::slice::from_ref(profile)).await
    };
    if let Err(error) = pushed.await {
        tracing::warn!(profile.id = %profile.id, error = %Chain(&error), "the copy of the subscription profile in keys is late");
        services.wake.ring();
    }
}

/// Sees to it that the organization `id` is known to the keys service before something of it is put there.
pub(in crate::app) async fn organization_first(services: &Services, id: Uuid) -> Result<(), Error> {
    if store::organizations::is_owed(&services.pool, id).await?
        && let Some(owed) = store::organizations::find(&services.pool, id).await?
    {
        organizations(services, &[owed]).await?;
    }
    Ok(())
}
