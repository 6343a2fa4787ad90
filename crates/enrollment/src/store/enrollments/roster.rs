//! The students of one class, in the caller's snapshot.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{TABLE, all, enrollments};
use crate::domain::enrollment::{Enrollment, Status};
use crate::store::BadRow;

/// How many enrollments of a class are in a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCount {
    /// The status.
    pub status: Status,
    /// How many.
    pub count: i64,
}

/// How many enrollments of `class` are in each status that occurs, the live ones first.
pub async fn counts(connection: &mut PgConnection, class: Uuid) -> sqlx::Result<Vec<StatusCount>> {
    // The two halves of a class have an index each.
    let rows = sqlx::query!(
        r#"
        SELECT e.status AS "status!", count(*) AS "count!"
        FROM (
            SELECT i.live, i.status FROM enrollment.enrollments i WHERE i.class_id = $1 AND i.live
            UNION ALL
            SELECT i.live, i.status FROM enrollment.enrollments i WHERE i.class_id = $1 AND NOT i.live
        ) e
        GROUP BY e.live, e.status
        ORDER BY e.live DESC, e.status
        "#,
        class,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let bad = || BadRow::new(TABLE, "status", class, &row.status);
            Ok(StatusCount {
                status: Status::parse(&row.status).ok_or_else(bad)?,
                count: row.count,
            })
        })
        .collect()
}

/// The earliest `limit` live enrollments of `class`, and the latest `limit` that ended, all by the time they came. With `student`, only those of that student.
pub async fn entries(
    connection: &mut PgConnection,
    class: Uuid,
    student: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Enrollment>> {
    let rows = enrollments!(
        "JOIN (
            (SELECT i.enrollment_id FROM enrollment.enrollments i
             WHERE i.class_id = $1 AND i.live AND ($2::uuid IS NULL OR i.student_id = $2)
             ORDER BY i.enrolled_at, i.enrollment_id LIMIT $3)
            UNION ALL
            (SELECT i.enrollment_id FROM enrollment.enrollments i
             WHERE i.class_id = $1 AND NOT i.live AND ($2::uuid IS NULL OR i.student_id = $2)
             ORDER BY i.status_since DESC, i.enrollment_id DESC LIMIT $3)
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
