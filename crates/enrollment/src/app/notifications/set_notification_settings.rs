//! Turning the notifications of an organization or of a class on and off, and how an organization writes.

use chrono::{DateTime, Utc};
use latchkey_service_kit::database::{self, begin};
use serde_json::json;
use uuid::Uuid;

use crate::app::etags::check_etag;
use crate::app::organizations::read_organizations::get_organization;
use crate::app::reached::{lock_class, lock_organization};
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::notification::{Letterhead, OrganizationNotifications};
use crate::store;
use crate::store::notifications::settings;

/// The notifications of an organization, if it exists for the caller.
pub async fn get_notification_settings(
    services: &Services,
    call: &Call,
    organization: Uuid,
) -> Result<OrganizationNotifications, Error> {
    get_organization(services, call, organization).await?;
    Ok(settings::find(&services.pool, organization).await?)
}

/// Puts other settings in the place of an organization's. What is on stays on since when it was; what is turned on is about
/// what happens from then on. `etag`, if given, must be of the present version. A change that changes nothing leaves no
/// trace.
pub async fn set_notification_settings(
    services: &Services,
    call: &Call,
    organization: Uuid,
    (enabled, letterhead): (bool, Letterhead),
    etag: Option<&str>,
) -> Result<OrganizationNotifications, Error> {
    let mut transaction = begin(&services.pool).await?;
    lock_organization(&mut transaction, call, organization).await?;
    let now = database::now(&mut transaction).await?;
    let found = settings::find(&mut *transaction, organization).await?;
    check_etag(etag, "notification_settings", organization, found.version)?;
    let wanted = OrganizationNotifications {
        enabled_since: since(enabled, found.enabled_since, now),
        letterhead,
        version: found.version + 1,
    };
    if (wanted.enabled_since, &wanted.letterhead) == (found.enabled_since, &found.letterhead) {
        transaction.commit_confirmed().await?;
        return Ok(found);
    }
    settings::put(&mut transaction, organization, &wanted).await?;
    let deed = Deed {
        action: Action::SetNotificationSettings,
        organization_id: organization,
        resource_id: organization,
        student_id: None,
        // Addresses are personal data, and the trail is never erased.
        details: json!({
            "enabled": { "from": found.enabled_since.is_some(), "to": enabled },
            "login_page": wanted.letterhead.login_page,
            "addresses_changed": found.letterhead.operations_managers_email
                != wanted.letterhead.operations_managers_email
                || found.letterhead.instructors != wanted.letterhead.instructors,
        }),
    };
    let deeds = [(services.ids.new_id(), deed)];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    Ok(wanted)
}

/// Turns the notifications of a class on or off, or (`None`) leaves that to its organization. Whether they are on now.
pub async fn set_class_notifications(
    services: &Services,
    call: &Call,
    class: Uuid,
    wanted: Option<bool>,
) -> Result<bool, Error> {
    let mut transaction = begin(&services.pool).await?;
    let placed = lock_class(&mut transaction, call, class).await?;
    let owner = placed.class.organization_id;
    let of_owner = settings::find(&mut *transaction, owner)
        .await?
        .enabled_since;
    let before = settings::of_class(&mut *transaction, class).await?;
    let after = wanted.map(|on| since(on, before.unwrap_or(of_owner), placed.now));
    let on = after.unwrap_or(of_owner).is_some();
    if before == after {
        transaction.commit_confirmed().await?;
        return Ok(on);
    }
    settings::put_of_class(&mut transaction, class, after).await?;
    let named = |set: Option<Option<DateTime<Utc>>>| set.map(|since| since.is_some());
    let deed = Deed {
        action: Action::SetClassNotifications,
        organization_id: owner,
        resource_id: class,
        student_id: None,
        details: json!({ "enabled": { "from": named(before), "to": named(after) } }),
    };
    let deeds = [(services.ids.new_id(), deed)];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    Ok(on)
}

/// Since when something is on that is wanted on or off at `now`.
fn since(wanted: bool, before: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    wanted.then(|| before.unwrap_or(now))
}
