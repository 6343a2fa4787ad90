//! `keys.audit_events`: inserted in the transaction of what they tell of, never changed.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::StoreError;
use crate::domain::audit::{Actor, Deed, Event};

/// By whom and from where the deeds of one call are done.
#[derive(Debug, Clone, Copy)]
pub struct Author<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// The address of the call.
    pub peer: &'a str,
    /// The id of the call.
    pub request_id: &'a str,
}

/// Records deeds, each under the id beside it.
pub async fn insert(
    connection: &mut PgConnection,
    author: Author<'_>,
    deeds: &[(Uuid, Deed)],
) -> Result<(), StoreError> {
    if deeds.is_empty() {
        return Ok(());
    }
    let event_ids: Vec<Uuid> = deeds.iter().map(|(id, _)| *id).collect();
    let organization_ids: Vec<Uuid> = deeds.iter().map(|(_, deed)| deed.organization_id).collect();
    let actions: Vec<&str> = deeds.iter().map(|(_, deed)| deed.action.name()).collect();
    let resource_types: Vec<&str> = deeds
        .iter()
        .map(|(_, deed)| deed.action.resource_type())
        .collect();
    let resource_ids: Vec<Uuid> = deeds.iter().map(|(_, deed)| deed.resource_id).collect();
    let details: Vec<&Value> = deeds.iter().map(|(_, deed)| &deed.details).collect();
    sqlx::query!(
        r#"
        INSERT INTO keys.audit_events (
            event_id, actor_subject, actor_issuer, actor_roles, actor_organization_id, peer, request_id,
            organization_id, action, resource_type, resource_id, details
        )
        SELECT n.event_id, $1, $2, $3, $4, $5, $6, n.organization_id, n.action, n.resource_type, n.resource_id, n.details
        FROM unnest($7::uuid[], $8::uuid[], $9::text[], $10::text[], $11::uuid[], $12::jsonb[])
            AS n (event_id, organization_id, action, resource_type, resource_id, details)
        "#,
        author.actor.subject,
        author.actor.issuer,
        &author.actor.roles,
        author.actor.organization_id,
        author.peer,
        author.request_id,
        &event_ids,
        &organization_ids,
        &actions as _,
        &resource_types as _,
        &resource_ids,
        &details as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Which events to list. Filters are joined with AND; an unset one lets everything through.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only events of these organizations.
    pub organization_ids: Option<Vec<Uuid>>,
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

/// The rows of one page; see `listing` for why each way into the table is a statement of its own.
macro_rules! listed {
    ($pool:expr, $filter:expr, $after_id:expr, $limit:expr, $before:literal, $where:literal, $after:literal) => {
        sqlx::query_as!(
            EventRow,
            r#"
            SELECT a.event_id, a.occurred_at, a.actor_subject, a.actor_issuer, a.actor_roles, a.actor_organization_id,
                a.organization_id, a.action, a.resource_type, a.resource_id, a.student_id, a.peer, a.request_id, a.details
            FROM ("# + $before + r#"
                SELECT e.event_id FROM keys.audit_events e
                WHERE "# + $where + r#"
                  AND e.event_id < $2
                  AND ($1::uuid[] IS NULL OR e.organization_id = ANY ($1))
                  AND ($4::uuid IS NULL OR e.resource_id = $4)
                  AND ($5::uuid IS NULL OR e.student_id = $5)
                  AND ($6::text IS NULL OR e.action = $6)
                  AND ($7::text IS NULL OR e.actor_subject = $7)
                  AND ($8::timestamptz IS NULL OR e.occurred_at >= $8)
                  AND ($9::timestamptz IS NULL OR e.occurred_at < $9)
                ORDER BY e.event_id DESC LIMIT $3
                "# + $after + r#"
            ) AS wanted
            JOIN LATERAL (SELECT t.* FROM keys.audit_events t WHERE t.event_id = wanted.event_id LIMIT 1) a ON true
            ORDER BY a.event_id DESC
            "#,
            $filter.organization_ids.as_deref() as _,
            $after_id,
            $limit,
            $filter.resource_id as _,
            $filter.student_id as _,
            $filter.action as _,
            $filter.actor_subject as _,
            $filter.from as _,
            $filter.until as _,
        )
        .fetch_all($pool)
        .await?
    };
}

/// Events that pass `filter`, the newest first, older than the event `after`, at most `limit`.
pub async fn page(
    pool: &PgPool,
    filter: &Filter,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Event>, StoreError> {
    let after = after.unwrap_or(Uuid::max());
    let rows = if filter.resource_id.is_some() {
        listed!(pool, filter, after, limit, "", "e.resource_id = $4", "")
    } else if filter.organization_ids.is_some() {
        listed!(
            pool,
            filter,
            after,
            limit,
            "SELECT w.event_id FROM unnest($1::uuid[]) AS r (organization_id) CROSS JOIN LATERAL (",
            "e.organization_id = r.organization_id",
            ") w ORDER BY w.event_id DESC LIMIT $3"
        )
    } else {
        listed!(pool, filter, after, limit, "", "true", "")
    };
    Ok(rows.into_iter().map(Event::from).collect())
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        Self {
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
            details: row.details,
        }
    }
}
