//! Changing and deleting a notification plan.

use latchkey_service_kit::database::{Transaction, begin};
use uuid::Uuid;

use super::create_notification_plan::{check_filter, deed};
use crate::app::etags::check_etag;
use crate::app::{Call, Error, Services};
use crate::domain::audit::Action;
use crate::domain::notification::{Plan, PlanSettings};
use crate::domain::refusal::Refusal;
use crate::store;

/// Puts `settings` in the place of a plan's. `etag`, if given, must be of its present version. A change that changes nothing
/// leaves no trace.
pub async fn replace_notification_plan(
    services: &Services,
    call: &Call,
    id: Uuid,
    settings: PlanSettings,
    etag: Option<&str>,
) -> Result<Plan, Error> {
    let mut transaction = begin(&services.pool).await?;
    let found = locked(&mut transaction, call, id).await?;
    if found.deleted {
        return Err(Refusal::NotificationPlanNotFound { plan_id: id }.into());
    }
    check_etag(etag, "notification_plan", found.id, found.version)?;
    check_filter(&mut *transaction, found.organization_id, &settings).await?;
    if found.settings == settings {
        transaction.commit_confirmed().await?;
        return Ok(found);
    }
    let changed = Plan {
        settings,
        version: found.version + 1,
        ..found
    };
    store::notifications::changes::begin(&mut transaction).await?;
    store::notifications::update(&mut transaction, &changed).await?;
    finish(
        transaction,
        services,
        call,
        Action::ReplaceNotificationPlan,
        &changed,
    )
    .await?;
    Ok(changed)
}

/// Deletes a plan for good. Again, it changes nothing, whatever the `etag`; else, if given, that must be of its present
/// version.
pub async fn delete_notification_plan(
    services: &Services,
    call: &Call,
    id: Uuid,
    etag: Option<&str>,
) -> Result<(), Error> {
    let mut transaction = begin(&services.pool).await?;
    let found = locked(&mut transaction, call, id).await?;
    if found.deleted {
        transaction.commit_confirmed().await?;
        return Ok(());
    }
    check_etag(etag, "notification_plan", found.id, found.version)?;
    store::notifications::delete(&mut transaction, id).await?;
    let action = Action::DeleteNotificationPlan;
    finish(transaction, services, call, action, &found).await
}

/// The plan, deleted or not, locked.
async fn locked(transaction: &mut Transaction, call: &Call, id: Uuid) -> Result<Plan, Error> {
    let missing = Refusal::NotificationPlanNotFound { plan_id: id };
    if !store::notifications::lock_within(transaction, id, &call.scope).await? {
        return Err(missing.into());
    }
    let found = store::notifications::find_placed(transaction, id)
        .await?
        .ok_or(missing)?;
    Ok(found.plan)
}

async fn finish(
    mut transaction: Transaction,
    services: &Services,
    call: &Call,
    action: Action,
    plan: &Plan,
) -> Result<(), Error> {
    let deeds = [(services.ids.new_id(), deed(action, plan))];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    Ok(())
}
