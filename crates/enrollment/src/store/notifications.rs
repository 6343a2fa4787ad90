//! `enrollment.notification_plans`: what is written to whom, when.

pub mod changes;
pub mod expiries;
pub mod settings;

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::BadRow;
use super::reached::lock_within;
use crate::domain::notification::{Plan, PlanSettings};

const TABLE: &str = "enrollment.notification_plans";

pub(super) struct PlanRow {
    pub(super) plan_id: Uuid,
    pub(super) organization_id: Uuid,
    pub(super) settings: Value,
    pub(super) created_at: DateTime<Utc>,
    pub(super) version: i64,
    pub(super) deleted: bool,
}

impl TryFrom<PlanRow> for Plan {
    type Error = BadRow;

    fn try_from(row: PlanRow) -> Result<Self, BadRow> {
        let settings = serde_json::from_value(row.settings)
            .map_err(|error| BadRow::new(TABLE, "settings", row.plan_id, error.to_string()))?;
        Ok(Self {
            id: row.plan_id,
            organization_id: row.organization_id,
            settings,
            created_at: row.created_at,
            version: row.version,
            deleted: row.deleted,
        })
    }
}

/// Plans, by what follows `SELECT ... FROM enrollment.notification_plans p`.
macro_rules! plans {
    ($after:expr $(, $parameter:expr)* $(,)?) => {
        sqlx::query_as!(
            crate::store::notifications::PlanRow,
            "SELECT p.plan_id, p.organization_id, p.settings, p.created_at, p.version, \
             p.deleted_at IS NOT NULL AS \"deleted!\" FROM enrollment.notification_plans p " + $after
            $(, $parameter)*
        )
    };
}

pub(super) fn all(rows: Vec<PlanRow>) -> sqlx::Result<Vec<Plan>> {
    rows.into_iter()
        .map(|row| Ok(Plan::try_from(row)?))
        .collect()
}

fn stored(settings: &PlanSettings) -> sqlx::Result<Value> {
    serde_json::to_value(settings).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// A plan, and the organizations above its owner, nearest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedPlan {
    /// The plan.
    pub plan: Plan,
    /// The organizations above its owner.
    pub ancestors: Vec<Uuid>,
}

/// The plan `id`, deleted or not, and what says whom it exists for.
pub async fn find_placed(
    connection: &mut PgConnection,
    id: Uuid,
) -> sqlx::Result<Option<PlacedPlan>> {
    let row = plans!("WHERE p.plan_id = $1", id)
        .fetch_optional(&mut *connection)
        .await?;
    let ancestors = sqlx::query_scalar!(
        r#"
        SELECT o.ancestor_ids FROM enrollment.notification_plans p
        JOIN enrollment.organizations o ON o.organization_id = p.organization_id
        WHERE p.plan_id = $1
        "#,
        id,
    )
    .fetch_optional(connection)
    .await?;
    let Some((row, ancestors)) = row.zip(ancestors) else {
        return Ok(None);
    };
    let plan = row.try_into()?;
    Ok(Some(PlacedPlan { plan, ancestors }))
}

lock_within!("notification_plans", "plan_id");

/// The plan that the request `request_id` made, and the fingerprint of that request.
pub async fn find_by_request(
    connection: &mut PgConnection,
    request_id: Uuid,
) -> sqlx::Result<Option<(Plan, Vec<u8>)>> {
    let row = plans!("WHERE p.request_id = $1", request_id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let fingerprint = sqlx::query_scalar!(
        "SELECT request_fingerprint FROM enrollment.notification_plans WHERE plan_id = $1",
        row.plan_id
    )
    .fetch_one(connection)
    .await?;
    Ok(Some((row.try_into()?, fingerprint)))
}

/// Inserts a plan at version 1; when it was made. `None` if another call with the same request id was first: then the
/// caller rolls back and looks again.
pub async fn insert(
    connection: &mut PgConnection,
    plan: &Plan,
    request_id: Uuid,
    fingerprint: &[u8],
) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!(
        r#"
        INSERT INTO enrollment.notification_plans (
            plan_id, organization_id, trigger, timed, settings, request_id, request_fingerprint
        )
        VALUES ($1, $2, $3, $7, $4, $5, $6)
        ON CONFLICT (request_id) DO NOTHING
        RETURNING created_at
        "#,
        plan.id,
        plan.organization_id,
        plan.settings.trigger.as_str(),
        stored(&plan.settings)?,
        request_id,
        fingerprint,
        plan.settings.trigger.is_timed(),
    )
    .fetch_optional(connection)
    .await
}

/// Writes the settings and the version of a locked plan.
pub async fn update(connection: &mut PgConnection, plan: &Plan) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        UPDATE enrollment.notification_plans SET trigger = $2, settings = $3, version = $4, timed = $5 WHERE plan_id = $1
        "#,
        plan.id,
        plan.settings.trigger.as_str(),
        stored(&plan.settings)?,
        plan.version,
        plan.settings.trigger.is_timed(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that a locked plan is deleted, one version further.
pub async fn delete(connection: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        UPDATE enrollment.notification_plans SET deleted_at = clock_timestamp(), version = version + 1 WHERE plan_id = $1
        "#,
        id
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Plans within `scope` that are not deleted, by id, after the id `after`, at most `limit`; with `organization`, only its own.
pub async fn page(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    organization: Option<Uuid>,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Plan>> {
    let rows = plans!(
        "CROSS JOIN LATERAL (
             SELECT true FROM enrollment.organizations o
             WHERE o.organization_id = p.organization_id
               AND ($1 OR o.organization_id = $2 OR $2 = ANY (o.ancestor_ids)) LIMIT 1
         ) within
         WHERE ($3::uuid IS NULL OR p.organization_id = $3) AND p.plan_id > $4 AND p.deleted_at IS NULL
         ORDER BY p.plan_id LIMIT $5",
        scope.everything,
        scope.organization as _,
        organization as _,
        after.unwrap_or(Uuid::nil()),
        limit,
    )
    .fetch_all(executor)
    .await?;
    all(rows)
}
