//! Pages of the audit trail, each way into the table a statement of its own: plans are generic.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_service_kit::access::Scope;
use latchkey_service_kit::ids::least_at;
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::audit::{Event, Outcome};
use crate::store::BadRow;

/// Which events to list. Filters are joined with AND; an unset one lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only events of this organization.
    pub organization_id: Option<Uuid>,
    /// Only events about this resource.
    pub resource_id: Option<Uuid>,
    /// Only events about resources of this type.
    pub resource_type: Option<String>,
    /// Only events about this student.
    pub student_id: Option<Uuid>,
    /// Only this action.
    pub action: Option<String>,
    /// Only by this subject.
    pub actor_subject: Option<String>,
    /// Only events that ended so.
    pub outcome: Option<Outcome>,
    /// Only events of the call with this id.
    pub request_id: Option<String>,
    /// Only events at or after this time.
    pub from: Option<DateTime<Utc>>,
    /// Only events before this time.
    pub until: Option<DateTime<Utc>>,
}

/// How far the clocks of the services, which stamp ids, and of the database may be apart.
const CLOCKS_APART: TimeDelta = TimeDelta::hours(1);

/// The ids among which a page is found: from the first on, below the second. A stretch of time is one of ids, so that
/// it ends the walk along any index.
fn stretch(filter: &EventFilter, after: Option<Uuid>) -> (Uuid, Uuid) {
    let least = |time: DateTime<Utc>, margin| {
        let near = time.checked_add_signed(margin);
        near.map(least_at)
    };
    let from = filter.from.and_then(|from| least(from, -CLOCKS_APART));
    let until = filter.until.and_then(|until| least(until, CLOCKS_APART));
    let below = after.unwrap_or(Uuid::max());
    (
        from.unwrap_or(Uuid::nil()),
        until.map_or(below, |until| below.min(until)),
    )
}

struct EventRow {
    event_id: Uuid,
    occurred_at: DateTime<Utc>,
    actor_subject: String,
    actor_issuer: String,
    actor_roles: Vec<String>,
    actor_organization_id: Option<Uuid>,
    organization_id: Option<Uuid>,
    action: String,
    resource_type: Option<String>,
    resource_id: Option<Uuid>,
    student_id: Option<Uuid>,
    peer: String,
    request_id: String,
    outcome: String,
    reason: Option<String>,
    details: Value,
}

impl TryFrom<EventRow> for Event {
    type Error = BadRow;

    fn try_from(row: EventRow) -> Result<Self, BadRow> {
        let bad = || {
            BadRow::new(
                "enrollment.audit_events",
                "outcome",
                row.event_id,
                &row.outcome,
            )
        };
        let outcome = Outcome::parse(&row.outcome).ok_or_else(bad)?;
        Ok(Self {
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
            outcome,
            reason: row.reason,
            details: row.details,
        })
    }
}

/// The rows of one page: `$before`, the events that `$where` leads to, `$after`. The filters stand in all of them.
macro_rules! events {
    ($executor:expr, $scope:expr, $filter:expr, $ids:expr, $limit:expr,
     $before:literal, $where:literal, $after:literal) => {
        sqlx::query_as!(
            EventRow,
            r#"
            WITH reached AS MATERIALIZED (
                SELECT o.organization_id FROM enrollment.organizations o
                WHERE ($1 OR o.organization_id = $2 OR o.ancestor_ids @> ARRAY[$2]::uuid[])
                  AND ($3::uuid IS NULL OR o.organization_id = $3)
            )
            SELECT a.event_id, a.occurred_at, a.actor_subject, a.actor_issuer, a.actor_roles, a.actor_organization_id,
                a.organization_id, a.action, a.resource_type, a.resource_id, a.student_id, a.peer, a.request_id,
                a.outcome, a.reason, a.details
            FROM ("# + $before + r#"
                SELECT e.event_id FROM enrollment.audit_events e
                WHERE "# + $where + r#"
                  AND e.event_id >= $4 AND e.event_id < $5
                  AND ($7::uuid IS NULL OR e.resource_id = $7)
                  AND ($8::text IS NULL OR e.resource_type = $8)
                  AND ($9::uuid IS NULL OR e.student_id = $9)
                  AND ($10::text IS NULL OR e.action = $10)
                  AND ($11::text IS NULL OR e.actor_subject = $11)
                  AND ($12::text IS NULL OR e.outcome = $12)
                  AND ($13::text IS NULL OR e.request_id = $13)
                  AND ($14::timestamptz IS NULL OR e.occurred_at >= $14)
                  AND ($15::timestamptz IS NULL OR e.occurred_at < $15)
                ORDER BY e.event_id DESC LIMIT $6
                "# + $after + r#"
            ) AS wanted
            JOIN LATERAL (SELECT t.* FROM enrollment.audit_events t WHERE t.event_id = wanted.event_id LIMIT 1) a ON true
            ORDER BY a.event_id DESC
            "#,
            $scope.everything,
            $scope.organization as _,
            $filter.organization_id as _,
            $ids.0,
            $ids.1,
            $limit,
            $filter.resource_id as _,
            $filter.resource_type as _,
            $filter.student_id as _,
            $filter.action as _,
            $filter.actor_subject as _,
            $filter.outcome.map(Outcome::as_str) as _,
            $filter.request_id as _,
            $filter.from as _,
            $filter.until as _,
        )
        .fetch_all($executor)
        .await?
    };
    ($executor:expr, $scope:expr, $filter:expr, $ids:expr, $limit:expr, $where:literal) => {
        events!($executor, $scope, $filter, $ids, $limit, "", $where, "")
    };
}

/// Events within `scope` that pass `filter`, the newest first, older than the event `after`, at most `limit`. By the
/// filter that few events pass, if there is one; else by organization, unless all are asked for; else by whatever there
/// is. Events of no organization are within reach of who reaches everything.
pub async fn page(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &EventFilter,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Event>> {
    let ids = stretch(filter, after);
    let rows = if filter.request_id.is_some() {
        events!(
            executor,
            scope,
            filter,
            ids,
            limit,
            "e.request_id = $13 AND ($1 AND $3::uuid IS NULL OR e.organization_id IN (SELECT r.organization_id FROM reached r))"
        )
    } else if filter.resource_id.is_some() {
        events!(
            executor,
            scope,
            filter,
            ids,
            limit,
            "e.resource_id = $7 AND ($1 AND $3::uuid IS NULL OR e.organization_id IN (SELECT r.organization_id FROM reached r))"
        )
    } else if filter.student_id.is_some() {
        events!(
            executor,
            scope,
            filter,
            ids,
            limit,
            "e.student_id = $9 AND ($1 AND $3::uuid IS NULL OR e.organization_id IN (SELECT r.organization_id FROM reached r))"
        )
    } else if !scope.everything || filter.organization_id.is_some() {
        events!(
            executor,
            scope,
            filter,
            ids,
            limit,
            "SELECT w.event_id FROM reached r CROSS JOIN LATERAL (",
            "e.organization_id = r.organization_id",
            ") w ORDER BY w.event_id DESC LIMIT $6"
        )
    } else if filter.actor_subject.is_some() {
        events!(executor, scope, filter, ids, limit, "e.actor_subject = $11")
    } else if filter.action.is_some() {
        events!(executor, scope, filter, ids, limit, "e.action = $10")
    } else if filter.outcome.is_some() {
        events!(executor, scope, filter, ids, limit, "e.outcome = $12")
    } else if filter.resource_type.is_some() {
        events!(executor, scope, filter, ids, limit, "e.resource_type = $8")
    } else {
        events!(executor, scope, filter, ids, limit, "true")
    };
    rows.into_iter()
        .map(|row| Ok(Event::try_from(row)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_of_time_holds_every_id_that_can_belong_to_it() {
        let time = |seconds| DateTime::from_timestamp(seconds, 0);
        let filter = EventFilter {
            from: time(1_700_000_000),
            until: time(1_700_086_400),
            ..EventFilter::default()
        };
        let (from, below) = stretch(&filter, None);
        let id = |seconds| least_at(time(seconds).unwrap());
        assert!(from <= id(1_700_000_000 - 3_600) && id(1_700_086_400 + 3_599) < below);
        assert!(id(1_700_000_000 - 3_601) < from && below <= id(1_700_086_400 + 3_600));
        let last = id(1_700_010_000);
        assert_eq!(stretch(&filter, Some(last)), (from, last));
        let all = (Uuid::nil(), Uuid::max());
        assert_eq!(stretch(&EventFilter::default(), None), all);
    }
}
