//! Creating a subscription profile.

use chrono::DateTime;
use latchkey_service_kit::database::begin;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::delivery::push;
use crate::app::made_before::made_before;
use crate::app::organizations::read_organizations::get_organization;
use crate::app::{Call, Error, FieldProblem, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::profile::{Fault, Profile, ProfileSettings, described, told};
use crate::domain::refusal::Refusal;
use crate::store;

/// A wish for a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProfile {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// The organization that is to own it.
    pub organization_id: Uuid,
    /// Its settings.
    pub settings: ProfileSettings,
}

/// Creates a profile. The same request again gives the same profile, as it is now.
///
/// Refused with `OrganizationNotFound` or `RequestIdReused`, and when the settings break rules.
pub async fn create_profile(
    services: &Services,
    call: &Call,
    wish: NewProfile,
) -> Result<Profile, Error> {
    let owner = wish.organization_id;
    get_organization(services, call, owner).await?;
    let fingerprint = services
        .fingerprint_key
        .begin("CreateSubscriptionProfile")
        .text(&owner.to_string())
        .text(&Value::Object(described(&wish.settings)).to_string())
        .finish();
    if let Some(found) = recorded(services, wish.request_id, &fingerprint).await? {
        return Ok(found);
    }
    check(&wish.settings)?;
    let profile = Profile {
        id: services.ids.new_id(),
        organization_id: owner,
        settings: wish.settings,
        created_at: DateTime::default(),
        created_by: call.caller.subject.clone(),
        version: 1,
    };
    let mut transaction = begin(&services.pool).await?;
    check_organizations(&mut transaction, owner, &profile.settings.available_to).await?;
    let made =
        store::profiles::insert(&mut transaction, &profile, wish.request_id, &fingerprint).await?;
    let Some(created_at) = made else {
        transaction.rollback().await?;
        // Another call with the same id was first, and has committed: the insert waited for it.
        return recorded(services, wish.request_id, &fingerprint)
            .await?
            .ok_or(Error::Conflict);
    };
    let deed = Deed {
        action: Action::CreateProfile,
        organization_id: owner,
        resource_id: profile.id,
        student_id: None,
        details: told(&profile.settings),
    };
    store::audit::insert(&mut transaction, call.author(), &services.numbered([deed])).await?;
    transaction.commit().await?;
    let profile = Profile {
        created_at,
        ..profile
    };
    push::profile(services, &profile).await;
    Ok(profile)
}

async fn recorded(
    services: &Services,
    request_id: Uuid,
    fingerprint: &[u8],
) -> Result<Option<Profile>, Error> {
    let mut transaction = begin(&services.pool).await?;
    let found = store::profiles::find_by_request(&mut transaction, request_id).await?;
    made_before(transaction, found, request_id, fingerprint).await
}

/// Whether the settings of a profile may be so.
pub(super) fn check(settings: &ProfileSettings) -> Result<(), Error> {
    let faults = settings.faults();
    if faults.is_empty() {
        return Ok(());
    }
    let problem = |fault: Fault| FieldProblem {
        field: fault.field,
        description: fault.description.to_owned(),
    };
    Err(Error::Invalid(faults.into_iter().map(problem).collect()))
}

/// Whether the organizations to which a profile is to be available are its owner or below it.
pub(super) async fn check_organizations(
    connection: &mut PgConnection,
    owner: Uuid,
    available_to: &[Uuid],
) -> Result<(), Error> {
    let missing = store::organizations::not_below(connection, owner, available_to).await?;
    match missing {
        Some(organization_id) => Err(Refusal::OrganizationNotFound { organization_id }.into()),
        None => Ok(()),
    }
}
