//! Of enrollments, what is due: they are read along their last change.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::origin;
use super::{LATE, Wanted};
use crate::domain::billing::{Account, Got, Item, ItemKind, Reason};
use crate::domain::enrollment::{CancelledBy, Status};
use crate::domain::profile::Course;
use crate::store::BadRow;

struct AccountRow {
    item_id: Uuid,
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
    cancelled_by: Option<String>,
    since: DateTime<Utc>,
    entries: i32,
    closed_until: Option<DateTime<Utc>>,
}

impl TryFrom<AccountRow> for Account {
    type Error = BadRow;

    fn try_from(row: AccountRow) -> Result<Self, BadRow> {
        let bad = |column, value: Option<&str>| {
            let value = value.unwrap_or("nothing");
            BadRow::new("enrollment.enrollments", column, row.item_id, value)
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
            reason: Reason::of_enrollment(status, cancelled_by),
            since: row.since,
            entries: row.entries,
            closed_until: row.closed_until,
            item: Item {
                id: row.item_id,
                organization_id: row.organization_id,
                student_id: row.student_id,
                got: Got::InClass {
                    class_id: row.class_id,
                    origin: origin(key).ok_or_else(|| bad("key_kind", key.1))?,
                    class_name: row.class_name,
                    course: Course {
                        course_id: row.course_id,
                        course_name: row.course_name,
                    },
                },
            },
        })
    }
}

/// The accounts of enrollments, by place.
pub(super) async fn accounts(
    connection: &mut PgConnection,
    wanted: &Wanted<'_>,
) -> sqlx::Result<Vec<Account>> {
    let rows = accounts!(
        AccountRow,
        connection,
        wanted,
        ItemKind::Enrollment,
        r#"e.student_id AS "student_id!", e.class_id AS "class_id!", c.name AS class_name, c.course_id, c.course_name, e.key_id,
            e.key_kind, e.generation, e.status AS "status!", e.cancelled_by"#,
        "SELECT i.enrollment_id AS item_id, i.status_since AS occurred_at, coalesce(b.entry, 0) AS entries
         FROM enrollment.enrollments i
         LEFT JOIN LATERAL (
            SELECT x.entry FROM enrollment.billing_lines x
            WHERE x.item_id = i.enrollment_id AND x.item_kind = 'enrollment' ORDER BY x.entry DESC LIMIT 1
         ) b ON true
         WHERE i.organization_id = o.organization_id AND i.status_since < $3
           AND (i.status_since, i.enrollment_id) >= (o.since, o.after_id)
           AND (i.status_since <> $5 OR i.enrollment_id <> $6 OR coalesce(b.entry, 0) + 1 > $7)
           AND (i.status = 'enrolled') = (coalesce(b.entry, 0) % 2 = 0)
         ORDER BY i.status_since, i.enrollment_id LIMIT $8",
        "CROSS JOIN LATERAL (
            SELECT t.* FROM enrollment.enrollments t WHERE t.enrollment_id = found.item_id LIMIT 1
         ) e
         CROSS JOIN LATERAL (
            SELECT t.name, t.course_id, t.course_name FROM enrollment.classes t WHERE t.class_id = e.class_id LIMIT 1
         ) c"
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| Ok(Account::try_from(row)?))
        .collect()
}
