//! Changing an organization.

use latchkey_service_kit::database::begin;
use latchkey_service_kit::etag;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Call, Error, Services, push};
use crate::domain::audit::{Action, Deed};
use crate::domain::organization::Organization;
use crate::domain::refusal::Refusal;
use crate::store;

/// What to change of an organization; `None` leaves a setting as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrganizationChange {
    /// Its name.
    pub display_name: Option<String>,
    /// Whether students may register themselves with a key.
    pub self_registration: Option<bool>,
}

impl OrganizationChange {
    fn apply(self, organization: &Organization) -> Organization {
        let mut changed = organization.clone();
        if let Some(name) = self.display_name {
            changed.display_name = name;
        }
        if let Some(on) = self.self_registration {
            changed.self_registration = on;
        }
        changed
    }
}

/// Changes an organization. `etag`, if given, must be of its present version. A change that changes nothing leaves no
/// trace.
pub async fn update_organization(
    services: &Services,
    call: &Call,
    id: Uuid,
    change: OrganizationChange,
    etag: Option<&str>,
) -> Result<Organization, Error> {
    let missing = Refusal::OrganizationNotFound {
        organization_id: id,
    };
    let mut transaction = begin(&services.pool).await?;
    store::organizations::lock(&mut transaction, id).await?;
    let found = store::organizations::find(&mut *transaction, id)
        .await?
        .filter(|one| call.scope.covers_organization(one.id, &one.ancestor_ids))
        .ok_or(missing)?;
    if etag.is_some_and(|etag| etag::parse(id, etag) != Some(found.version)) {
        let resource_type = "organization".to_owned();
        return Err(Refusal::EtagMismatch { resource_type, id }.into());
    }
    let switched = change.self_registration.is_some();
    let wanted = change.apply(&found);
    if wanted == found {
        return Ok(found);
    }
    let changed = store::organizations::update(&mut transaction, &wanted).await?;
    let action = if switched {
        Action::SetSelfRegistration
    } else {
        Action::UpdateOrganization
    };
    let deed = Deed {
        action,
        organization_id: id,
        resource_id: id,
        student_id: None,
        details: difference(&found, &changed),
    };
    let deeds = [(services.ids.new_id(), deed)];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    push::organization(services, &changed).await;
    Ok(changed)
}

fn difference(before: &Organization, after: &Organization) -> Value {
    if before.self_registration == after.self_registration {
        json!({ "display_name": { "from": before.display_name, "to": after.display_name } })
    } else {
        json!({ "self_registration_enabled": { "from": before.self_registration, "to": after.self_registration } })
    }
}
