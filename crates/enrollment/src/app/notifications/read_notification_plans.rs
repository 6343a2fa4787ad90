//! Reading notification plans, and trying out what they would write.

use latchkey_service_kit::paging::{Page, PageRequest};
use uuid::Uuid;

use crate::app::classes::read_classes::placed_class;
use crate::app::organizations::read_organizations::get_organization;
use crate::app::{Call, Error, Services};
use crate::domain::notification::fields::Facts;
use crate::domain::notification::template::{Rendered, render};
use crate::domain::notification::{Plan, PlanSettings};
use crate::domain::refusal::Refusal;
use crate::store;

/// One plan, if it exists for the caller.
pub async fn get_notification_plan(
    services: &Services,
    call: &Call,
    id: Uuid,
) -> Result<Plan, Error> {
    let mut connection = services.pool.acquire().await?;
    let found = store::notifications::find_placed(&mut connection, id)
        .await?
        .filter(|placed| {
            let owner = placed.plan.organization_id;
            !placed.plan.deleted && call.scope.covers_organization(owner, &placed.ancestors)
        })
        .ok_or(Refusal::NotificationPlanNotFound { plan_id: id })?;
    Ok(found.plan)
}

/// A page of the plans within reach, by id; with `organization`, only its own.
pub async fn list_notification_plans(
    services: &Services,
    call: &Call,
    organization: Option<Uuid>,
    page: &PageRequest<Uuid>,
) -> Result<Page<Plan>, Error> {
    let rows = store::notifications::page(
        &services.pool,
        &call.scope,
        organization,
        page.after,
        page.limit(),
    )
    .await?;
    let bytes = |one: &Plan| {
        let PlanSettings {
            subject,
            text,
            html,
            cc,
            ..
        } = &one.settings;
        let copies = cc.iter().map(String::len).sum::<usize>();
        subject.len() + text.len() + html.len() + copies
    };
    Ok(Page::weighed(rows, page, |last| last.id, bytes))
}

/// What a plan of `organization` with these settings would write, about `class` or about what is made up. Reveals no code.
pub async fn preview_notification_plan(
    services: &Services,
    call: &Call,
    organization: Uuid,
    class: Option<Uuid>,
    settings: &PlanSettings,
) -> Result<Rendered, Error> {
    let owner = get_organization(services, call, organization).await?;
    let class = match class {
        Some(id) => Some(placed_class(services, call, id).await?.class),
        None => None,
    };
    let whose = match &class {
        Some(class) => class.organization_id,
        None => organization,
    };
    let name = store::organizations::find(&services.pool, whose)
        .await?
        .map_or(owner.display_name, |one| one.display_name);
    let letterhead = store::notifications::settings::find(&services.pool, whose)
        .await?
        .letterhead;
    let login_page = letterhead
        .login_page
        .or_else(|| services.login_page.clone());
    let now = services.clock.now();
    let facts = Facts::sample(settings.trigger, class, name, login_page, now);
    render(settings, &facts).map_err(|fault| {
        let field = format!("settings.{}", fault.field);
        Error::invalid(&field, fault.description)
    })
}
