//! Taking letters out of the outbox, and what became of them.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::notification::letter::{Addressee, Matter};
use crate::store::BadRow;

const TABLE: &str = "enrollment.letters";

/// A letter that is to be sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Its id.
    pub letter_id: Uuid,
    /// By which plan.
    pub plan_id: Uuid,
    /// The organization that owns the class, or the assignment's pool.
    pub organization_id: Uuid,
    /// What it is about.
    pub matter: Matter,
    /// To whom.
    pub recipient: Addressee,
    /// Which attempt this is, from 1.
    pub attempts: i32,
    /// How long ago it was written.
    pub age: Duration,
}

fn interval(span: Duration) -> sqlx::Result<PgInterval> {
    // The database counts in microseconds.
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    PgInterval::try_from(Duration::from_micros(micros)).map_err(sqlx::Error::Encode)
}

/// Takes the letters whose time has come, the oldest first and at most `limit`, for `lease`: whoever takes them and dies has
/// them taken by another after that. No two take the same.
pub async fn claim(
    connection: &mut PgConnection,
    lease: Duration,
    limit: i64,
) -> sqlx::Result<Vec<Claimed>> {
    let rows = sqlx::query!(
        r#"
        UPDATE enrollment.letters l
        SET attempts = l.attempts + 1, next_attempt_at = clock_timestamp() + $1::interval
        FROM (
            SELECT w.letter_id FROM enrollment.letters w
            WHERE w.state = 'waiting' AND w.next_attempt_at <= clock_timestamp()
            ORDER BY w.next_attempt_at LIMIT $2
            FOR UPDATE SKIP LOCKED
        ) due
        WHERE l.letter_id = due.letter_id
        RETURNING l.letter_id, l.plan_id, l.organization_id, l.class_id, l.enrollment_id, l.assignment_id, l.recipient,
            l.attempts, extract(epoch FROM clock_timestamp() - l.created_at)::float8 AS "age!"
        "#,
        interval(lease)?,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let bad = |column, value: &str| BadRow::new(TABLE, column, row.letter_id, value);
            let recipient = Addressee::parse(&row.recipient);
            let matter = Matter::of(row.class_id, row.enrollment_id, row.assignment_id);
            Ok(Claimed {
                recipient: recipient.ok_or_else(|| bad("recipient", &row.recipient))?,
                matter: matter.ok_or_else(|| bad("class_id", "nothing"))?,
                letter_id: row.letter_id,
                plan_id: row.plan_id,
                organization_id: row.organization_id,
                attempts: row.attempts,
                age: Duration::from_secs_f64(row.age.max(0.0)),
            })
        })
        .collect()
}

/// What became of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The mail server has it.
    Sent,
    /// It is not to be sent any more: why.
    Dropped(&'static str),
    /// It cannot be sent: why.
    Dead(String),
    /// It is tried again after this time: why.
    Again(Duration, String),
}

impl Fate {
    /// The name, as metrics have it and, of what is final, as it is stored.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Dropped(_) => "dropped",
            Self::Dead(_) => "dead",
            Self::Again(..) => "again",
        }
    }
}

/// Notes what became of a letter that was taken. What another has finished meanwhile stays finished.
pub async fn settle(connection: &mut PgConnection, letter: Uuid, fate: &Fate) -> sqlx::Result<()> {
    let problem = match fate {
        Fate::Sent => None,
        Fate::Dropped(why) => Some(*why),
        Fate::Dead(why) | Fate::Again(_, why) => Some(why.as_str()),
    };
    if let Fate::Again(pause, _) = fate {
        sqlx::query!(
            r#"
            UPDATE enrollment.letters SET next_attempt_at = clock_timestamp() + $2::interval, problem = $3
            WHERE letter_id = $1 AND state = 'waiting'
            "#,
            letter,
            interval(*pause)?,
            problem,
        )
        .execute(connection)
        .await?;
        return Ok(());
    }
    sqlx::query!(
        r#"
        UPDATE enrollment.letters
        SET state = $2, problem = $3, next_attempt_at = NULL, finished_at = clock_timestamp()
        WHERE letter_id = $1 AND state = 'waiting'
        "#,
        letter,
        fate.as_str(),
        problem,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// How many seconds ago the letter was due that waits longest; 0 if none does.
pub async fn oldest_due_seconds(executor: impl PgExecutor<'_>) -> sqlx::Result<f64> {
    let late = sqlx::query_scalar!(
        r#"
        SELECT extract(epoch FROM clock_timestamp() - l.next_attempt_at)::float8 AS "late!"
        FROM enrollment.letters l WHERE l.state = 'waiting' ORDER BY l.next_attempt_at LIMIT 1
        "#
    )
    .fetch_optional(executor)
    .await?;
    Ok(late.unwrap_or_default().max(0.0))
}
