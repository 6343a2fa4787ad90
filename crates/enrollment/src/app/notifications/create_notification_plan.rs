//! Making a notification plan.

use chrono::DateTime;
use latchkey_service_kit::database::begin;
use serde_json::json;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::app::made_before::made_before;
use crate::app::organizations::read_organizations::get_organization;
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::notification::{Plan, PlanSettings};
use crate::domain::refusal::Refusal;
use crate::store;

/// A wish for a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPlan {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// The organization that is to own it.
    pub organization_id: Uuid,
    /// What it is to do.
    pub settings: PlanSettings,
}

/// Makes a plan, which is about what happens from then on. The same request again gives the same plan, as it is now.
pub async fn create_notification_plan(
    services: &Services,
    call: &Call,
    wish: NewPlan,
) -> Result<Plan, Error> {
    get_organization(services, call, wish.organization_id).await?;
    let settings = serde_json::to_vec(&wish.settings).map_err(Error::internal)?;
    let fingerprint = services
        .fingerprint_key
        .begin("CreateNotificationPlan")
        .text(&wish.organization_id.to_string())
        .bytes(&settings)
        .finish();
    if let Some(found) = recorded(services, wish.request_id, &fingerprint).await? {
        return Ok(found);
    }
    check_filter(&services.pool, wish.organization_id, &wish.settings).await?;
    let plan = Plan {
        id: services.ids.new_id(),
        organization_id: wish.organization_id,
        settings: wish.settings,
        created_at: DateTime::default(),
        version: 1,
        deleted: false,
    };
    let mut transaction = begin(&services.pool).await?;
    store::notifications::changes::begin(&mut transaction).await?;
    let made = store::notifications::insert(&mut transaction, &plan, wish.request_id, &fingerprint)
        .await?;
    let Some(created_at) = made else {
        transaction.rollback().await?;
        // Another call with the same id was first, and has committed: the insert waited for it.
        return recorded(services, wish.request_id, &fingerprint)
            .await?
            .ok_or(Error::Conflict);
    };
    let deeds = [(
        services.ids.new_id(),
        deed(Action::CreateNotificationPlan, &plan),
    )];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    Ok(Plan { created_at, ..plan })
}

async fn recorded(
    services: &Services,
    request_id: Uuid,
    fingerprint: &[u8],
) -> Result<Option<Plan>, Error> {
    let mut transaction = begin(&services.pool).await?;
    let found = store::notifications::find_by_request(&mut transaction, request_id).await?;
    made_before(transaction, found, request_id, fingerprint).await
}

/// Whether the organization that a plan is limited to is its owner or below it.
pub(super) async fn check_filter(
    executor: impl PgExecutor<'_>,
    owner: Uuid,
    settings: &PlanSettings,
) -> Result<(), Error> {
    let Some(organization_id) = settings.only_organization_id.filter(|id| *id != owner) else {
        return Ok(());
    };
    let found = store::organizations::find(executor, organization_id).await?;
    if found.is_some_and(|one| one.ancestor_ids.contains(&owner)) {
        Ok(())
    } else {
        Err(Refusal::OrganizationNotFound { organization_id }.into())
    }
}

/// What the trail keeps of a plan: what it does, not what it writes.
pub(super) fn deed(action: Action, plan: &Plan) -> Deed {
    let settings = &plan.settings;
    Deed {
        action,
        organization_id: plan.organization_id,
        resource_id: plan.id,
        student_id: None,
        details: json!({
            "display_name": settings.display_name,
            "trigger": settings.trigger,
            "hours": settings.hours,
            "days": settings.days,
            "recipients": settings.recipients,
            "version": plan.version,
        }),
    }
}
