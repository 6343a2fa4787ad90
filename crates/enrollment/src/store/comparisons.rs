//! `enrollment.comparisons`: when both services were compared as a whole.

use std::time::Duration;

use latchkey_service_kit::database::read_at_length;
use sqlx::PgConnection;

/// Begins a comparison, if the last one ended longer ago than `interval` and none has been in progress for less than
/// `longest`. Whether it is the caller's.
pub async fn begin(
    connection: &mut PgConnection,
    interval: Duration,
    longest: Duration,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        UPDATE enrollment.comparisons SET began_at = clock_timestamp()
        WHERE only_row IN (
            SELECT c.only_row FROM enrollment.comparisons c
            WHERE (c.ended_at IS NULL OR c.ended_at <= clock_timestamp() - make_interval(secs => $1))
              AND (c.began_at IS NULL OR c.began_at <= clock_timestamp() - make_interval(secs => $2))
            FOR UPDATE SKIP LOCKED
        )
        "#,
        interval.as_secs_f64(),
        longest.as_secs_f64(),
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that a comparison ended: by itself, or, if not `whole`, by a failure, after which the next one is not waited for.
pub async fn end(connection: &mut PgConnection, whole: bool) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        UPDATE enrollment.comparisons
        SET began_at = NULL, ended_at = CASE WHEN $1 THEN clock_timestamp() ELSE ended_at END
        "#,
        whole
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// How many classes have more seat-taking enrollments than their maximum. Reads every enrollment there is: the transaction may
/// take long.
pub async fn classes_over_capacity(connection: &mut PgConnection) -> sqlx::Result<i64> {
    read_at_length(&mut *connection).await?;
    sqlx::query_scalar!(
        r#"
        SELECT count(*) AS "count!"
        FROM (
            SELECT e.class_id, count(*) AS taken FROM enrollment.enrollments e WHERE e.status = 'enrolled'
            GROUP BY e.class_id
        ) s
        JOIN enrollment.classes c ON c.class_id = s.class_id
        WHERE s.taken > c.maximum_students
        "#
    )
    .fetch_one(connection)
    .await
}
