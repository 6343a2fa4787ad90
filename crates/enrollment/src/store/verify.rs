//! The invariants of the schema, each counted afresh from the rows, and what a comparison with the keys service's side
//! has to read.

mod audit;
mod billing;
mod courses;
pub mod restores;
mod rows;

use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use latchkey_service_kit::database::{begin, read_at_length, read_one_snapshot};
use latchkey_service_kit::invariants::Findings;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

/// Every invariant of the schema looked at, and everything that breaks one, at one instant. Reads all rows there are.
pub async fn findings(pool: &PgPool) -> sqlx::Result<Findings> {
    let mut transaction = begin(pool).await?;
    read_one_snapshot(&mut transaction).await?;
    read_at_length(&mut transaction).await?;
    let mut findings = Findings::default();
    rows::organizations_and_students(&mut transaction, &mut findings).await?;
    rows::seats(&mut transaction, &mut findings).await?;
    rows::enrollments(&mut transaction, &mut findings).await?;
    rows::held_keys(&mut transaction, &mut findings).await?;
    rows::redemptions(&mut transaction, &mut findings).await?;
    courses::assignments(&mut transaction, &mut findings).await?;
    courses::events(&mut transaction, &mut findings).await?;
    courses::profiles(&mut transaction, &mut findings).await?;
    billing::lines(&mut transaction, &mut findings).await?;
    billing::charges(&mut transaction, &mut findings).await?;
    billing::closings(&mut transaction, &mut findings).await?;
    audit::organizations_and_classes(&mut transaction, &mut findings).await?;
    audit::students(&mut transaction, &mut findings).await?;
    audit::enrollments(&mut transaction, &mut findings).await?;
    audit::notifications(&mut transaction, &mut findings).await?;
    transaction.rollback().await?;
    Ok(findings)
}

/// A live use of a key: an enrollment or assignment that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveUse {
    /// The redemption, which is also the enrollment or assignment.
    pub redemption_id: Uuid,
    /// The key.
    pub key_id: Uuid,
    /// The student.
    pub student_id: Uuid,
    /// The class, pool or subscription profile.
    pub opens_id: Uuid,
    /// The generation of the code that was typed.
    pub generation: i32,
    /// When it was decided.
    pub redeemed_at: DateTime<Utc>,
}

/// Every live use, by redemption and key, as a stream over one snapshot.
pub fn live_uses(pool: &PgPool) -> BoxStream<'_, sqlx::Result<LiveUse>> {
    sqlx::query!(
        r#"
        SELECT redemption_id AS "redemption_id!", key_id AS "key_id!", student_id AS "student_id!", opens_id AS "opens_id!",
            generation AS "generation!", redeemed_at AS "redeemed_at!"
        FROM enrollment.uses WHERE holds_key
        ORDER BY redemption_id, key_id
        "#
    )
    .fetch(pool)
    .map_ok(|row| LiveUse {
        redemption_id: row.redemption_id,
        key_id: row.key_id,
        student_id: row.student_id,
        opens_id: row.opens_id,
        generation: row.generation,
        redeemed_at: row.redeemed_at,
    })
    .boxed()
}

/// A transaction id above those of all transactions that have committed so far, as text.
pub async fn mark(executor: impl PgExecutor<'_>) -> sqlx::Result<String> {
    sqlx::query_scalar!(r#"SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS "mark!""#)
        .fetch_one(executor)
        .await
}

/// How many changes the keys service is not known to have been told: of uses of keys, those made by
/// transactions below `mark`; of organizations, classes and profiles, all.
pub async fn owed_below(executor: impl PgExecutor<'_>, mark: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        SELECT (
            SELECT count(*) FROM enrollment.uses u
            WHERE u.changed_xid >= (SELECT d.delivered_below FROM enrollment.deliveries d)
              AND u.changed_xid < $1::text::xid8
        ) + (
            SELECT count(*) FROM enrollment.organizations o WHERE o.copied_version < o.version
        ) + (
            SELECT count(*) FROM enrollment.classes c WHERE c.copied_version < c.version
        ) + (
            SELECT count(*) FROM enrollment.profiles p WHERE p.copied_version < p.version
        ) AS "owed!"
        "#,
        mark
    )
    .fetch_one(executor)
    .await
}
