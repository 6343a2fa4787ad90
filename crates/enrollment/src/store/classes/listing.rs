//! Pages of classes, each way into the table a statement of its own: plans are generic.

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{all, classes};
use crate::domain::class::{Class, ClassFilter, ClassStatus};

/// Where a page ends: the start and id of its last class.
pub type Place = (DateTime<Utc>, Uuid);

/// Classes within `scope` that pass `filter`, those that start latest first, after `after`, at most `limit`.
pub async fn page(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &ClassFilter,
    after: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<Class>> {
    // Without a page before, a place after every class: the database's calendar is longer than this one.
    let after = after.unwrap_or((DateTime::<Utc>::MAX_UTC, Uuid::max()));
    if scope.everything && filter.organization_id.is_none() {
        whole_table(executor, filter, after, limit).await
    } else {
        within_reach(executor, scope, filter, after, limit).await
    }
}

async fn whole_table(
    executor: impl PgExecutor<'_>,
    filter: &ClassFilter,
    (starts, id): Place,
    limit: i64,
) -> sqlx::Result<Vec<Class>> {
    let rows = classes!(
        "WHERE (c.starts_at, c.class_id) < ($1, $2)
           AND ($4::text IS NULL OR c.status = $4)
           AND ($5::timestamptz IS NULL OR c.ends_at > $5)
           AND ($6::timestamptz IS NULL OR c.starts_at < $6)
         ORDER BY c.starts_at DESC, c.class_id DESC LIMIT $3",
        starts,
        id,
        limit,
        filter.status.map(ClassStatus::as_str),
        filter.ends_after as _,
        filter.starts_before as _,
    )
    .fetch_all(executor)
    .await?;
    all(rows)
}

/// The union of what the parts of the scope reach: the newest of each organization, and the classes of an instructor and
/// of a student, of which there are few.
async fn within_reach(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &ClassFilter,
    (starts, id): Place,
    limit: i64,
) -> sqlx::Result<Vec<Class>> {
    // Whoever reaches everything reaches the organization asked for.
    let organization = if scope.everything {
        filter.organization_id
    } else {
        scope.organization
    };
    let rows = classes!(
        "JOIN (
            SELECT newest.class_id FROM (
                SELECT o.organization_id FROM enrollment.organizations o
                WHERE (o.organization_id = $7 OR o.ancestor_ids @> ARRAY[$7]::uuid[])
                  AND ($8::uuid IS NULL OR o.organization_id = $8)
            ) reached
            CROSS JOIN LATERAL (
                SELECT x.class_id FROM enrollment.classes x
                WHERE x.organization_id = reached.organization_id AND (x.starts_at, x.class_id) < ($1, $2)
                  AND ($4::text IS NULL OR x.status = $4)
                  AND ($5::timestamptz IS NULL OR x.ends_at > $5)
                  AND ($6::timestamptz IS NULL OR x.starts_at < $6)
                ORDER BY x.starts_at DESC, x.class_id DESC LIMIT $3
            ) newest
            UNION
            SELECT x.class_id FROM enrollment.classes x WHERE x.instructors @> ARRAY[$9]::text[]
            UNION
            SELECT e.class_id FROM enrollment.enrollments e WHERE e.student_id = $10 AND e.live
         ) found ON found.class_id = c.class_id
         WHERE (c.starts_at, c.class_id) < ($1, $2)
           AND ($8::uuid IS NULL OR c.organization_id = $8)
           AND ($4::text IS NULL OR c.status = $4)
           AND ($5::timestamptz IS NULL OR c.ends_at > $5)
           AND ($6::timestamptz IS NULL OR c.starts_at < $6)
         ORDER BY c.starts_at DESC, c.class_id DESC LIMIT $3",
        starts,
        id,
        limit,
        filter.status.map(ClassStatus::as_str),
        filter.ends_after as _,
        filter.starts_before as _,
        organization as _,
        filter.organization_id as _,
        scope.instructor as _,
        scope.student as _,
    )
    .fetch_all(executor)
    .await?;
    all(rows)
}
