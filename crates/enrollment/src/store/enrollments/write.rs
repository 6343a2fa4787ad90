//! Writing enrollments whose class is locked. Seats are taken and freed by the caller.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::enrollment::{CancelledBy, Enrollment, Status};

/// Inserts an enrollment at version 1 without a key. False if its id is that of another enrollment.
pub async fn insert_direct(
    connection: &mut PgConnection,
    enrollment: &Enrollment,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        INSERT INTO enrollment.enrollments (
            enrollment_id, class_id, organization_id, student_id, status, status_since, holds_key, enrolled_at
        )
        VALUES ($1, $2, $3, $4, $5, $6, false, $7)
        ON CONFLICT (enrollment_id) DO NOTHING
        "#,
        enrollment.id,
        enrollment.class_id,
        enrollment.organization_id,
        enrollment.student_id,
        enrollment.status.as_str(),
        enrollment.status_since,
        enrollment.enrolled_at,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes the status, the completion and the version of an enrollment whose version was one less. What is not live any more
/// gives up its key for good. Removed or denied by staff, the student is blocked from the class's event key; let in again, not by this
/// enrollment any more. False if the version was another.
pub async fn update(connection: &mut PgConnection, changed: &Enrollment) -> sqlx::Result<bool> {
    let blocked =
        changed.status == Status::Denied || changed.cancelled_by == Some(CancelledBy::Staff);
    let done = sqlx::query!(
        r#"
        UPDATE enrollment.enrollments
        SET status = $2, status_since = $3, cancelled_by = $4, blocked = $5, holds_key = holds_key AND $6,
            key_released_at = CASE WHEN holds_key AND NOT $6 THEN $3 ELSE key_released_at END, version = $7,
            late_cancellation = $8, completion = $9, changed_xid = pg_current_xact_id()
        WHERE enrollment_id = $1 AND version + 1 = $7
        "#,
        changed.id,
        changed.status.as_str(),
        changed.status_since,
        changed.cancelled_by.map(CancelledBy::as_str),
        blocked,
        changed.status.is_live(),
        changed.version,
        changed.late_cancellation,
        changed.completion.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes the class and the version of a live enrollment whose version was one less, and gives up its key for good. False if
/// the version was another.
pub async fn move_to_class(
    connection: &mut PgConnection,
    moved: &Enrollment,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        UPDATE enrollment.enrollments
        SET class_id = $2, moved_at = $3, completion = $4, holds_key = false,
            key_released_at = CASE WHEN holds_key THEN $3 ELSE key_released_at END, version = $5,
            changed_xid = pg_current_xact_id()
        WHERE enrollment_id = $1 AND version + 1 = $5 AND live
        "#,
        moved.id,
        moved.class_id,
        now,
        moved.completion.as_str(),
        moved.version,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// An enrollment that gave way to a redemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaveWay {
    /// The enrollment.
    pub enrollment_id: Uuid,
    /// The key it gave up, if it came by one.
    pub key_id: Option<Uuid>,
}

/// Ends those live enrollments among `ids`, by which students were waiting, because redemptions let these in.
pub async fn give_way(
    connection: &mut PgConnection,
    ids: &[Uuid],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<GaveWay>> {
    sqlx::query_as!(
        GaveWay,
        r#"
        UPDATE enrollment.enrollments
        SET status = 'cancelled', status_since = $2, cancelled_by = 'redemption', holds_key = false,
            key_released_at = CASE WHEN holds_key THEN $2 ELSE key_released_at END, version = version + 1,
            changed_xid = pg_current_xact_id()
        WHERE enrollment_id = ANY ($1) AND live
        RETURNING enrollment_id, key_id
        "#,
        ids,
        now,
    )
    .fetch_all(connection)
    .await
}

/// Lifts the blocks that earlier removals of `student` from `class` left behind: the enrollments that had them.
pub async fn lift_blocks(
    connection: &mut PgConnection,
    class: Uuid,
    student: Uuid,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        UPDATE enrollment.enrollments SET blocked = false, version = version + 1
        WHERE class_id = $1 AND student_id = $2 AND NOT live AND blocked
        RETURNING enrollment_id
        "#,
        class,
        student,
    )
    .fetch_all(connection)
    .await
}

/// Of those who wait for a seat of `class` and have an active account, without those of `passed_over`: the earliest who is
/// wait-listed, else the earliest who has requested.
pub async fn next_waiting(
    connection: &mut PgConnection,
    class: Uuid,
    passed_over: &[Uuid],
) -> sqlx::Result<Option<Uuid>> {
    // Each status is a stretch of the index.
    sqlx::query_scalar!(
        r#"
        SELECT found.enrollment_id AS "enrollment_id!" FROM (
            (SELECT 1 AS turn, e.enrollment_id FROM enrollment.enrollments e
             JOIN enrollment.students s ON s.student_id = e.student_id
             WHERE e.class_id = $1 AND e.status = 'wait_listed' AND s.active AND e.enrollment_id <> ALL ($2)
             ORDER BY e.status_since, e.enrollment_id LIMIT 1)
            UNION ALL
            (SELECT 2, e.enrollment_id FROM enrollment.enrollments e
             JOIN enrollment.students s ON s.student_id = e.student_id
             WHERE e.class_id = $1 AND e.status = 'requested' AND s.active AND e.enrollment_id <> ALL ($2)
             ORDER BY e.status_since, e.enrollment_id LIMIT 1)
        ) found
        ORDER BY found.turn LIMIT 1
        "#,
        class,
        passed_over,
    )
    .fetch_optional(connection)
    .await
}
