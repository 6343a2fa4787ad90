//! Pages of assignments, each way into the table a statement of its own: plans are generic.

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{all, assignments};
use crate::domain::assignment::CourseAssignment;

/// Whose assignments to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those made by the keys of a pool.
    Pool(Uuid),
    /// Those of a student, of one pool or of all.
    Student {
        /// The student.
        student_id: Uuid,
        /// Only of this pool.
        pool_id: Option<Uuid>,
    },
}

/// Where a page ends: the time and id of its last assignment.
pub type Place = (DateTime<Utc>, Uuid);

/// Assignments within `scope`, the newest first, after `after`, at most `limit`.
pub async fn page(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    whose: Whose,
    after: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<CourseAssignment>> {
    // Without a page before, a place after every assignment: the database's calendar is longer than this one.
    let (time, id) = after.unwrap_or((DateTime::<Utc>::MAX_UTC, Uuid::max()));
    let rows = match whose {
        Whose::Pool(pool_id) => {
            assignments!(
                "JOIN enrollment.organizations o ON o.organization_id = a.organization_id
                 WHERE a.pool_id = $3 AND (a.assigned_at, a.assignment_id) < ($1, $2)
                   AND ($5 OR o.organization_id = $6 OR o.ancestor_ids @> ARRAY[$6]::uuid[] OR a.student_id = $7)
                 ORDER BY a.assigned_at DESC, a.assignment_id DESC LIMIT $4",
                time,
                id,
                pool_id,
                limit,
                scope.everything,
                scope.organization as _,
                scope.student as _,
            )
            .fetch_all(executor)
            .await?
        }
        Whose::Student {
            student_id,
            pool_id,
        } => {
            assignments!(
                "JOIN enrollment.organizations o ON o.organization_id = a.organization_id
                 WHERE a.student_id = $3 AND (a.assigned_at, a.assignment_id) < ($1, $2)
                   AND ($5::uuid IS NULL OR a.pool_id = $5)
                   AND ($6 OR o.organization_id = $7 OR o.ancestor_ids @> ARRAY[$7]::uuid[] OR a.student_id = $8)
                 ORDER BY a.assigned_at DESC, a.assignment_id DESC LIMIT $4",
                time,
                id,
                student_id,
                limit,
                pool_id as _,
                scope.everything,
                scope.organization as _,
                scope.student as _,
            )
            .fetch_all(executor)
            .await?
        }
    };
    all(rows)
}
