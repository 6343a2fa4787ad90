//! What a letter is about, as it is when it is sent; and who does not want any.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::notification::letters::About;
use crate::store::notifications::changes;

/// The enrollment `id`.
pub async fn about(connection: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<About>> {
    let row = sqlx::query!(
        "SELECT enrollment_id, student_id, status, enrolled_at FROM enrollment.enrollments WHERE enrollment_id = $1",
        id
    )
    .fetch_optional(connection)
    .await?;
    let read = |row| {
        let (id, student, status, came_at): (_, _, String, _) = row;
        changes::about(id, student, &status, came_at)
    };
    let row = row.map(|row| {
        (
            row.enrollment_id,
            row.student_id,
            row.status,
            row.enrolled_at,
        )
    });
    Ok(row.map(read).transpose()?)
}

/// Whether a student does not want to be written to.
pub async fn opted_out(connection: &mut PgConnection, student: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT 1 FROM enrollment.notification_opt_outs WHERE student_id = $1
        ) AS "opted_out!"
        "#,
        student,
    )
    .fetch_one(connection)
    .await
}

/// Notes that a student does not want to be written to, or does again. Whether that is news.
pub async fn set_opted_out(
    connection: &mut PgConnection,
    student: Uuid,
    opted_out: bool,
) -> sqlx::Result<bool> {
    let done = if opted_out {
        sqlx::query!(
            "INSERT INTO enrollment.notification_opt_outs (student_id) VALUES ($1) ON CONFLICT DO NOTHING",
            student
        )
        .execute(connection)
        .await?
    } else {
        sqlx::query!(
            "DELETE FROM enrollment.notification_opt_outs WHERE student_id = $1",
            student
        )
        .execute(connection)
        .await?
    };
    Ok(done.rows_affected() == 1)
}
