//! Pages of assignments, each way into the table a statement of its own: plans are generic.

mod search;

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{AssignmentRow, all, assignments};
use crate::domain::assignment::Assignment;
use crate::domain::prefix::Prefix;
use crate::domain::redemption::Assigning;

pub use crate::store::by_student::Place;

/// Which assignments to list: of a pool or subscription profile, a student, a key or an organization at least. Filters are joined with AND; an unset
/// one lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssignmentFilter {
    /// Only those by keys of this pool or subscription profile.
    pub assigning: Option<Assigning>,
    /// Only those of this student.
    pub student_id: Option<Uuid>,
    /// Only those by this key.
    pub key_id: Option<Uuid>,
    /// Only those that this organization owns.
    pub organization_id: Option<Uuid>,
    /// Only those in this status, by its stored name.
    pub status: Option<&'static str>,
    /// Only those by keys of this kind, by its name.
    pub key_kind: Option<&'static str>,
    /// Only those that were made at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those that were made before this time.
    pub until: Option<DateTime<Utc>>,
    /// Only those of students with a name that begins so.
    pub name: Option<Prefix>,
    /// Only those of students whose e-mail address begins so.
    pub email: Option<Prefix>,
}

/// Assignments within `scope` that pass `filter`, each with its place, in the order of their places, after `after`, at most
/// `limit`. Of an organization, they are those that the caller reaches as a whole.
pub async fn page(
    connection: &mut PgConnection,
    scope: &Scope,
    filter: &AssignmentFilter,
    after: Option<&Place>,
    limit: i64,
) -> sqlx::Result<Vec<(Assignment, Place)>> {
    let searches = filter.name.is_some() || filter.email.is_some();
    if let Some(ground) = filter
        .organization_id
        .filter(|_| searches && filter.student_id.is_none())
    {
        return search::page(connection, filter, ground, after, limit).await;
    }
    let until = filter.until.unwrap_or(DateTime::<Utc>::MAX_UTC);
    let wanted = Wanted {
        scope,
        filter,
        // One bound of the index, whichever comes first: of two, the walk begins at either.
        before: Place::before(after).min((until, Uuid::nil())),
        limit,
    };
    let place = |one: Assignment| {
        let place = Place::in_time((one.assigned_at, one.id));
        (one, place)
    };
    let rows = listed(connection, &wanted).await?;
    Ok(all(rows)?.into_iter().map(place).collect())
}

/// What is listed: what was made before `before`, at most `limit`.
struct Wanted<'w> {
    scope: &'w Scope,
    filter: &'w AssignmentFilter,
    before: (DateTime<Utc>, Uuid),
    limit: i64,
}

/// Assignments whose `$way` is `$id`, along the index that begins with it, the newest first.
macro_rules! listed {
    ($connection:expr, $wanted:expr, $way:literal, $id:expr) => {
        assignments!(
            "JOIN enrollment.organizations o ON o.organization_id = a.organization_id
             WHERE a." + $way + " = $3 AND (a.assigned_at, a.assignment_id) < ($1, $2) AND a.assigned_at >= $5
               AND ($6 OR o.organization_id = $7 OR o.ancestor_ids @> ARRAY[$7]::uuid[] OR a.student_id = $8)
               AND ($9::uuid IS NULL OR a.student_id = $9) AND ($10::uuid IS NULL OR a.pool_id = $10)
               AND ($18::uuid IS NULL OR a.profile_id = $18) AND ($11::uuid IS NULL OR a.organization_id = $11) AND ($12::text IS NULL OR a.status = $12)
               AND ($13::text IS NULL OR ($13 = 'pool') = (a.pool_id IS NOT NULL))
               AND ($14::text IS NULL OR EXISTS (
                    SELECT 1 FROM enrollment.students s WHERE s.student_id = a.student_id
                      AND ((s.given_first >= $14 AND s.given_first < $15) OR (s.family_first >= $14 AND s.family_first < $15))
               ))
               AND ($16::text IS NULL OR EXISTS (
                    SELECT 1 FROM enrollment.students s
                    WHERE s.student_id = a.student_id AND s.email_folded >= $16 AND s.email_folded < $17
               ))
             ORDER BY a.assigned_at DESC, a.assignment_id DESC LIMIT $4",
            $wanted.before.0,
            $wanted.before.1,
            $id,
            $wanted.limit,
            $wanted.filter.from.unwrap_or(DateTime::UNIX_EPOCH),
            $wanted.scope.everything,
            $wanted.scope.organization as _,
            $wanted.scope.student as _,
            $wanted.filter.student_id as _,
            $wanted.filter.assigning.and_then(Assigning::pool_id) as _,
            $wanted.filter.organization_id as _,
            $wanted.filter.status,
            $wanted.filter.key_kind,
            $wanted.filter.name.as_ref().map(Prefix::first) as _,
            $wanted.filter.name.as_ref().map(Prefix::behind) as _,
            $wanted.filter.email.as_ref().map(Prefix::first) as _,
            $wanted.filter.email.as_ref().map(Prefix::behind) as _,
            $wanted.filter.assigning.and_then(Assigning::profile_id) as _,
        )
        .fetch_all($connection)
        .await
    };
}

/// By what has the fewest of them.
async fn listed(
    connection: &mut PgConnection,
    wanted: &Wanted<'_>,
) -> sqlx::Result<Vec<AssignmentRow>> {
    let AssignmentFilter {
        key_id,
        student_id,
        assigning,
        organization_id,
        ..
    } = *wanted.filter;
    match (key_id, student_id, assigning, organization_id) {
        (Some(id), _, _, _) => listed!(connection, wanted, "key_id", id),
        (None, Some(id), _, _) => listed!(connection, wanted, "student_id", id),
        (None, None, Some(Assigning::Pool(id)), _) => listed!(connection, wanted, "pool_id", id),
        (None, None, Some(Assigning::Profile(id)), _) => {
            listed!(connection, wanted, "profile_id", id)
        }
        (None, None, None, Some(id)) => listed!(connection, wanted, "organization_id", id),
        (None, None, None, None) => Ok(Vec::new()),
    }
}
