//! Deleting decisions that are not kept for ever.

use sqlx::PgConnection;

/// Deletes the oldest refusals and answers that somebody is in already, of those that were given more than `days` ago, at
/// most `limit`; how many. Where another replica does the same, each row is deleted once.
pub async fn delete(connection: &mut PgConnection, days: i32, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        r#"
        DELETE FROM enrollment.redemptions
        WHERE redemption_id IN (
            SELECT r.redemption_id FROM enrollment.redemptions r
            WHERE r.outcome IN ('already_in', 'refused') AND r.decided_at < clock_timestamp() - make_interval(days => $1)
            ORDER BY r.decided_at LIMIT $2
        )
        "#,
        days,
        limit,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
