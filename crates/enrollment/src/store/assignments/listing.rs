//! Pages of assignments, each way into the table a statement of its own: plans are generic.

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{all, assignments};
use crate::domain::assignment::Assignment;
use crate::domain::redemption::Assigning;

/// Whose assignments to list: one of both at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whose {
    /// Only those of this student.
    pub student_id: Option<Uuid>,
    /// Only those by keys of this pool or subscription profile.
    pub assigning: Option<Assigning>,
}

/// Where a page ends: the time and id of its last assignment.
pub type Place = (DateTime<Utc>, Uuid);

/// Assignments by one way in, which binds `$3`.
macro_rules! listed {
    ($executor:expr, $scope:expr, $place:expr, $limit:expr, $where:literal, $way:expr $(, $parameter:expr)* $(,)?) => {
        assignments!(
            "JOIN enrollment.organizations o ON o.organization_id = a.organization_id
             WHERE (a.assigned_at, a.assignment_id) < ($1, $2)
               AND ($5 OR o.organization_id = $6 OR o.ancestor_ids @> ARRAY[$6]::uuid[] OR a.student_id = $7)
               AND " + $where + " ORDER BY a.assigned_at DESC, a.assignment_id DESC LIMIT $4",
            $place.0,
            $place.1,
            $way,
            $limit,
            $scope.everything,
            $scope.organization as _,
            $scope.student as _
            $(, $parameter)*
        )
        .fetch_all($executor)
        .await?
    };
}

/// Assignments within `scope`, the newest first, after `after`, at most `limit`.
pub async fn page(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    whose: Whose,
    after: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<Assignment>> {
    // Without a page before, a place after every assignment: the database's calendar is longer than this one.
    let place = after.unwrap_or((DateTime::<Utc>::MAX_UTC, Uuid::max()));
    let rows = match (whose.student_id, whose.assigning) {
        (Some(student_id), assigning) => {
            let pool = match assigning {
                Some(Assigning::Pool(id)) => Some(id),
                _ => None,
            };
            let profile = match assigning {
                Some(Assigning::Profile(id)) => Some(id),
                _ => None,
            };
            listed!(
                executor,
                scope,
                place,
                limit,
                "a.student_id = $3 AND ($8::uuid IS NULL OR a.pool_id = $8) AND ($9::uuid IS NULL OR a.profile_id = $9)",
                student_id,
                pool as _,
                profile as _
            )
        }
        (None, Some(Assigning::Pool(pool_id))) => {
            listed!(executor, scope, place, limit, "a.pool_id = $3", pool_id)
        }
        (None, Some(Assigning::Profile(profile_id))) => {
            listed!(
                executor,
                scope,
                place,
                limit,
                "a.profile_id = $3",
                profile_id
            )
        }
        (None, None) => Vec::new(),
    };
    all(rows)
}
