//! `enrollment.deliveries`: how far the keys service was told what became of its keys, in the order of commits.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::BadRow;
use super::cursor::Cursor;
use crate::domain::key::Mark;

/// A stretch of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Each use of a key that was changed in it, as it is now, in the order of changes.
    pub uses: Vec<Use>,
    /// Where it ends.
    pub end: Cursor,
    /// Whether this reaches the mark that was asked for.
    pub complete: bool,
}

impl Stretch {
    /// Its first `count` uses: one at least, if it has any.
    pub fn first(mut self, count: usize) -> Self {
        if count < self.uses.len() {
            self.uses.truncate(count);
            self.end = self.uses.last().map_or(self.end, Use::behind);
            self.complete = false;
        }
        self
    }
}

/// A use of a key, as far as keys must know of it.
struct UseRow {
    changed: String,
    redemption_id: Uuid,
    key_id: Uuid,
    student_id: Uuid,
    generation: i32,
    redeemed_at: DateTime<Utc>,
    released_at: Option<DateTime<Utc>>,
}

impl UseRow {
    fn mark(&self) -> Mark {
        Mark {
            redemption_id: self.redemption_id,
            key_id: self.key_id,
            student_id: self.student_id,
            generation: self.generation,
            redeemed_at: self.redeemed_at,
            released_at: self.released_at,
        }
    }
}

/// A use of a key, live or given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The use.
    pub mark: Mark,
    /// The transaction that changed it last.
    pub changed: u64,
}

impl Use {
    /// Behind its change.
    fn behind(&self) -> Cursor {
        Cursor {
            below: self.changed,
            to: self.mark.redemption_id,
        }
    }
}

fn uses(rows: &[UseRow]) -> sqlx::Result<Vec<Use>> {
    let read = |row: &UseRow| {
        Ok(Use {
            mark: row.mark(),
            changed: read(&row.changed)?,
        })
    };
    rows.iter().map(read).collect()
}

/// What the keys service is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is owed by itself, whatever the others are"
)]
pub struct Owed {
    /// Changes of uses of keys, whether or not they can be delivered yet.
    pub uses: bool,
    /// Copies of organizations.
    pub organizations: bool,
    /// Copies of classes.
    pub classes: bool,
    /// Copies of subscription profiles.
    pub profiles: bool,
}

/// What is owed at this moment: one statement, which locks and writes nothing.
pub async fn owed(executor: impl PgExecutor<'_>) -> sqlx::Result<Owed> {
    sqlx::query_as!(
        Owed,
        r#"
        SELECT EXISTS (
            SELECT 1 FROM enrollment.uses u
            WHERE u.changed_xid >= (SELECT d.delivered_below FROM enrollment.deliveries d)
        ) AS "uses!",
        EXISTS (
            SELECT 1 FROM enrollment.organizations o WHERE o.copied_version < o.version
        ) AS "organizations!",
        EXISTS (
            SELECT 1 FROM enrollment.classes c WHERE c.copied_version < c.version
        ) AS "classes!",
        EXISTS (
            SELECT 1 FROM enrollment.profiles p WHERE p.copied_version < p.version
        ) AS "profiles!"
        "#
    )
    .fetch_one(executor)
    .await
}

/// Locks the record of deliveries; how far they are. `None` if another delivery is in
/// progress.
pub async fn lock(connection: &mut PgConnection) -> sqlx::Result<Option<Cursor>> {
    let row = sqlx::query!(
        r#"SELECT delivered_below::text AS "below!", delivered_to AS "to" FROM enrollment.deliveries FOR UPDATE SKIP LOCKED"#
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(Cursor {
            below: read(&row.below)?,
            to: row.to,
        })
    })
    .transpose()
}

/// The mark at this moment.
pub async fn mark(connection: &mut PgConnection) -> sqlx::Result<u64> {
    let mark =
        sqlx::query_scalar!(r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS "mark!""#)
            .fetch_one(connection)
            .await?;
    read(&mark)
}

/// The first `limit` changes behind `from`; below the mark `until`, which was read by an earlier statement.
pub async fn stretch(
    connection: &mut PgConnection,
    from: Cursor,
    until: u64,
    limit: usize,
) -> sqlx::Result<Stretch> {
    let rows = sqlx::query_as!(
        UseRow,
        r#"
        SELECT u.changed_xid::text AS "changed!", u.redemption_id AS "redemption_id!", u.key_id AS "key_id!",
            u.student_id AS "student_id!", u.generation AS "generation!", u.redeemed_at AS "redeemed_at!",
            u.released_at
        FROM enrollment.uses u
        WHERE u.changed_xid >= $1::text::xid8 AND u.changed_xid < $2::text::xid8
          AND (u.changed_xid, u.redemption_id) > ($1::text::xid8, $3)
        ORDER BY u.changed_xid, u.redemption_id LIMIT $4
        "#,
        from.below.to_string(),
        until.to_string(),
        from.to,
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_all(connection)
    .await?;
    let complete = rows.len() < limit;
    let uses = uses(&rows)?;
    let end = match uses.last() {
        Some(last) if !complete => last.behind(),
        _ => Cursor::at(until).max(from),
    };
    Ok(Stretch {
        uses,
        end,
        complete,
    })
}

/// Notes that deliveries are as far as `end`.
pub async fn advance(connection: &mut PgConnection, end: Cursor) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE enrollment.deliveries SET delivered_below = $1::text::xid8, delivered_to = $2",
        end.below.to_string(),
        end.to,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether there are changes of uses from the mark `from` on, whatever their mark.
pub async fn is_owed(connection: &mut PgConnection, from: u64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT 1 FROM enrollment.uses u WHERE u.changed_xid >= $1::text::xid8
        ) AS "owed!"
        "#,
        from.to_string()
    )
    .fetch_one(connection)
    .await
}

/// A mark above every change that has been committed so far.
pub async fn ceiling(executor: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let mark =
        sqlx::query_scalar!(r#"SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS "mark!""#)
            .fetch_one(executor)
            .await?;
    read(&mark)
}

/// Whether there are changes of uses below the mark `until` that were not delivered.
pub async fn is_owed_below(executor: impl PgExecutor<'_>, until: u64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT 1 FROM enrollment.uses u
            WHERE u.changed_xid >= (SELECT d.delivered_below FROM enrollment.deliveries d)
              AND u.changed_xid < $1::text::xid8
        ) AS "owed!"
        "#,
        until.to_string()
    )
    .fetch_one(executor)
    .await
}

/// How many seconds ago the oldest of the changes was made that were not delivered; 0 if all were.
pub async fn oldest_owed_seconds(executor: impl PgExecutor<'_>) -> sqlx::Result<f64> {
    let seconds = sqlx::query_scalar!(
        r#"
        SELECT extract(epoch FROM clock_timestamp() - u.changed_at)::float8 AS "seconds!"
        FROM enrollment.uses u
        WHERE u.changed_xid >= (SELECT d.delivered_below FROM enrollment.deliveries d)
        ORDER BY u.changed_xid LIMIT 1
        "#
    )
    .fetch_optional(executor)
    .await?;
    Ok(seconds.unwrap_or_default().max(0.0))
}

/// Lowers the mark that all changes below were delivered under everything that is not committed yet: one that lies ahead is
/// of another server, from which the table was restored, and nothing that comes would be above it.
pub async fn lower(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        UPDATE enrollment.deliveries
        SET delivered_below = least(delivered_below, pg_snapshot_xmin(pg_current_snapshot())), delivered_to = DEFAULT
        "#
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Stamps changes by the present transaction, at most `limit` of enrollments and as many of assignments, whose own
/// transaction lies ahead: it was one of another server's, from which the tables were restored, and would be waited for. How
/// many there were.
pub async fn stamp_again(connection: &mut PgConnection, limit: i64) -> sqlx::Result<u64> {
    let enrollments = sqlx::query!(
        r#"
        UPDATE enrollment.enrollments SET changed_xid = pg_current_xact_id()
        WHERE enrollment_id IN (
            SELECT e.enrollment_id FROM enrollment.enrollments e
            WHERE e.changed_xid >= pg_snapshot_xmax(pg_current_snapshot())
            LIMIT $1
        )
        "#,
        limit
    )
    .execute(&mut *connection)
    .await?;
    let assignments = sqlx::query!(
        r#"
        UPDATE enrollment.assignments SET changed_xid = pg_current_xact_id()
        WHERE assignment_id IN (
            SELECT a.assignment_id FROM enrollment.assignments a
            WHERE a.changed_xid >= pg_snapshot_xmax(pg_current_snapshot())
            LIMIT $1
        )
        "#,
        limit
    )
    .execute(connection)
    .await?;
    Ok(enrollments.rows_affected() + assignments.rows_affected())
}

/// Every use of a key after that of the redemption `after`, in the order of redemptions, at most `limit`.
pub async fn uses_after(
    executor: impl PgExecutor<'_>,
    after: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<Use>> {
    let rows = sqlx::query_as!(
        UseRow,
        r#"
        SELECT u.changed_xid::text AS "changed!", u.redemption_id AS "redemption_id!", u.key_id AS "key_id!",
            u.student_id AS "student_id!", u.generation AS "generation!", u.redeemed_at AS "redeemed_at!",
            u.released_at
        FROM enrollment.uses u WHERE u.redemption_id > $1
        ORDER BY u.redemption_id LIMIT $2
        "#,
        after,
        limit,
    )
    .fetch_all(executor)
    .await?;
    uses(&rows)
}

/// The uses of keys by those redemptions among `ids` that granted something.
pub async fn uses_of(executor: impl PgExecutor<'_>, ids: &[Uuid]) -> sqlx::Result<Vec<Use>> {
    let rows = sqlx::query_as!(
        UseRow,
        r#"
        SELECT u.changed_xid::text AS "changed!", u.redemption_id AS "redemption_id!", u.key_id AS "key_id!",
            u.student_id AS "student_id!", u.generation AS "generation!", u.redeemed_at AS "redeemed_at!",
            u.released_at
        FROM enrollment.uses u WHERE u.redemption_id = ANY ($1)
        "#,
        ids
    )
    .fetch_all(executor)
    .await?;
    uses(&rows)
}

fn read(text: &str) -> sqlx::Result<u64> {
    let bad = || {
        BadRow::new(
            "enrollment.deliveries",
            "delivered_below",
            Uuid::nil(),
            text,
        )
    };
    Ok(text.parse().map_err(|_| bad())?)
}
