//! Pages of the audit trail, each way into the table a statement of its own: plans are generic.

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::audit::Event;

/// Which events to list. Filters are joined with AND; an unset one lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only events of this organization.
    pub organization_id: Option<Uuid>,
    /// Only events about this resource.
    pub resource_id: Option<Uuid>,
    /// Only events about this student.
    pub student_id: Option<Uuid>,
    /// Only this action.
    pub action: Option<String>,
    /// Only by this subject.
    pub actor_subject: Option<String>,
    /// Only events at or after this time.
    pub from: Option<DateTime<Utc>>,
    /// Only events before this time.
    pub until: Option<DateTime<Utc>>,
}

struct EventRow {
    event_id: Uuid,
    occurred_at: DateTime<Utc>,
    actor_subject: String,
    actor_issuer: String,
    actor_roles: Vec<String>,
    actor_organization_id: Option<Uuid>,
    organization_id: Uuid,
    action: String,
    resource_type: String,
    resource_id: Uuid,
    student_id: Option<Uuid>,
    peer: String,
    request_id: String,
    details: Value,
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        Self {
            event_id: row.event_id,
            occurred_at: row.occurred_at,
            actor_subject: row.actor_subject,
            actor_issuer: row.actor_issuer,
            actor_roles: row.actor_roles,
            actor_organization_id: row.actor_organization_id,
            organization_id: row.organization_id,
            action: row.action,
            resource_type: row.resource_type,
            resource_id: row.resource_id,
            student_id: row.student_id,
            peer: row.peer,
            request_id: row.request_id,
            details: row.details,
        }
    }
}

/// The rows of one page: `$before`, the events that `$where` leads to, `$after`. The filters stand in all of them.
macro_rules! events {
    ($executor:expr, $scope:expr, $filter:expr, $after_id:expr, $limit:expr,
     $before:literal, $where:literal, $after:literal) => {
        sqlx::query_as!(
            EventRow,
            r#"
            WITH reached AS MATERIALIZED (
                SELECT o.organization_id FROM enrollment.organizations o
                WHERE ($1 OR o.organization_id = $2 OR o.ancestor_ids @> ARRAY[$2]::uuid[])
                  AND ($5::uuid IS NULL OR o.organization_id = $5)
            )
            SELECT a.event_id, a.occurred_at, a.actor_subject, a.actor_issuer, a.actor_roles, a.actor_organization_id,
                a.organization_id, a.action, a.resource_type, a.resource_id, a.student_id, a.peer, a.request_id, a.details
            FROM ("# + $before + r#"
                SELECT e.event_id FROM enrollment.audit_events e
                WHERE "# + $where + r#"
                  AND e.event_id < $3
                  AND ($6::uuid IS NULL OR e.resource_id = $6)
                  AND ($7::uuid IS NULL OR e.student_id = $7)
                  AND ($8::text IS NULL OR e.action = $8)
                  AND ($9::text IS NULL OR e.actor_subject = $9)
                  AND ($10::timestamptz IS NULL OR e.occurred_at >= $10)
                  AND ($11::timestamptz IS NULL OR e.occurred_at < $11)
                ORDER BY e.event_id DESC LIMIT $4
                "# + $after + r#"
            ) AS wanted
            JOIN LATERAL (SELECT t.* FROM enrollment.audit_events t WHERE t.event_id = wanted.event_id LIMIT 1) a ON true
            ORDER BY a.event_id DESC
            "#,
            $scope.everything,
            $scope.organization as _,
            $after_id,
            $limit,
            $filter.organization_id as _,
            $filter.resource_id as _,
            $filter.student_id as _,
            $filter.action as _,
            $filter.actor_subject as _,
            $filter.from as _,
            $filter.until as _,
        )
        .fetch_all($executor)
        .await?
    };
}

/// Events within `scope` that pass `filter`, the newest first, older than the event `after`, at most `limit`.
pub async fn page(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &EventFilter,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Event>> {
    let after = after.unwrap_or(Uuid::max());
    let rows = if filter.resource_id.is_some() {
        events!(
            executor,
            scope,
            filter,
            after,
            limit,
            "",
            "e.resource_id = $6 AND e.organization_id IN (SELECT r.organization_id FROM reached r)",
            ""
        )
    } else if filter.student_id.is_some() {
        events!(
            executor,
            scope,
            filter,
            after,
            limit,
            "",
            "e.student_id = $7 AND e.organization_id IN (SELECT r.organization_id FROM reached r)",
            ""
        )
    } else if scope.everything && filter.organization_id.is_none() {
        events!(executor, scope, filter, after, limit, "", "true", "")
    } else {
        events!(
            executor,
            scope,
            filter,
            after,
            limit,
            "SELECT w.event_id FROM reached r CROSS JOIN LATERAL (",
            "e.organization_id = r.organization_id",
            ") w ORDER BY w.event_id DESC LIMIT $4"
        )
    };
    Ok(rows.into_iter().map(Event::from).collect())
}
