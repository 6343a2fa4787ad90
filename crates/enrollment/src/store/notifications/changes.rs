//! What happened that letters may follow from: changes of enrollments in the order of commits, and times around classes.
//!
//! Changes are found as those are that the keys service is owed (`store::deliveries`): by the transaction that made them,
//! below the oldest one in progress. Nothing is written for them where they are decided.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{PlanRow, all};
use crate::domain::class::Class;
use crate::domain::enrollment::Status;
use crate::domain::notification::Plan;
use crate::domain::notification::letters::{About, Around, Place};
use crate::store::cursor::Cursor;
use crate::store::{BadRow, classes};

/// An enrollment that came into the status it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The enrollment.
    pub about: About,
    /// Its class.
    pub class_id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
}

/// Locks the record of how far was looked; how far that is. `None` if another looks.
pub async fn lock(connection: &mut PgConnection) -> sqlx::Result<Option<Cursor>> {
    let row = sqlx::query!(
        r#"
        SELECT looked_below::text AS "below!", looked_to AS "to" FROM enrollment.notification_progress
        FOR UPDATE SKIP LOCKED
        "#
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let below = row.below.parse().map_err(|_| {
            let table = "enrollment.notification_progress";
            sqlx::Error::from(BadRow::new(table, "looked_below", Uuid::nil(), &row.below))
        })?;
        Ok(Cursor { below, to: row.to })
    })
    .transpose()
}

/// Waits for whoever looks, and skips what was before a first plan that is about changes: nothing was to be written about
/// it. For the transaction that makes a plan, before it does.
pub async fn begin(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("SELECT only_row FROM enrollment.notification_progress FOR UPDATE")
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query!(
        r#"
        UPDATE enrollment.notification_progress
        SET looked_below = greatest(looked_below, pg_snapshot_xmin(pg_current_snapshot())), looked_to = DEFAULT
        WHERE NOT EXISTS (
            SELECT 1 FROM enrollment.notification_plans p WHERE p.deleted_at IS NULL AND NOT p.timed
        )
        "#
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether there are plans at all: about changes, and about times.
pub async fn are_planned(executor: impl PgExecutor<'_>) -> sqlx::Result<(bool, bool)> {
    let row = sqlx::query!(
        r#"
        SELECT EXISTS (
            SELECT 1 FROM enrollment.notification_plans p WHERE p.deleted_at IS NULL AND NOT p.timed
        ) AS "changes!",
        EXISTS (
            SELECT 1 FROM enrollment.notification_plans p WHERE p.deleted_at IS NULL AND p.timed
        ) AS "times!"
        "#
    )
    .fetch_one(executor)
    .await?;
    Ok((row.changes, row.times))
}

struct ChangedRow {
    changed: String,
    enrollment_id: Uuid,
    class_id: Uuid,
    student_id: Uuid,
    status: String,
    status_since: DateTime<Utc>,
    enrolled_at: DateTime<Utc>,
    /// Whether something is still written about it. What changes an enrollment again later finds letters about earlier changes
    /// sent and, some time after that, forgotten.
    young: bool,
}

/// An enrollment, as far as letters are about one.
pub(in crate::store) fn about(
    enrollment_id: Uuid,
    student_id: Uuid,
    status: &str,
    came_at: DateTime<Utc>,
) -> Result<About, BadRow> {
    let bad = || BadRow::new("enrollment.enrollments", "status", enrollment_id, status);
    Ok(About {
        enrollment_id,
        student_id,
        status: Status::parse(status).ok_or_else(bad)?,
        came_at,
    })
}

/// A stretch of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Those in it that are young enough.
    pub changes: Vec<Change>,
    /// Where it ends.
    pub end: Cursor,
    /// Whether this reaches the mark that was asked for.
    pub complete: bool,
}

/// The first `limit` changes behind `from`; below the mark `until`, which was read by an earlier statement.
pub async fn stretch(
    connection: &mut PgConnection,
    from: Cursor,
    until: u64,
    limit: i64,
) -> sqlx::Result<Stretch> {
    let rows = sqlx::query_as!(
        ChangedRow,
        r#"
        SELECT e.changed_xid::text AS "changed!", e.enrollment_id, e.class_id, e.student_id, e.status,
            e.status_since, e.enrolled_at,
            e.status_since > clock_timestamp() - interval '3 days' AS "young!"
        FROM enrollment.enrollments e
        WHERE e.changed_xid >= $1::text::xid8 AND e.changed_xid < $2::text::xid8
          AND (e.changed_xid, e.enrollment_id) > ($1::text::xid8, $3)
        ORDER BY e.changed_xid, e.enrollment_id LIMIT $4
        "#,
        from.below.to_string(),
        until.to_string(),
        from.to,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let complete = i64::try_from(rows.len()).unwrap_or(i64::MAX) < limit;
    let last = rows.last().and_then(|row| {
        let below = row.changed.parse().ok()?;
        let to = row.enrollment_id;
        Some(Cursor { below, to })
    });
    let young = rows.into_iter().filter(|row| row.young);
    let change = |row: ChangedRow| {
        let (class_id, at) = (row.class_id, row.status_since);
        let about = about(
            row.enrollment_id,
            row.student_id,
            &row.status,
            row.enrolled_at,
        )?;
        Ok(Change {
            about,
            class_id,
            at,
        })
    };
    Ok(Stretch {
        changes: young.map(change).collect::<Result<_, BadRow>>()?,
        end: match last {
            Some(last) if !complete => last,
            _ => Cursor::at(until).max(from),
        },
        complete,
    })
}

/// Notes that changes were looked at as far as `end`.
pub async fn advance(connection: &mut PgConnection, end: Cursor) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE enrollment.notification_progress SET looked_below = $1::text::xid8, looked_to = $2",
        end.below.to_string(),
        end.to,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Lowers the mark under everything that is not committed yet: one that lies ahead is of another server, from which the
/// table was restored.
pub async fn lower(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        UPDATE enrollment.notification_progress
        SET looked_below = least(looked_below, pg_snapshot_xmin(pg_current_snapshot())), looked_to = DEFAULT
        "#
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The classes `ids`, and since when something is written about each.
pub async fn places(connection: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<Place>> {
    let found = classes::find_all(&mut *connection, ids).await?;
    let rows = sqlx::query!(
        r#"
        SELECT c.class_id AS "class_id!", o.ancestor_ids AS "ancestor_ids!",
            CASE WHEN n.class_id IS NULL THEN s.enabled_since ELSE n.enabled_since END AS "on_since?"
        FROM enrollment.classes c
        JOIN enrollment.organizations o ON o.organization_id = c.organization_id
        LEFT JOIN enrollment.notification_settings s ON s.organization_id = c.organization_id
        LEFT JOIN enrollment.class_notifications n ON n.class_id = c.class_id
        WHERE c.class_id = ANY ($1)
        "#,
        ids,
    )
    .fetch_all(connection)
    .await?;
    let place = |class: Class| {
        let row = rows.iter().find(|row| row.class_id == class.id)?;
        Some(Place {
            ancestors: row.ancestor_ids.clone(),
            on_since: row.on_since,
            class,
        })
    };
    Ok(found.into_iter().filter_map(place).collect())
}

/// The plans about changes that these organizations own.
pub async fn plans_of(
    connection: &mut PgConnection,
    organizations: &[Uuid],
) -> sqlx::Result<Vec<Plan>> {
    let rows = sqlx::query_as!(
        PlanRow,
        r#"
        SELECT p.plan_id, p.organization_id, p.settings, p.created_at, p.version,
            p.deleted_at IS NOT NULL AS "deleted!"
        FROM enrollment.notification_plans p
        WHERE p.organization_id = ANY ($1) AND p.deleted_at IS NULL AND NOT p.timed
        "#,
        organizations,
    )
    .fetch_all(connection)
    .await?;
    all(rows)
}

/// All plans about times, by id.
pub async fn timed_plans(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<Plan>> {
    let rows = sqlx::query_as!(
        PlanRow,
        r#"
        SELECT p.plan_id, p.organization_id, p.settings, p.created_at, p.version,
            p.deleted_at IS NOT NULL AS "deleted!"
        FROM enrollment.notification_plans p
        WHERE p.deleted_at IS NULL AND p.timed ORDER BY p.plan_id
        "#
    )
    .fetch_all(executor)
    .await?;
    all(rows)
}

/// Classes of the plan's organization and those below it about which it is due to write in (`from`, `until`], and has not yet;
/// at most `limit`.
pub async fn due_classes(
    connection: &mut PgConnection,
    plan: &Plan,
    around: Around,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    limit: i64,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        SELECT c.class_id
        FROM enrollment.classes c
        JOIN enrollment.organizations o ON o.organization_id = c.organization_id
        LEFT JOIN LATERAL (
            SELECT true AS written FROM enrollment.notification_times t
            WHERE t.plan_id = $1 AND t.class_id = c.class_id
              AND t.due_at = CASE WHEN $3 THEN c.ends_at ELSE c.starts_at END - make_interval(secs => $6) LIMIT 1
        ) t ON true
        WHERE (o.organization_id = $2 OR $2 = ANY (o.ancestor_ids)) AND c.status <> 'cancelled'
          AND CASE WHEN $3 THEN c.ends_at ELSE c.starts_at END > $4
          AND CASE WHEN $3 THEN c.ends_at ELSE c.starts_at END <= $5
          AND c.starts_at > $4 - interval '366 days' AND c.starts_at <= $5
          AND t.written IS NULL
        ORDER BY c.starts_at LIMIT $7
        "#,
        plan.id,
        plan.organization_id,
        around.of_end,
        from + around.ahead,
        until + around.ahead,
        around.ahead.as_seconds_f64(),
        limit,
    )
    .fetch_all(connection)
    .await
}

/// Notes that this plan has written about a class at the time `due_at`. False if it had before: another is doing it, or did.
pub async fn note_time(
    connection: &mut PgConnection,
    plan: Uuid,
    class: Uuid,
    due_at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        INSERT INTO enrollment.notification_times (plan_id, class_id, due_at) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING
        "#,
        plan,
        class,
        due_at,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The live enrollments of a class.
pub async fn enrollments(connection: &mut PgConnection, class: Uuid) -> sqlx::Result<Vec<About>> {
    let rows = sqlx::query!(
        r#"
        SELECT e.enrollment_id, e.student_id, e.status, e.enrolled_at FROM enrollment.enrollments e
        WHERE e.class_id = $1 AND e.live
        "#,
        class,
    )
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(about(
                row.enrollment_id,
                row.student_id,
                &row.status,
                row.enrolled_at,
            )?)
        })
        .collect()
}
