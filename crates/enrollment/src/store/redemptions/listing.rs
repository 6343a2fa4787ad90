//! Pages of decisions, each way into the table a statement of its own: plans are generic.

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{RedemptionRow, redemptions};
use crate::domain::redemption::{Redemption, RedemptionFilter};

/// Where a page ends: the time and id of its last decision.
pub type Place = (DateTime<Utc>, Uuid);

/// Decisions within `scope` that pass `filter`, the newest first, after `after`, at most `limit`.
pub async fn page(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &RedemptionFilter,
    after: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<Redemption>> {
    // Without a page before, a place after every decision: the database's calendar is longer than this one.
    let after = after.unwrap_or((DateTime::<Utc>::MAX_UTC, Uuid::max()));
    let rows = if let Some(student) = filter.student_id {
        of_student(executor, scope, filter, student, after, limit).await?
    } else if let Some(key) = filter.key_id {
        of_key(executor, scope, filter, key, after, limit).await?
    } else {
        of_organizations(executor, scope, filter, after, limit).await?
    };
    rows.into_iter()
        .map(|row| Ok(Redemption::try_from(row)?))
        .collect()
}

async fn of_student(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &RedemptionFilter,
    student: Uuid,
    (time, id): Place,
    limit: i64,
) -> sqlx::Result<Vec<RedemptionRow>> {
    redemptions!(
        "JOIN enrollment.organizations o ON o.organization_id = r.organization_id
         WHERE r.student_id = $4 AND (r.decided_at, r.redemption_id) < ($1, $2)
           AND ($5::uuid IS NULL OR r.key_id = $5)
           AND ($6::uuid IS NULL OR r.class_id = $6)
           AND ($7::uuid IS NULL OR r.organization_id = $7)
           AND ($8::text IS NULL OR r.outcome = $8)
           AND ($9::timestamptz IS NULL OR r.decided_at >= $9)
           AND ($10::timestamptz IS NULL OR r.decided_at < $10)
           AND ($11 OR o.organization_id = $12 OR o.ancestor_ids @> ARRAY[$12]::uuid[])
         ORDER BY r.decided_at DESC, r.redemption_id DESC LIMIT $3",
        time,
        id,
        limit,
        student,
        filter.key_id as _,
        filter.class_id as _,
        filter.organization_id as _,
        filter.outcome,
        filter.from as _,
        filter.until as _,
        scope.everything,
        scope.organization as _,
    )
    .fetch_all(executor)
    .await
}

async fn of_key(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &RedemptionFilter,
    key: Uuid,
    (time, id): Place,
    limit: i64,
) -> sqlx::Result<Vec<RedemptionRow>> {
    redemptions!(
        "JOIN enrollment.organizations o ON o.organization_id = r.organization_id
         WHERE r.key_id = $4 AND (r.decided_at, r.redemption_id) < ($1, $2)
           AND ($5::uuid IS NULL OR r.class_id = $5)
           AND ($6::uuid IS NULL OR r.organization_id = $6)
           AND ($7::text IS NULL OR r.outcome = $7)
           AND ($8::timestamptz IS NULL OR r.decided_at >= $8)
           AND ($9::timestamptz IS NULL OR r.decided_at < $9)
           AND ($10 OR o.organization_id = $11 OR o.ancestor_ids @> ARRAY[$11]::uuid[])
         ORDER BY r.decided_at DESC, r.redemption_id DESC LIMIT $3",
        time,
        id,
        limit,
        key,
        filter.class_id as _,
        filter.organization_id as _,
        filter.outcome,
        filter.from as _,
        filter.until as _,
        scope.everything,
        scope.organization as _,
    )
    .fetch_all(executor)
    .await
}

/// The newest of each organization within reach, merged.
async fn of_organizations(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &RedemptionFilter,
    (time, id): Place,
    limit: i64,
) -> sqlx::Result<Vec<RedemptionRow>> {
    redemptions!(
        "JOIN (
            SELECT newest.redemption_id FROM (
                SELECT o.organization_id FROM enrollment.organizations o
                WHERE ($9 OR o.organization_id = $10 OR o.ancestor_ids @> ARRAY[$10]::uuid[])
                  AND ($5::uuid IS NULL OR o.organization_id = $5)
            ) reached
            CROSS JOIN LATERAL (
                SELECT x.redemption_id FROM enrollment.redemptions x
                WHERE x.organization_id = reached.organization_id AND (x.decided_at, x.redemption_id) < ($1, $2)
                  AND ($4::uuid IS NULL OR x.class_id = $4)
                  AND ($6::text IS NULL OR x.outcome = $6)
                  AND ($7::timestamptz IS NULL OR x.decided_at >= $7)
                  AND ($8::timestamptz IS NULL OR x.decided_at < $8)
                ORDER BY x.decided_at DESC, x.redemption_id DESC LIMIT $3
            ) newest
         ) found ON found.redemption_id = r.redemption_id
         ORDER BY r.decided_at DESC, r.redemption_id DESC LIMIT $3",
        time,
        id,
        limit,
        filter.class_id as _,
        filter.organization_id as _,
        filter.outcome,
        filter.from as _,
        filter.until as _,
        scope.everything,
        scope.organization as _,
    )
    .fetch_all(executor)
    .await
}
