//! `enrollment.billing_lines`: what was closed, inserted and never changed; and what is due beside it.

pub mod due;
pub mod periods;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::BadRow;
use crate::domain::billing::{Item, LATE, Line, Place, Reason};
use crate::domain::enrollment::Origin;
use crate::domain::key::KeyKind;

const TABLE: &str = "enrollment.billing_lines";

/// The instants of a statement: from the first on, before the second.
pub type Period = (DateTime<Utc>, DateTime<Utc>);

/// All time: nothing of this service happened before it, and the database's calendar is longer.
pub const EVER: Period = (DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC);

/// Before every line of a statement.
const BEGINNING: Place = Place {
    organization_id: Uuid::nil(),
    occurred_at: EVER.0,
    enrollment_id: Uuid::nil(),
    entry: 0,
};

struct LineRow {
    enrollment_id: Uuid,
    entry: i32,
    organization_id: Uuid,
    reason: String,
    booked_at: DateTime<Utc>,
    occurred_at: DateTime<Utc>,
    student_id: Uuid,
    class_id: Uuid,
    class_name: String,
    course_id: String,
    course_name: String,
    key_id: Option<Uuid>,
    key_kind: Option<String>,
    generation: Option<i32>,
}

impl TryFrom<LineRow> for Line {
    type Error = BadRow;

    fn try_from(row: LineRow) -> Result<Self, BadRow> {
        let bad = |column, value: &str| BadRow::new(TABLE, column, row.enrollment_id, value);
        let key = (row.key_id, row.key_kind.as_deref(), row.generation);
        Ok(Self {
            entry: row.entry,
            reason: Reason::parse(&row.reason).ok_or_else(|| bad("reason", &row.reason))?,
            booked_at: row.booked_at,
            occurred_at: row.occurred_at,
            closed: true,
            item: Item {
                enrollment_id: row.enrollment_id,
                organization_id: row.organization_id,
                student_id: row.student_id,
                class_id: row.class_id,
                origin: origin(key).ok_or_else(|| bad("key_kind", key.1.unwrap_or("nothing")))?,
                class_name: row.class_name,
                course_id: row.course_id,
                course_name: row.course_name,
            },
        })
    }
}

/// How a student came: by the key with this id, kind and generation, or by none.
fn origin(key: (Option<Uuid>, Option<&str>, Option<i32>)) -> Option<Origin> {
    match key {
        (None, None, None) => Some(Origin::Direct),
        (Some(key_id), Some(kind), Some(generation)) => Some(Origin::Key {
            key_id,
            kind: KeyKind::parse(kind)?,
            generation,
        }),
        _ => None,
    }
}

/// The closed lines of `organizations` that are booked within `period`, in the order of places, after the one at `after`,
/// at most `limit`.
pub async fn closed(
    connection: &mut PgConnection,
    organizations: &[Uuid],
    (from, until): Period,
    after: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<Line>> {
    let after = after.unwrap_or(BEGINNING);
    let rows = sqlx::query_as!(
        LineRow,
        r#"
        SELECT l.enrollment_id, l.entry, l.organization_id, l.reason, l.booked_at, l.occurred_at, l.student_id, l.class_id,
            l.class_name, l.course_id, l.course_name, l.key_id, l.key_kind, l.generation
        FROM (
            SELECT r.organization_id, CASE WHEN r.organization_id = $4 THEN $5::timestamptz ELSE $9 END AS since,
                CASE WHEN r.organization_id = $4 THEN $6::uuid ELSE '00000000-0000-0000-0000-000000000000'::uuid END AS after_id,
                CASE WHEN r.organization_id = $4 THEN $7::int4 ELSE 0 END AS after_entry
            FROM unnest($1::uuid[]) AS r (organization_id)
        ) o
        CROSS JOIN LATERAL (
            SELECT * FROM enrollment.billing_lines x
            WHERE x.organization_id = o.organization_id AND x.occurred_at < $3
              AND x.booked_at >= $2 AND x.booked_at < $3
              AND (x.occurred_at, x.enrollment_id, x.entry) > (o.since, o.after_id, o.after_entry)
            ORDER BY x.occurred_at, x.enrollment_id, x.entry LIMIT $8
        ) l
        ORDER BY l.organization_id, l.occurred_at, l.enrollment_id, l.entry LIMIT $8
        "#,
        organizations,
        from,
        until,
        after.organization_id,
        after.occurred_at,
        after.enrollment_id,
        after.entry,
        limit,
        from - LATE,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| Ok(Line::try_from(row)?))
        .collect()
}

/// Books lines, for good.
pub async fn book(connection: &mut PgConnection, lines: &[Line]) -> sqlx::Result<()> {
    let keys = |line: &Line| match line.item.origin {
        Origin::Direct => (None, None, None),
        Origin::Key {
            key_id,
            kind,
            generation,
        } => (Some(key_id), Some(kind.as_str()), Some(generation)),
    };
    let column = |of: fn(&Line) -> Uuid| lines.iter().map(of).collect::<Vec<Uuid>>();
    let texts = |of: fn(&Line) -> &str| lines.iter().map(of).collect::<Vec<&str>>();
    let times = |of: fn(&Line) -> DateTime<Utc>| lines.iter().map(of).collect::<Vec<_>>();
    let entries: Vec<i32> = lines.iter().map(|line| line.entry).collect();
    let key_ids: Vec<Option<Uuid>> = lines.iter().map(|line| keys(line).0).collect();
    let key_kinds: Vec<Option<&str>> = lines.iter().map(|line| keys(line).1).collect();
    let generations: Vec<Option<i32>> = lines.iter().map(|line| keys(line).2).collect();
    sqlx::query!(
        r#"
        INSERT INTO enrollment.billing_lines (
            enrollment_id, entry, organization_id, reason, booked_at, occurred_at, student_id, class_id, class_name,
            course_id, course_name, key_id, key_kind, generation
        )
        SELECT * FROM unnest(
            $1::uuid[], $2::int4[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::uuid[], $8::uuid[],
            $9::text[], $10::text[], $11::text[], $12::uuid[], $13::text[], $14::int4[]
        )
        "#,
        &column(|line| line.item.enrollment_id),
        &entries,
        &column(|line| line.item.organization_id),
        &texts(|line| line.reason.as_str()) as _,
        &times(|line| line.booked_at),
        &times(|line| line.occurred_at),
        &column(|line| line.item.student_id),
        &column(|line| line.item.class_id),
        &texts(|line| &line.item.class_name) as _,
        &texts(|line| &line.item.course_id) as _,
        &texts(|line| &line.item.course_name) as _,
        &key_ids as _,
        &key_kinds as _,
        &generations as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}
