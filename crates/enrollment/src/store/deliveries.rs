//! `enrollment.deliveries`: how far the keys service was told what became of its keys, in the order of commits.
//!
//! A change is below a mark when the transaction that made it has a lower id than the mark, and a mark is the lowest id
//! of those in progress: everything below it has ended. Sequences and clocks have no such order.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::BadRow;
use crate::domain::key::Mark;

/// A stretch of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Of each enrollment that was changed in it and came by a key: the use of that key, as it is now.
    pub uses: Vec<Mark>,
    /// The mark that everything in it is below, and nothing of what follows.
    pub below: u64,
    /// Whether this reaches the mark that was asked for.
    pub complete: bool,
}

/// What the keys service is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// Changes of enrollments that came by a key, whether or not they can be delivered yet.
    pub uses: bool,
    /// Copies of organizations.
    pub organizations: bool,
    /// Copies of classes.
    pub classes: bool,
}

/// What is owed at this moment: one statement, which locks and writes nothing.
pub async fn owed(executor: impl PgExecutor<'_>) -> sqlx::Result<Owed> {
    sqlx::query_as!(
        Owed,
        r#"
        SELECT EXISTS (
            SELECT 1 FROM enrollment.enrollments e
            WHERE e.changed_xid >= (SELECT d.delivered_below FROM enrollment.deliveries d) AND e.key_id IS NOT NULL
        ) AS "uses!",
        EXISTS (
            SELECT 1 FROM enrollment.organizations o WHERE o.copied_version < o.version
        ) AS "organizations!",
        EXISTS (
            SELECT 1 FROM enrollment.classes c WHERE c.copied_version < c.version
        ) AS "classes!"
        "#
    )
    .fetch_one(executor)
    .await
}

/// Locks the record of deliveries; the mark that all changes below were delivered. `None` if another delivery is in
/// progress.
pub async fn lock(connection: &mut PgConnection) -> sqlx::Result<Option<u64>> {
    let below = sqlx::query_scalar!(
        r#"SELECT delivered_below::text AS "below!" FROM enrollment.deliveries FOR UPDATE SKIP LOCKED"#
    )
    .fetch_optional(connection)
    .await?;
    below.map(|text| read(&text)).transpose()
}

/// The mark at this moment.
pub async fn mark(connection: &mut PgConnection) -> sqlx::Result<u64> {
    let mark =
        sqlx::query_scalar!(r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS "mark!""#)
            .fetch_one(connection)
            .await?;
    read(&mark)
}

/// The first `limit` changes from the mark `from` on, and those of the same transaction as the last of them; below the
/// mark `until`, which was read by an earlier statement.
pub async fn stretch(
    connection: &mut PgConnection,
    from: u64,
    until: u64,
    limit: usize,
) -> sqlx::Result<Stretch> {
    let rows = sqlx::query!(
        r#"
        SELECT e.changed_xid::text AS "changed!", e.enrollment_id, e.key_id, e.student_id, e.generation, e.enrolled_at,
            e.holds_key, e.cancelled_at
        FROM enrollment.enrollments e
        WHERE e.changed_xid >= $1::text::xid8 AND e.changed_xid < $2::text::xid8
        ORDER BY e.changed_xid FETCH FIRST ($3::bigint) ROWS WITH TIES
        "#,
        from.to_string(),
        until.to_string(),
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_all(connection)
    .await?;
    let complete = rows.len() < limit;
    let last = rows.last().map(|row| read(&row.changed)).transpose()?;
    let uses = rows
        .into_iter()
        .filter_map(|row| {
            Some(Mark {
                redemption_id: row.enrollment_id,
                key_id: row.key_id?,
                student_id: row.student_id,
                generation: row.generation?,
                redeemed_at: row.enrolled_at,
                released_at: (!row.holds_key)
                    .then_some(row.cancelled_at.unwrap_or(row.enrolled_at)),
            })
        })
        .collect();
    Ok(Stretch {
        uses,
        below: match last {
            Some(last) if !complete => last + 1,
            _ => until.max(from),
        },
        complete,
    })
}

/// Notes that all changes below the mark `below` were delivered.
pub async fn advance(connection: &mut PgConnection, below: u64) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE enrollment.deliveries SET delivered_below = $1::text::xid8",
        below.to_string()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether there are changes from the mark `from` on, of enrollments that came by a key, whatever their mark.
pub async fn is_owed(connection: &mut PgConnection, from: u64) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT 1 FROM enrollment.enrollments e WHERE e.changed_xid >= $1::text::xid8 AND e.key_id IS NOT NULL
        ) AS "owed!"
        "#,
        from.to_string()
    )
    .fetch_one(connection)
    .await
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
