//! Erasing: what an account loses, and the places it gives up.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::student::Student;

/// The classes in which `student` has a live enrollment, and which have not begun, in the order in which they are locked.
pub async fn classes_ahead(
    connection: &mut PgConnection,
    student: Uuid,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        SELECT e.class_id FROM enrollment.enrollments e
        CROSS JOIN LATERAL (
            SELECT true FROM enrollment.classes x
            WHERE x.class_id = e.class_id AND x.starts_at > clock_timestamp() LIMIT 1
        ) c
        WHERE e.student_id = $1 AND e.live
        ORDER BY e.class_id
        "#,
        student,
    )
    .fetch_all(connection)
    .await
}

/// An enrollment that ended with its student's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedWithAccount {
    /// The enrollment.
    pub enrollment_id: Uuid,
    /// Its class.
    pub class_id: Uuid,
    /// The organization that owns the class.
    pub organization_id: Uuid,
    /// The key it gave up, if it came by one.
    pub key_id: Option<Uuid>,
    /// Whether it took a seat.
    pub took_seat: bool,
}

/// Ends the live enrollments of `student` in `classes`, which are locked, and gives up their keys for good. Their seats are
/// freed by the caller.
pub async fn end_enrollments(
    connection: &mut PgConnection,
    student: Uuid,
    classes: &[Uuid],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<EndedWithAccount>> {
    sqlx::query_as!(
        EndedWithAccount,
        r#"
        UPDATE enrollment.enrollments e
        SET status = 'cancelled', status_since = $3, cancelled_by = 'erasure', holds_key = false,
            key_released_at = CASE WHEN e.holds_key THEN $3 ELSE e.key_released_at END, version = e.version + 1,
            changed_xid = pg_current_xact_id()
        FROM (
            SELECT i.enrollment_id, i.status FROM enrollment.enrollments i
            WHERE i.student_id = $1 AND i.class_id = ANY ($2) AND i.live
        ) was
        WHERE e.enrollment_id = was.enrollment_id
        RETURNING e.enrollment_id, e.class_id, e.organization_id, e.key_id, was.status = 'enrolled' AS "took_seat!"
        "#,
        student,
        classes,
        now,
    )
    .fetch_all(connection)
    .await
}

/// Writes that a locked account was erased, and takes from it all that was personal.
pub async fn erase(connection: &mut PgConnection, erased: &Student) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        UPDATE enrollment.students
        SET email = NULL, email_folded = NULL, given_name = '', family_name = '', given_first = NULL, family_first = NULL, password_hash = NULL, issuer = NULL,
            subject = NULL, request_fingerprint = '', active = false, erased_at = $2, version = $3
        WHERE student_id = $1
        "#,
        erased.id,
        erased.erased_at,
        erased.version,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Students who were erased within the last hour and are in a class that has not begun: they were let in by a redemption
/// that had read the account before it was erased, and committed after that. At most `limit`.
pub async fn let_in_too_late(executor: impl PgExecutor<'_>, limit: i64) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        SELECT s.student_id FROM enrollment.students s
        CROSS JOIN LATERAL (
            SELECT true FROM enrollment.enrollments e
            CROSS JOIN LATERAL (
                SELECT true FROM enrollment.classes x
                WHERE x.class_id = e.class_id AND x.starts_at > clock_timestamp() LIMIT 1
            ) c
            WHERE e.student_id = s.student_id AND e.live LIMIT 1
        ) ahead
        WHERE s.erased_at > clock_timestamp() - interval '1 hour'
        LIMIT $1
        "#,
        limit,
    )
    .fetch_all(executor)
    .await
}
