//! Of assignments, what is due: they are read along their making, and those that were cancelled along that.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{LATE, Wanted};
use crate::domain::assignment::EndedBy;
use crate::domain::billing::{Account, Got, Item, ItemKind, Reason};
use crate::domain::profile::Course;
use crate::store::BadRow;

struct AccountRow {
    item_id: Uuid,
    organization_id: Uuid,
    student_id: Uuid,
    pool_id: Option<Uuid>,
    profile_id: Option<Uuid>,
    profile_name: Option<String>,
    course_id: Option<String>,
    course_name: Option<String>,
    key_id: Uuid,
    generation: i32,
    cancelled_by: Option<String>,
    since: DateTime<Utc>,
    entries: i32,
    closed_until: Option<DateTime<Utc>>,
}

impl TryFrom<AccountRow> for Account {
    type Error = BadRow;

    fn try_from(row: AccountRow) -> Result<Self, BadRow> {
        let bad =
            |column, value: &str| BadRow::new("enrollment.assignments", column, row.item_id, value);
        let ended_by = match row.cancelled_by.as_deref() {
            None => None,
            Some(name) => Some(EndedBy::parse(name).ok_or_else(|| bad("cancelled_by", name))?),
        };
        let (id, organization_id, student_id) = (row.item_id, row.organization_id, row.student_id);
        let (since, entries, closed_until) = (row.since, row.entries, row.closed_until);
        let got = got(row)
            .ok_or_else(|| BadRow::new("enrollment.assignments", "pool_id", id, "what it is of"))?;
        Ok(Self {
            reason: Reason::of_assignment(ended_by),
            since,
            entries,
            closed_until,
            item: Item {
                id,
                organization_id,
                student_id,
                got,
            },
        })
    }
}

/// What the row says that a student got; `None` if it does not say it.
fn got(row: AccountRow) -> Option<Got> {
    let (key_id, generation) = (row.key_id, row.generation);
    match (row.pool_id, row.profile_id) {
        (Some(pool_id), None) => Some(Got::Course {
            pool_id,
            course: Course {
                course_id: row.course_id?,
                course_name: row.course_name?,
            },
            key_id,
            generation,
        }),
        (None, Some(profile_id)) => Some(Got::Subscription {
            profile_id,
            profile_name: row.profile_name?,
            key_id,
            generation,
        }),
        _ => None,
    }
}

/// The accounts of assignments, by place.
///
/// Those that were cancelled are due only where they had been charged, in closed time: no later than a day after it, and of an
/// organization without any closed time none.
pub(super) async fn accounts(
    connection: &mut PgConnection,
    wanted: &Wanted<'_>,
) -> sqlx::Result<Vec<Account>> {
    let rows = accounts!(
        AccountRow,
        connection,
        wanted,
        ItemKind::Assignment,
        r#"a.student_id AS "student_id!", a.pool_id AS "pool_id?", a.profile_id AS "profile_id?", p.name AS "profile_name?", a.course_id AS "course_id?", a.course_name AS "course_name?",
            a.key_id AS "key_id!", a.generation AS "generation!", a.cancelled_by"#,
        "(SELECT i.assignment_id AS item_id, i.assigned_at AS occurred_at, coalesce(b.entry, 0) AS entries
          FROM enrollment.assignments i
          LEFT JOIN LATERAL (
            SELECT x.entry FROM enrollment.billing_lines x
            WHERE x.item_id = i.assignment_id AND x.item_kind = 'assignment' ORDER BY x.entry DESC LIMIT 1
          ) b ON true
          WHERE i.organization_id = o.organization_id AND i.status <> 'cancelled' AND i.assigned_at < $3
            AND (i.assigned_at, i.assignment_id) >= (o.since, o.after_id)
            AND (i.assigned_at <> $5 OR i.assignment_id <> $6 OR coalesce(b.entry, 0) + 1 > $7)
            AND coalesce(b.entry, 0) % 2 = 0
          ORDER BY i.assigned_at, i.assignment_id LIMIT $8)
         UNION ALL
         (SELECT i.assignment_id, i.cancelled_at, b.entry
          FROM enrollment.assignments i
          CROSS JOIN LATERAL (
            SELECT x.entry FROM enrollment.billing_lines x
            WHERE x.item_id = i.assignment_id AND x.item_kind = 'assignment' ORDER BY x.entry DESC LIMIT 1
          ) b
          WHERE i.organization_id = o.organization_id AND i.status = 'cancelled' AND i.cancelled_at < $3
            AND (i.cancelled_at, i.assignment_id) >= (o.since, o.after_id)
            AND i.cancelled_at < o.closed_until + interval '24 hours' AND i.assigned_at < o.closed_until
            AND (i.cancelled_at <> $5 OR i.assignment_id <> $6 OR b.entry + 1 > $7) AND b.entry % 2 = 1
          ORDER BY i.cancelled_at, i.assignment_id LIMIT $8)",
        "CROSS JOIN LATERAL (
            SELECT t.* FROM enrollment.assignments t WHERE t.assignment_id = found.item_id LIMIT 1
         ) a
         LEFT JOIN LATERAL (
            SELECT t.name FROM enrollment.profiles t WHERE t.profile_id = a.profile_id LIMIT 1
         ) p ON true"
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| Ok(Account::try_from(row)?))
        .collect()
}
