//! The students of one class, in the caller's snapshot.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{all, enrollments};
use crate::domain::enrollment::Enrollment;

/// How many enrollments of a class are in a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCount {
    /// The status, as it is stored.
    pub status: String,
    /// How many.
    pub count: i64,
}

/// How many enrollments of `class` are in each status that occurs, the live ones first.
pub async fn counts(connection: &mut PgConnection, class: Uuid) -> sqlx::Result<Vec<StatusCount>> {
    // The two halves of a class have an index each.
    sqlx::query_as!(
        StatusCount,
        r#"
        SELECT e.status AS "status!", count(*) AS "count!"
        FROM (
            SELECT i.status FROM enrollment.enrollments i WHERE i.class_id = $1 AND i.status <> 'cancelled'
            UNION ALL
            SELECT i.status FROM enrollment.enrollments i WHERE i.class_id = $1 AND i.status = 'cancelled'
        ) e
        GROUP BY e.status
        ORDER BY e.status = 'cancelled', e.status
        "#,
        class,
    )
    .fetch_all(connection)
    .await
}

/// The earliest `limit` enrollments of those who are in `class`, and the latest `limit` cancelled, all by the time they
/// came. With `student`, only those of that student.
pub async fn entries(
    connection: &mut PgConnection,
    class: Uuid,
    student: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Enrollment>> {
    let rows = enrollments!(
        "JOIN (
            (SELECT i.enrollment_id FROM enrollment.enrollments i
             WHERE i.class_id = $1 AND i.status <> 'cancelled' AND ($2::uuid IS NULL OR i.student_id = $2)
             ORDER BY i.enrolled_at, i.enrollment_id LIMIT $3)
            UNION ALL
            (SELECT i.enrollment_id FROM enrollment.enrollments i
             WHERE i.class_id = $1 AND i.status = 'cancelled' AND ($2::uuid IS NULL OR i.student_id = $2)
             ORDER BY i.cancelled_at DESC, i.enrollment_id DESC LIMIT $3)
         ) found ON found.enrollment_id = e.enrollment_id
         ORDER BY e.enrolled_at, e.enrollment_id",
        class,
        student as _,
        limit,
    )
    .fetch_all(connection)
    .await?;
    all(rows)
}
