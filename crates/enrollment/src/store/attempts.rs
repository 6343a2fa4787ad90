//! `enrollment.attempts`: by when those have paid who guessed wrong, as all replicas together have it.

use std::time::Duration;

use latchkey_service_kit::attempts::{Heard, Owed, Subject};
use latchkey_service_kit::database::begin;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

/// The most that one exchange reads: those who owe longest.
const MOST_HEARD: i64 = 20_000;

/// Adds what is `owed`, which is in the order of limits and subjects, and returns what any replica changed within the time
/// `unheard`. Writes nothing when nothing is owed, which is the rule.
pub async fn exchange(pool: &PgPool, owed: &[Owed], unheard: Duration) -> sqlx::Result<Vec<Heard>> {
    if !owed.is_empty() {
        let mut transaction = begin(pool).await?;
        add(&mut transaction, owed).await?;
        forget_settled(&mut transaction).await?;
        transaction.commit().await?;
    }
    changed_within(pool, unheard).await
}

/// GCRA, as each replica counts by itself: who owes nothing pays from the first failure on, anybody else for longer.
async fn add(connection: &mut PgConnection, owed: &[Owed]) -> sqlx::Result<()> {
    let limits: Vec<String> = owed.iter().map(|one| one.limit.to_owned()).collect();
    let subjects: Vec<Uuid> = owed.iter().map(|one| one.subject.as_uuid()).collect();
    let ages: Vec<f64> = owed.iter().map(|one| one.age.as_secs_f64()).collect();
    let costs: Vec<f64> = owed.iter().map(|one| one.cost.as_secs_f64()).collect();
    sqlx::query!(
        "INSERT INTO enrollment.attempts AS known (limit_name, subject, cost, paid_at, changed_at)
         SELECT owed.limit_name, owed.subject, make_interval(secs => owed.cost),
                clock_timestamp() - make_interval(secs => owed.age) + make_interval(secs => owed.cost),
                clock_timestamp()
         FROM UNNEST($1::text[], $2::uuid[], $3::float8[], $4::float8[]) AS owed (limit_name, subject, age, cost)
         ON CONFLICT (limit_name, subject) DO UPDATE SET
             cost = EXCLUDED.cost,
             paid_at = GREATEST(known.paid_at + EXCLUDED.cost, EXCLUDED.paid_at),
             changed_at = clock_timestamp()",
        &limits,
        &subjects,
        &ages,
        &costs,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets some of those who have paid.
async fn forget_settled(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM enrollment.attempts WHERE (limit_name, subject) IN (
             SELECT limit_name, subject FROM enrollment.attempts WHERE paid_at < clock_timestamp()
             LIMIT 1000 FOR UPDATE SKIP LOCKED)"
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn changed_within(
    executor: impl PgExecutor<'_>,
    unheard: Duration,
) -> sqlx::Result<Vec<Heard>> {
    let rows = sqlx::query!(
        r#"SELECT limit_name, subject, EXTRACT(EPOCH FROM paid_at - clock_timestamp())::float8 AS "pays_for!"
           FROM enrollment.attempts
           WHERE changed_at > clock_timestamp() - make_interval(secs => $1) AND paid_at > clock_timestamp()
           ORDER BY paid_at DESC LIMIT $2"#,
        unheard.as_secs_f64(),
        MOST_HEARD,
    )
    .fetch_all(executor)
    .await?;
    let heard = rows.into_iter().map(|row| Heard {
        limit: row.limit_name,
        subject: Subject::id(row.subject),
        pays_for: Duration::try_from_secs_f64(row.pays_for).unwrap_or_default(),
    });
    Ok(heard.collect())
}
