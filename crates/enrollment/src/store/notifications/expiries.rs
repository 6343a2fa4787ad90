//! Assignments that expire, as far as letters are about them.

use chrono::{DateTime, TimeDelta, Utc};
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
            a.course_id AS "course_id?", coalesce(a.course_name, p.name) AS "course_name?", a.status <> 'cancelled' AS "live!",
            a.expires_at
        FROM enrollment.assignments a
        JOIN enrollment.organizations o ON o.organization_id = a.organization_id
        LEFT JOIN enrollment.notification_settings s ON s.organization_id = a.organization_id
        LEFT JOIN enrollment.profiles p ON p.profile_id = a.profile_id
        WHERE a.assignment_id = $1
        "#,
        id,
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(Expiring::from))
}

/// Behind which assignment a walk along their expiries goes on.
pub type Place = (DateTime<Utc>, Uuid);

/// The first assignments behind `after` that the plan is about, that expire in (`from`, `until`], and about which it has not
/// written; at most `limit`. It is written `ahead` of them: of what was due before their organization had notifications on it is
/// not. Whatever else there is: each organization's are walked along their expiries.
pub async fn due(
    connection: &mut PgConnection,
    plan: &Plan,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    ahead: TimeDelta,
    after: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<Expiring>> {
    // All that expire at `from` are behind it.
    let after = after.unwrap_or((from, Uuid::max()));
    let rows = sqlx::query_as!(
        ExpiringRow,
        r#"
        SELECT a.assignment_id, a.student_id, a.organization_id, o.ancestor_ids AS "ancestor_ids!",
            s.enabled_since AS "on_since?", a.course_id AS "course_id?", coalesce(a.course_name, p.name) AS "course_name?",
            true AS "live!", a.expires_at
        FROM enrollment.organizations o
        JOIN LATERAL (
            SELECT x.enabled_since FROM enrollment.notification_settings x
            WHERE x.organization_id = o.organization_id AND x.enabled_since IS NOT NULL LIMIT 1
        ) s ON true
        CROSS JOIN LATERAL (
            SELECT x.* FROM enrollment.assignments x
            LEFT JOIN LATERAL (
                SELECT true AS written FROM enrollment.notification_expiries y
                WHERE y.plan_id = $1 AND y.assignment_id = x.assignment_id AND y.expires_at = x.expires_at LIMIT 1
            ) n ON true
            WHERE x.organization_id = o.organization_id AND x.status <> 'cancelled'
              AND (x.expires_at, x.assignment_id) > ($3, $4) AND x.expires_at <= $5
              AND n.written IS NULL AND ($7::text IS NULL OR x.course_id = $7)
              AND s.enabled_since <= x.expires_at - make_interval(secs => $9)
            ORDER BY x.expires_at, x.assignment_id LIMIT $6
        ) a
        LEFT JOIN LATERAL (
            SELECT x.name FROM enrollment.profiles x WHERE x.profile_id = a.profile_id LIMIT 1
        ) p ON true
        WHERE (o.organization_id = $2 OR o.ancestor_ids @> ARRAY[$2]::uuid[])
          AND ($8::uuid IS NULL OR o.organization_id = $8)
        ORDER BY a.expires_at, a.assignment_id LIMIT $6
        "#,
        plan.id,
        plan.organization_id,
        after.0,
        after.1,
        until,
        limit,
        plan.settings.course_id,
        plan.settings.only_organization_id as _,
        ahead.as_seconds_f64(),
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
