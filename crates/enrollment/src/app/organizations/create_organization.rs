//! Creating an organization.

use chrono::DateTime;
use latchkey_service_kit::database::begin;
use serde_json::json;
use uuid::Uuid;

use super::read_organizations::get_organization;
use crate::app::delivery::push;
use crate::app::made_before::made_before;
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::organization::{MAXIMUM_LEVELS, Organization, Settings};
use crate::store;

/// A wish for an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrganization {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// The organization above it.
    pub parent_id: Option<Uuid>,
    /// Its name.
    pub display_name: String,
}

/// Creates an organization, at the newest below its parent. The same request again gives the same organization, as it
/// is now.
pub async fn create_organization(
    services: &Services,
    call: &Call,
    wish: NewOrganization,
) -> Result<Organization, Error> {
    let fingerprint = services
        .fingerprint_key
        .begin("CreateOrganization")
        .optional(wish.parent_id.map(|id| id.to_string()).as_deref())
        .text(&wish.display_name)
        .finish();
    if let Some(found) = recorded(services, &wish, &fingerprint).await? {
        return Ok(found);
    }
    let ancestor_ids = ancestors(services, call, wish.parent_id).await?;
    let organization = Organization {
        id: services.ids.new_id(),
        parent_id: wish.parent_id,
        ancestor_ids,
        display_name: wish.display_name.clone(),
        self_registration: false,
        settings: Settings::default(),
        created_at: DateTime::default(),
        version: 1,
    };
    let mut transaction = begin(&services.pool).await?;
    let made = store::organizations::insert(
        &mut transaction,
        &organization,
        wish.request_id,
        &fingerprint,
    )
    .await?;
    let Some(made) = made else {
        transaction.rollback().await?;
        // Another call with the same id was first, and has committed: the insert waited for it.
        return recorded(services, &wish, &fingerprint)
            .await?
            .ok_or(Error::Conflict);
    };
    let deed = Deed {
        action: Action::CreateOrganization,
        organization_id: made.id,
        resource_id: made.id,
        student_id: None,
        details: json!({ "display_name": made.display_name, "parent_id": made.parent_id }),
    };
    let deeds = [(services.ids.new_id(), deed)];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    push::organization(services, &made).await;
    Ok(made)
}

async fn recorded(
    services: &Services,
    wish: &NewOrganization,
    fingerprint: &[u8],
) -> Result<Option<Organization>, Error> {
    let mut transaction = begin(&services.pool).await?;
    let found = store::organizations::find_by_request(&mut transaction, wish.request_id).await?;
    made_before(transaction, found, wish.request_id, fingerprint).await
}

async fn ancestors(
    services: &Services,
    call: &Call,
    parent: Option<Uuid>,
) -> Result<Vec<Uuid>, Error> {
    let Some(id) = parent else {
        return Ok(Vec::new());
    };
    let parent = get_organization(services, call, id).await?;
    parent.ancestors_of_child().ok_or_else(|| {
        let text = format!("would be below {MAXIMUM_LEVELS} levels of organizations");
        Error::invalid("parent_id", text)
    })
}
