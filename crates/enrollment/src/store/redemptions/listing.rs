//! Pages of decisions, each way into the table a statement of its own: plans are generic.

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{RedemptionRow, redemptions};
use crate::domain::redemption::{Assigning, Redemption, RedemptionFilter};

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
    let stretch = Stretch::of(filter, after);
    let rows = if let Some(student) = filter.student_id {
        of_student(executor, scope, filter, student, stretch, limit).await?
    } else if let Some(key) = filter.key_id {
        of_key(executor, scope, filter, key, stretch, limit).await?
    } else if let Some(assigning) = filter.assigning {
        of_assigning(executor, scope, filter, assigning, stretch, limit).await?
    } else {
        of_organizations(executor, scope, filter, stretch, limit).await?
    };
    rows.into_iter()
        .map(|row| Ok(Redemption::try_from(row)?))
        .collect()
}

/// The part of the history that is listed. Always bounded, so that one plan walks the index for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    /// Decisions before this place.
    before: Place,
    /// Decisions at or after this time.
    from: DateTime<Utc>,
}

impl Stretch {
    fn of(filter: &RedemptionFilter, after: Option<Place>) -> Self {
        // Without a page before, a place after every decision: the database's calendar is longer than this one.
        let after = after.unwrap_or((DateTime::<Utc>::MAX_UTC, Uuid::max()));
        let until = filter.until.map(|until| (until, Uuid::nil()));
        Self {
            before: until.map_or(after, |until| until.min(after)),
            // Nothing was decided before anybody counted.
            from: filter
                .from
                .unwrap_or_default()
                .max(DateTime::<Utc>::UNIX_EPOCH),
        }
    }
}

async fn of_student(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &RedemptionFilter,
    student: Uuid,
    Stretch { before, from }: Stretch,
    limit: i64,
) -> sqlx::Result<Vec<RedemptionRow>> {
    redemptions!(
        "JOIN enrollment.organizations o ON o.organization_id = r.organization_id
         WHERE r.student_id = $5 AND (r.decided_at, r.redemption_id) < ($1, $2) AND r.decided_at >= $3
           AND ($6::uuid IS NULL OR r.key_id = $6)
           AND ($7::uuid IS NULL OR r.class_id = $7)
           AND ($8::uuid IS NULL OR r.organization_id = $8)
           AND ($9::text IS NULL OR r.outcome = $9)
           AND ($10 OR o.organization_id = $11 OR o.ancestor_ids @> ARRAY[$11]::uuid[])
           AND ($12::uuid IS NULL OR (coalesce(r.pool_id, r.profile_id) = $12 AND r.key_kind = $13))
         ORDER BY r.decided_at DESC, r.redemption_id DESC LIMIT $4",
        before.0,
        before.1,
        from,
        limit,
        student,
        filter.key_id as _,
        filter.class_id as _,
        filter.organization_id as _,
        filter.outcome,
        scope.everything,
        scope.organization as _,
        filter.assigning.map(Assigning::id) as _,
        filter.assigning.map(Assigning::key_kind) as _,
    )
    .fetch_all(executor)
    .await
}

async fn of_key(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &RedemptionFilter,
    key: Uuid,
    Stretch { before, from }: Stretch,
    limit: i64,
) -> sqlx::Result<Vec<RedemptionRow>> {
    redemptions!(
        "JOIN enrollment.organizations o ON o.organization_id = r.organization_id
         WHERE r.key_id = $5 AND (r.decided_at, r.redemption_id) < ($1, $2) AND r.decided_at >= $3
           AND ($6::uuid IS NULL OR r.class_id = $6)
           AND ($7::uuid IS NULL OR r.organization_id = $7)
           AND ($8::text IS NULL OR r.outcome = $8)
           AND ($9 OR o.organization_id = $10 OR o.ancestor_ids @> ARRAY[$10]::uuid[])
           AND ($11::uuid IS NULL OR (coalesce(r.pool_id, r.profile_id) = $11 AND r.key_kind = $12))
         ORDER BY r.decided_at DESC, r.redemption_id DESC LIMIT $4",
        before.0,
        before.1,
        from,
        limit,
        key,
        filter.class_id as _,
        filter.organization_id as _,
        filter.outcome,
        scope.everything,
        scope.organization as _,
        filter.assigning.map(Assigning::id) as _,
        filter.assigning.map(Assigning::key_kind) as _,
    )
    .fetch_all(executor)
    .await
}

async fn of_assigning(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &RedemptionFilter,
    assigning: Assigning,
    Stretch { before, from }: Stretch,
    limit: i64,
) -> sqlx::Result<Vec<RedemptionRow>> {
    redemptions!(
        "JOIN enrollment.organizations o ON o.organization_id = r.organization_id
         WHERE r.class_id IS NULL AND coalesce(r.pool_id, r.profile_id) = $5 AND r.key_kind = $6
           AND (r.decided_at, r.redemption_id) < ($1, $2) AND r.decided_at >= $3
           AND ($7::uuid IS NULL OR r.organization_id = $7)
           AND ($8::text IS NULL OR r.outcome = $8)
           AND ($9 OR o.organization_id = $10 OR o.ancestor_ids @> ARRAY[$10]::uuid[])
         ORDER BY r.decided_at DESC, r.redemption_id DESC LIMIT $4",
        before.0,
        before.1,
        from,
        limit,
        assigning.id(),
        assigning.key_kind(),
        filter.organization_id as _,
        filter.outcome,
        scope.everything,
        scope.organization as _,
    )
    .fetch_all(executor)
    .await
}

/// The newest of each organization within reach, merged. Whatever the planner thinks of the filters, each organization's
/// are walked in the order of the index, from the newest on, for as long as the page is not full: the filters stand
/// outside of that walk.
async fn of_organizations(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &RedemptionFilter,
    Stretch { before, from }: Stretch,
    limit: i64,
) -> sqlx::Result<Vec<RedemptionRow>> {
    redemptions!(
        "WHERE r.redemption_id = ANY (ARRAY(
            SELECT newest.redemption_id FROM (
                SELECT o.organization_id FROM enrollment.organizations o
                WHERE ($8 OR o.organization_id = $9 OR o.ancestor_ids @> ARRAY[$9]::uuid[])
                  AND ($5::uuid IS NULL OR o.organization_id = $5)
            ) reached
            CROSS JOIN LATERAL (
                SELECT walked.redemption_id, walked.decided_at FROM (
                    SELECT i.redemption_id, i.decided_at, i.class_id, i.outcome FROM enrollment.redemptions i
                    WHERE i.organization_id = reached.organization_id
                      AND (i.decided_at, i.redemption_id) < ($1, $2) AND i.decided_at >= $3
                    ORDER BY i.decided_at DESC, i.redemption_id DESC OFFSET 0
                ) walked
                WHERE ($6::uuid IS NULL OR walked.class_id = $6) AND ($7::text IS NULL OR walked.outcome = $7)
                ORDER BY walked.decided_at DESC, walked.redemption_id DESC LIMIT $4
            ) newest
            ORDER BY newest.decided_at DESC, newest.redemption_id DESC LIMIT $4
         ))
         ORDER BY r.decided_at DESC, r.redemption_id DESC",
        before.0,
        before.1,
        from,
        limit,
        filter.organization_id as _,
        filter.class_id as _,
        filter.outcome,
        scope.everything,
        scope.organization as _,
    )
    .fetch_all(executor)
    .await
}
