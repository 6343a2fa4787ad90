//! Assignments that expire, as far as letters are about them.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::notification::Plan;
use crate::domain::notification::expiry::Expiring;

struct ExpiringRow {
    assignment_id: Uuid,
    student_id: Uuid,
    organization_id: Uuid,
    ancestor_ids: Vec<Uuid>,
    on_since: Option<DateTime<Utc>>,
    course_id: Option<String>,
    course_name: Option<String>,
    live: bool,
    expires_at: DateTime<Utc>,
}

impl From<ExpiringRow> for Expiring {
    fn from(row: ExpiringRow) -> Self {
        Self {
            assignment_id: row.assignment_id,
            student_id: row.student_id,
            organization_id: row.organization_id,
            ancestors: row.ancestor_ids,
            on_since: row.on_since,
            course_id: row.course_id,
            course_name: row.course_name,
            live: row.live,
            expires_at: row.expires_at,
        }
    }
}

/// The assignment `id`.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Expiring>> {
    let row = sqlx::query_as!(
        ExpiringRow,
        r#"
        SELECT a.assignment_id, a.student_id, a.organization_id, o.ancestor_ids, s.enabled_since AS "on_since?",
            a.course_id AS "course_id?", a.course_name AS "course_name?", a.status <> 'cancelled' AS "live!", a.expires_at
        FROM enrollment.assignments a
        JOIN enrollment.organizations o ON o.organization_id = a.organization_id
        LEFT JOIN enrollment.notification_settings s ON s.organization_id = a.organization_id
        WHERE a.assignment_id = $1
        "#,
        id,
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(Expiring::from))
}

/// The first assignments of the plan's organization and of those below it that expire in (`from`, `until`], and about which it
/// has not written; at most `limit`.
pub async fn due(
    connection: &mut PgConnection,
    plan: &Plan,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    limit: i64,
) -> sqlx::Result<Vec<Expiring>> {
    let rows = sqlx::query_as!(
        ExpiringRow,
        r#"
        SELECT a.assignment_id, a.student_id, a.organization_id, o.ancestor_ids AS "ancestor_ids!",
            s.enabled_since AS "on_since?", a.course_id AS "course_id?", a.course_name AS "course_name?",
            a.status <> 'cancelled' AS "live!", a.expires_at
        FROM enrollment.assignments a
        JOIN LATERAL (
            SELECT x.ancestor_ids FROM enrollment.organizations x
            WHERE x.organization_id = a.organization_id
              AND (x.organization_id = $2 OR $2 = ANY (x.ancestor_ids)) LIMIT 1
        ) o ON true
        LEFT JOIN LATERAL (
            SELECT x.enabled_since FROM enrollment.notification_settings x
            WHERE x.organization_id = a.organization_id LIMIT 1
        ) s ON true
        LEFT JOIN LATERAL (
            SELECT true AS written FROM enrollment.notification_expiries x
            WHERE x.plan_id = $1 AND x.assignment_id = a.assignment_id AND x.expires_at = a.expires_at LIMIT 1
        ) n ON true
        WHERE a.status <> 'cancelled' AND a.expires_at > $3 AND a.expires_at <= $4 AND n.written IS NULL
        ORDER BY a.expires_at LIMIT $5
        "#,
        plan.id,
        plan.organization_id,
        from,
        until,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Expiring::from).collect())
}

/// Notes that this plan has written about the expiry of these assignments. Returns those about which it had not before: about
/// the others another is doing it, or did.
pub async fn note(
    connection: &mut PgConnection,
    plan: Uuid,
    assignments: &[Expiring],
) -> sqlx::Result<Vec<Uuid>> {
    let ids: Vec<Uuid> = assignments.iter().map(|one| one.assignment_id).collect();
    let times: Vec<DateTime<Utc>> = assignments.iter().map(|one| one.expires_at).collect();
    // In the same order in every replica: so none waits for another that waits for it.
    sqlx::query_scalar!(
        r#"
        INSERT INTO enrollment.notification_expiries (plan_id, assignment_id, expires_at)
        SELECT $1, n.assignment_id, n.expires_at
        FROM unnest($2::uuid[], $3::timestamptz[]) AS n (assignment_id, expires_at)
        ORDER BY n.assignment_id
        ON CONFLICT DO NOTHING
        RETURNING assignment_id
        "#,
        plan,
        &ids,
        &times,
    )
    .fetch_all(connection)
    .await
}

/// Forgets about assignments that have expired, of which nobody is reminded any more; at most `limit`. How many.
pub async fn purge(connection: &mut PgConnection, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        r#"
        DELETE FROM enrollment.notification_expiries WHERE (plan_id, assignment_id, expires_at) IN (
            SELECT n.plan_id, n.assignment_id, n.expires_at FROM enrollment.notification_expiries n
            WHERE n.expires_at <= clock_timestamp() ORDER BY n.expires_at LIMIT $1
        )
        "#,
        limit,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
