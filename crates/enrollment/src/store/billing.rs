//! `enrollment.billing_lines`: what was closed, inserted and never changed; and what is due beside it.

pub mod due;
pub mod periods;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::BadRow;
use crate::domain::billing::{Got, Item, ItemKind, LATE, Line, POOL, Place, Reason, SUBSCRIPTION};
use crate::domain::enrollment::Origin;
use crate::domain::key::KeyKind;
use crate::domain::profile::Course;

const TABLE: &str = "enrollment.billing_lines";

/// The instants of a statement: from the first on, before the second.
pub type Period = (DateTime<Utc>, DateTime<Utc>);

/// All time: nothing of this service happened before it, and the database's calendar is longer.
pub const EVER: Period = (DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC);

/// Before every line of a statement.
const BEGINNING: Place = Place {
    organization_id: Uuid::nil(),
    occurred_at: EVER.0,
    item_id: Uuid::nil(),
    kind: ItemKind::Assignment,
    entry: 0,
};

struct LineRow {
    item_id: Uuid,
    entry: i32,
    organization_id: Uuid,
    reason: String,
    booked_at: DateTime<Utc>,
    occurred_at: DateTime<Utc>,
    student_id: Uuid,
    class_id: Option<Uuid>,
    class_name: Option<String>,
    pool_id: Option<Uuid>,
    profile_id: Option<Uuid>,
    profile_name: Option<String>,
    course_id: Option<String>,
    course_name: Option<String>,
    key_id: Option<Uuid>,
    key_kind: Option<String>,
    generation: Option<i32>,
}

impl TryFrom<LineRow> for Line {
    type Error = BadRow;

    fn try_from(row: LineRow) -> Result<Self, BadRow> {
        let id = row.item_id;
        let bad = |column, value: &str| BadRow::new(TABLE, column, id, value);
        let kind = row.key_kind.clone();
        let kind = kind.as_deref().unwrap_or("nothing");
        Ok(Self {
            entry: row.entry,
            reason: Reason::parse(&row.reason).ok_or_else(|| bad("reason", &row.reason))?,
            booked_at: row.booked_at,
            occurred_at: row.occurred_at,
            closed: true,
            item: Item {
                id,
                organization_id: row.organization_id,
                student_id: row.student_id,
                got: got(row).ok_or_else(|| bad("key_kind", kind))?,
            },
        })
    }
}

/// What a line says that a student got; `None` if its columns do not fit each other.
fn got(row: LineRow) -> Option<Got> {
    let course = row.course_id.zip(row.course_name);
    let course = course.map(|(course_id, course_name)| Course {
        course_id,
        course_name,
    });
    let key = (row.key_id, row.key_kind.as_deref(), row.generation);
    match (row.class_id, row.pool_id, row.profile_id, key) {
        (Some(class_id), None, None, key) => Some(Got::InClass {
            class_id,
            class_name: row.class_name?,
            course: course?,
            origin: origin(key)?,
        }),
        (None, Some(pool_id), None, (Some(key_id), Some(POOL), Some(generation))) => {
            Some(Got::Course {
                pool_id,
                course: course?,
                key_id,
                generation,
            })
        }
        (None, None, Some(profile_id), (Some(key_id), Some(SUBSCRIPTION), Some(generation))) => {
            Some(Got::Subscription {
                profile_id,
                profile_name: row.profile_name?,
                key_id,
                generation,
            })
        }
        _ => None,
    }
}

/// How a student came into a class: by the key with this id, kind and generation, or by none.
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
        SELECT l.item_id, l.entry, l.organization_id, l.reason, l.booked_at, l.occurred_at, l.student_id, l.class_id,
            l.class_name, l.pool_id, l.profile_id, l.profile_name, l.course_id, l.course_name, l.key_id, l.key_kind, l.generation
        FROM (
            SELECT r.organization_id, CASE WHEN r.organization_id = $4 THEN $5::timestamptz ELSE $9 END AS since,
                CASE WHEN r.organization_id = $4 THEN $6::uuid ELSE '00000000-0000-0000-0000-000000000000'::uuid END AS after_id,
                CASE WHEN r.organization_id = $4 THEN $10::text ELSE '' END AS after_kind,
                CASE WHEN r.organization_id = $4 THEN $7::int4 ELSE 0 END AS after_entry
            FROM unnest($1::uuid[]) AS r (organization_id)
        ) o
        CROSS JOIN LATERAL (
            SELECT * FROM enrollment.billing_lines x
            WHERE x.organization_id = o.organization_id AND x.occurred_at < $3
              AND x.booked_at >= $2 AND x.booked_at < $3
              AND (x.occurred_at, x.item_id, x.item_kind, x.entry) > (o.since, o.after_id, o.after_kind, o.after_entry)
            ORDER BY x.occurred_at, x.item_id, x.item_kind, x.entry LIMIT $8
        ) l
        ORDER BY l.organization_id, l.occurred_at, l.item_id, l.item_kind, l.entry LIMIT $8
        "#,
        organizations,
        from,
        until,
        after.organization_id,
        after.occurred_at,
        after.item_id,
        after.entry,
        limit,
        from - LATE,
        after.kind.as_str(),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| Ok(Line::try_from(row)?))
        .collect()
}

/// Books lines, for good.
pub async fn book(connection: &mut PgConnection, lines: &[Line]) -> sqlx::Result<()> {
    let columns = Columns::of(lines);
    sqlx::query!(
        r#"
        INSERT INTO enrollment.billing_lines (
            item_id, item_kind, entry, organization_id, reason, booked_at, occurred_at, student_id, class_id, class_name,
            pool_id, course_id, course_name, key_id, key_kind, generation, profile_id, profile_name
        )
        SELECT * FROM unnest(
            $1::uuid[], $2::text[], $3::int4[], $4::uuid[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::uuid[],
            $9::uuid[], $10::text[], $11::uuid[], $12::text[], $13::text[], $14::uuid[], $15::text[], $16::int4[],
            $17::uuid[], $18::text[]
        )
        "#,
        &columns.item_ids,
        &columns.item_kinds as _,
        &columns.entries,
        &columns.organization_ids,
        &columns.reasons as _,
        &columns.bookings,
        &columns.occurrences,
        &columns.student_ids,
        &columns.class_ids as _,
        &columns.class_names as _,
        &columns.pool_ids as _,
        &columns.course_ids as _,
        &columns.course_names as _,
        &columns.key_ids as _,
        &columns.key_kinds as _,
        &columns.generations as _,
        &columns.profile_ids as _,
        &columns.profile_names as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Lines, column by column.
#[derive(Default)]
struct Columns<'l> {
    item_ids: Vec<Uuid>,
    item_kinds: Vec<&'static str>,
    entries: Vec<i32>,
    organization_ids: Vec<Uuid>,
    reasons: Vec<&'static str>,
    bookings: Vec<DateTime<Utc>>,
    occurrences: Vec<DateTime<Utc>>,
    student_ids: Vec<Uuid>,
    class_ids: Vec<Option<Uuid>>,
    class_names: Vec<Option<&'l str>>,
    pool_ids: Vec<Option<Uuid>>,
    course_ids: Vec<Option<&'l str>>,
    course_names: Vec<Option<&'l str>>,
    key_ids: Vec<Option<Uuid>>,
    key_kinds: Vec<Option<&'static str>>,
    generations: Vec<Option<i32>>,
    profile_ids: Vec<Option<Uuid>>,
    profile_names: Vec<Option<&'l str>>,
}

impl<'l> Columns<'l> {
    fn of(lines: &'l [Line]) -> Self {
        let mut columns = Self::default();
        for line in lines {
            let (item, got) = (&line.item, &line.item.got);
            let (class, course, key) = (got.class(), got.course(), got.key());
            let profile = got.profile();
            columns.item_ids.push(item.id);
            columns.item_kinds.push(got.kind().as_str());
            columns.entries.push(line.entry);
            columns.organization_ids.push(item.organization_id);
            columns.reasons.push(line.reason.as_str());
            columns.bookings.push(line.booked_at);
            columns.occurrences.push(line.occurred_at);
            columns.student_ids.push(item.student_id);
            columns.class_ids.push(class.map(|(id, _)| id));
            columns.class_names.push(class.map(|(_, name)| name));
            columns.pool_ids.push(got.pool_id());
            columns.course_ids.push(course.map(|one| &*one.course_id));
            columns
                .course_names
                .push(course.map(|one| &*one.course_name));
            columns.key_ids.push(key.map(|one| one.id));
            columns.key_kinds.push(key.map(|one| one.kind));
            columns.generations.push(key.map(|one| one.generation));
            columns.profile_ids.push(profile.map(|(id, _)| id));
            columns.profile_names.push(profile.map(|(_, name)| name));
        }
        columns
    }
}
