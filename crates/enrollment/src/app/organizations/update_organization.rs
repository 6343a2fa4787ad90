//! Changing an organization.

use chrono::TimeDelta;
use latchkey_service_kit::database::begin;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::app::delivery::push;
use crate::app::etags::check_etag;
use crate::app::reached::lock_organization;
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::organization::{ClassDefaults, Organization};
use crate::store;

/// When giving up a seat is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lateness {
    /// It never is.
    Never,
    /// From so long before the class begins on, in whole seconds.
    Within(TimeDelta),
}

/// What to change of an organization; `None` leaves a setting as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrganizationChange {
    /// Its name.
    pub display_name: Option<String>,
    /// Whether students may register themselves with a key.
    pub self_registration: Option<bool>,
    /// Whether a seat that a student gives up goes to the earliest who waits.
    pub promotes_waiting: Option<bool>,
    /// When giving up a seat is late.
    pub late_cancellation: Option<Lateness>,
    /// What a new class has, all of it.
    pub class_defaults: Option<ClassDefaults>,
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
        if let Some(on) = self.promotes_waiting {
            changed.settings.promotes_waiting = on;
        }
        if let Some(lateness) = self.late_cancellation {
            changed.settings.late_cancellation = match lateness {
                Lateness::Never => None,
                Lateness::Within(window) => Some(window),
            };
        }
        if let Some(defaults) = self.class_defaults {
            changed.settings.class_defaults = defaults;
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
    let mut transaction = begin(&services.pool).await?;
    let found = lock_organization(&mut transaction, call, id).await?;
    check_etag(etag, "organization", id, found.version)?;
    let switched = change.self_registration.is_some();
    let wanted = change.apply(&found);
    if wanted == found {
        transaction.commit_confirmed().await?;
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

/// The settings that differ, by their names in the contract, each as it was and as it is.
fn difference(before: &Organization, after: &Organization) -> Value {
    let (before, after) = (described(before), described(after));
    let changed = before
        .into_iter()
        .filter_map(|(name, from)| {
            let to = after.get(&name)?;
            (*to != from).then(|| (name, json!({ "from": from, "to": to })))
        })
        .collect();
    Value::Object(changed)
}

fn described(organization: &Organization) -> Map<String, Value> {
    let settings = &organization.settings;
    let defaults = &settings.class_defaults;
    let late = settings.late_cancellation.map(|late| late.num_seconds());
    let value = json!({
        "display_name": organization.display_name,
        "self_registration_enabled": organization.self_registration,
        "wait_list_promotion_enabled": settings.promotes_waiting,
        "late_cancellation_window": late,
        "class_defaults": {
            "maximum_students": defaults.maximum_students,
            "minimum_students": defaults.minimum_students,
            "status": defaults.status,
            "event_key": defaults.event_key,
            "post_class_days": defaults.post_class_days,
            "notifications": defaults.notifications,
        },
    });
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
