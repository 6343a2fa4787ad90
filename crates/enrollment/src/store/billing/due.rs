//! What is due beside the closed lines: read from the enrollments, and judged by the domain.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{BEGINNING, Period, origin};
use crate::domain::billing::{Account, Item, LATE, Place};
use crate::domain::enrollment::{CancelledBy, Status};
use crate::store::BadRow;

struct AccountRow {
    enrollment_id: Uuid,
    organization_id: Uuid,
    student_id: Uuid,
    class_id: Uuid,
    class_name: String,
    course_id: String,
    course_name: String,
    key_id: Option<Uuid>,
    key_kind: Option<String>,
    generation: Option<i32>,
    status: String,
    status_since: DateTime<Utc>,
    cancelled_by: Option<String>,
    entries: i32,
    closed_until: Option<DateTime<Utc>>,
}

impl TryFrom<AccountRow> for Account {
    type Error = BadRow;

    fn try_from(row: AccountRow) -> Result<Self, BadRow> {
        let bad = |column, value: Option<&str>| {
            let value = value.unwrap_or("nothing");
            BadRow::new("enrollment.enrollments", column, row.enrollment_id, value)
        };
        let status = Status::parse(&row.status).ok_or_else(|| bad("status", Some(&row.status)))?;
        let cancelled_by = match row.cancelled_by.as_deref() {
            None => None,
            Some(name) => {
                Some(CancelledBy::parse(name).ok_or_else(|| bad("cancelled_by", Some(name)))?)
            }
        };
        let key = (row.key_id, row.key_kind.as_deref(), row.generation);
        Ok(Self {
            status,
            status_since: row.status_since,
            cancelled_by,
            entries: row.entries,
            closed_until: row.closed_until,
            item: Item {
                enrollment_id: row.enrollment_id,
                organization_id: row.organization_id,
                student_id: row.student_id,
                class_id: row.class_id,
                origin: origin(key).ok_or_else(|| bad("key_kind", key.1))?,
                class_name: row.class_name,
                course_id: row.course_id,
                course_name: row.course_name,
            },
        })
    }
}

/// Enrollments of `organizations` of which something may be due that is booked within `period`, in the order of places,
/// after the one at `after`, at most `limit`.
///
/// Looks at what happened since the end of each organization's closed time, and at the last of it once more.
pub async fn accounts(
    connection: &mut PgConnection,
    organizations: &[Uuid],
    (from, until): Period,
    after: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<Account>> {
    let after = after.unwrap_or(BEGINNING);
    let rows = sqlx::query_as!(
        AccountRow,
        r#"
        SELECT e.enrollment_id AS "enrollment_id!", e.organization_id AS "organization_id!", e.student_id AS "student_id!",
            e.class_id AS "class_id!", c.name AS class_name, c.course_id, c.course_name, e.key_id, e.key_kind, e.generation,
            e.status AS "status!", e.status_since AS "status_since!", e.cancelled_by, found.entries AS "entries!",
            o.closed_until AS "closed_until?"
        FROM (
            SELECT r.organization_id, p.ends_at AS closed_until, CASE
                WHEN r.organization_id = $4 THEN $5::timestamptz
                WHEN p.ends_at >= $2 THEN p.ends_at - make_interval(secs => $9)
                ELSE $2
            END AS since
            FROM unnest($1::uuid[]) AS r (organization_id)
            LEFT JOIN LATERAL (
                SELECT x.ends_at FROM enrollment.billing_periods x
                WHERE x.organization_id = r.organization_id ORDER BY x.ends_at DESC LIMIT 1
            ) p ON true
        ) o
        CROSS JOIN LATERAL (
            SELECT i.enrollment_id, i.status_since AS occurred_at, coalesce(b.entry, 0) AS entries
            FROM enrollment.enrollments i
            LEFT JOIN LATERAL (
                SELECT x.entry FROM enrollment.billing_lines x
                WHERE x.enrollment_id = i.enrollment_id ORDER BY x.entry DESC LIMIT 1
            ) b ON true
            WHERE i.organization_id = o.organization_id AND i.status_since < $3
              AND (i.status_since, i.enrollment_id)
                >= (o.since, CASE WHEN o.organization_id = $4 THEN $6::uuid ELSE '00000000-0000-0000-0000-000000000000'::uuid END)
              AND (i.enrollment_id <> $6 OR coalesce(b.entry, 0) + 1 > $7)
              AND (i.status = 'enrolled') = (coalesce(b.entry, 0) % 2 = 0)
            ORDER BY i.status_since, i.enrollment_id LIMIT $8
        ) found
        CROSS JOIN LATERAL (
            SELECT t.* FROM enrollment.enrollments t WHERE t.enrollment_id = found.enrollment_id LIMIT 1
        ) e
        CROSS JOIN LATERAL (
            SELECT t.name, t.course_id, t.course_name FROM enrollment.classes t WHERE t.class_id = e.class_id LIMIT 1
        ) c
        WHERE o.closed_until IS NULL OR o.closed_until < $3
        ORDER BY o.organization_id, found.occurred_at, found.enrollment_id LIMIT $8
        "#,
        organizations,
        from,
        until,
        after.organization_id,
        after.occurred_at,
        after.enrollment_id,
        after.entry,
        limit,
        LATE.to_std().unwrap_or_default().as_secs_f64(),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| Ok(Account::try_from(row)?))
        .collect()
}
