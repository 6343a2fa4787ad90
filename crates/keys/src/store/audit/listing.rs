//! Pages of the audit trail, each way into the table a statement of its own: plans are generic.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_service_kit::ids::least_at;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::domain::audit::{Actor, Event, Outcome};
use crate::store::StoreError;

/// Which events to list. Filters are joined with AND; an unset one lets everything through.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only events of these organizations.
    pub organization_ids: Option<Vec<Uuid>>,
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
fn stretch(filter: &Filter, after: Option<Uuid>) -> (Uuid, Uuid) {
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

/// The rows of one page: `$before`, the events that `$where` leads to, `$after`. The filters stand in all of them.
macro_rules! events {
    ($pool:expr, $filter:expr, $ids:expr, $limit:expr, $before:literal, $where:literal, $after:literal) => {
        sqlx::query_as!(
            EventRow,
            r#"
            SELECT a.event_id, a.occurred_at, a.actor_subject, a.actor_issuer, a.actor_roles, a.actor_organization_id,
                a.organization_id, a.action, a.resource_type, a.resource_id, a.student_id, a.peer, a.request_id,
                a.outcome, a.reason, a.details
            FROM ("# + $before + r#"
                SELECT e.event_id FROM keys.audit_events e
                WHERE "# + $where + r#"
                  AND e.event_id >= $1 AND e.event_id < $2
                  AND ($4::uuid[] IS NULL OR e.organization_id = ANY ($4))
                  AND ($5::uuid IS NULL OR e.resource_id = $5)
                  AND ($6::text IS NULL OR e.resource_type = $6)
                  AND ($7::uuid IS NULL OR e.student_id = $7)
                  AND ($8::text IS NULL OR e.action = $8)
                  AND ($9::text IS NULL OR e.actor_subject = $9)
                  AND ($10::text IS NULL OR e.outcome = $10)
                  AND ($11::text IS NULL OR e.request_id = $11)
                  AND ($12::timestamptz IS NULL OR e.occurred_at >= $12)
                  AND ($13::timestamptz IS NULL OR e.occurred_at < $13)
                ORDER BY e.event_id DESC LIMIT $3
                "# + $after + r#"
            ) AS wanted
            JOIN LATERAL (SELECT t.* FROM keys.audit_events t WHERE t.event_id = wanted.event_id LIMIT 1) a ON true
            ORDER BY a.event_id DESC
            "#,
            $ids.0,
            $ids.1,
            $limit,
            $filter.organization_ids.as_deref() as _,
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
        .fetch_all($pool)
        .await?
    };
    ($pool:expr, $filter:expr, $ids:expr, $limit:expr, $where:literal) => {
        events!($pool, $filter, $ids, $limit, "", $where, "")
    };
}

/// Events that pass `filter`, the newest first, older than the event `after`, at most `limit`. By the filter that few
/// events pass, if there is one; else by organization, if only some are asked for; else by whatever there is.
pub async fn page(
    pool: &PgPool,
    filter: &Filter,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Event>, StoreError> {
    let ids = stretch(filter, after);
    let rows = if filter.request_id.is_some() {
        events!(pool, filter, ids, limit, "e.request_id = $11")
    } else if filter.resource_id.is_some() {
        events!(pool, filter, ids, limit, "e.resource_id = $5")
    } else if filter.student_id.is_some() {
        events!(pool, filter, ids, limit, "e.student_id = $7")
    } else if filter.organization_ids.is_some() {
        events!(
            pool,
            filter,
            ids,
            limit,
            "SELECT w.event_id FROM unnest($4::uuid[]) AS r (organization_id) CROSS JOIN LATERAL (",
            "e.organization_id = r.organization_id",
            ") w ORDER BY w.event_id DESC LIMIT $3"
        )
    } else if filter.actor_subject.is_some() {
        events!(pool, filter, ids, limit, "e.actor_subject = $9")
    } else if filter.action.is_some() {
        events!(pool, filter, ids, limit, "e.action = $8")
    } else if filter.outcome.is_some() {
        events!(pool, filter, ids, limit, "e.outcome = $10")
    } else if filter.resource_type.is_some() {
        events!(pool, filter, ids, limit, "e.resource_type = $6")
    } else {
        events!(pool, filter, ids, limit, "true")
    };
    rows.into_iter().map(Event::try_from).collect()
}

impl TryFrom<EventRow> for Event {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let outcome = Outcome::parse(&row.outcome)
            .ok_or_else(|| StoreError::bad_row("keys.audit_events", "outcome", row.event_id))?;
        Ok(Self {
            event_id: row.event_id,
            occurred_at: row.occurred_at,
            actor: Actor {
                subject: row.actor_subject,
                issuer: row.actor_issuer,
                roles: row.actor_roles,
                organization_id: row.actor_organization_id,
            },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_of_time_holds_every_id_that_can_belong_to_it() {
        let time = |seconds| DateTime::from_timestamp(seconds, 0);
        let filter = Filter {
            from: time(1_700_000_000),
            until: time(1_700_086_400),
            ..Filter::default()
        };
        let (from, below) = stretch(&filter, None);
        let id = |seconds| least_at(time(seconds).unwrap());
        assert!(from <= id(1_700_000_000 - 3_600) && id(1_700_086_400 + 3_599) < below);
        assert!(id(1_700_000_000 - 3_601) < from && below <= id(1_700_086_400 + 3_600));
        let last = id(1_700_010_000);
        assert_eq!(stretch(&filter, Some(last)), (from, last));
        let all = (Uuid::nil(), Uuid::max());
        assert_eq!(stretch(&Filter::default(), None), all);
    }
}
