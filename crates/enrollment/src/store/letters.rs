//! `enrollment.letters`: the outbox.

pub mod facts;
pub mod listing;
pub mod sending;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::notification::letter::{Matter, NewLetter};

/// Writes letters, each under the id beside it, to be sent at once; those that were written before are left as they are. How
/// many are new.
pub async fn insert(
    connection: &mut PgConnection,
    letters: &[(Uuid, NewLetter)],
) -> sqlx::Result<u64> {
    if letters.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Uuid> = letters.iter().map(|(id, _)| *id).collect();
    let plans: Vec<Uuid> = letters.iter().map(|(_, one)| one.plan_id).collect();
    let owners: Vec<Uuid> = letters.iter().map(|(_, one)| one.organization_id).collect();
    let about = |id: fn(Matter) -> Option<Uuid>| -> Vec<Option<Uuid>> {
        letters.iter().map(|(_, one)| id(one.matter)).collect()
    };
    let times: Vec<_> = letters.iter().map(|(_, one)| one.occurred_at).collect();
    let recipients: Vec<String> = letters
        .iter()
        .map(|(_, one)| one.recipient.to_text())
        .collect();
    let done = sqlx::query!(
        r#"
        INSERT INTO enrollment.letters (
            letter_id, plan_id, organization_id, class_id, enrollment_id, assignment_id, occurred_at, recipient
        )
        SELECT n.letter_id, n.plan_id, n.organization_id, n.class_id, n.enrollment_id, n.assignment_id, n.occurred_at,
            n.recipient
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::timestamptz[], $8::text[])
            AS n (letter_id, plan_id, organization_id, class_id, enrollment_id, assignment_id, occurred_at, recipient)
        ON CONFLICT (plan_id, (coalesce(enrollment_id, class_id, assignment_id)), occurred_at, recipient) DO NOTHING
        "#,
        &ids,
        &plans,
        &owners,
        &about(Matter::class_id) as _,
        &about(Matter::enrollment_id) as _,
        &about(Matter::assignment_id) as _,
        &times,
        &recipients,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes letters that are finished for more than `days` days, at most `limit`; how many.
pub async fn purge(connection: &mut PgConnection, days: i32, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        r#"
        DELETE FROM enrollment.letters WHERE letter_id IN (
            SELECT l.letter_id FROM enrollment.letters l
            WHERE l.state <> 'waiting' AND l.finished_at < clock_timestamp() - make_interval(days => $1)
            ORDER BY l.finished_at LIMIT $2
        )
        "#,
        days,
        limit,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
