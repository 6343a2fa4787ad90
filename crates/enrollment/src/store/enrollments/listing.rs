//! Pages of enrollments, each way into the table a statement of its own: plans are generic.

mod search;

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{EnrollmentRow, all, enrollments};
use crate::domain::enrollment::Enrollment;
use crate::domain::prefix::Prefix;

pub use crate::store::by_student::Place;

/// Which enrollments to list: of a class, a student or an organization at least. Filters are joined with AND; an unset one
/// lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnrollmentFilter {
    /// Only those of this class.
    pub class_id: Option<Uuid>,
    /// Only those of this student.
    pub student_id: Option<Uuid>,
    /// Only those in classes of this organization.
    pub organization_id: Option<Uuid>,
    /// Only those in this status, by its stored name.
    pub status: Option<&'static str>,
    /// Only those in their status since this time or later.
    pub status_from: Option<DateTime<Utc>>,
    /// Only those in their status since before this time.
    pub status_until: Option<DateTime<Utc>>,
    /// Only those of students with a name that begins so.
    pub name: Option<Prefix>,
    /// Only those of students whose e-mail address begins so.
    pub email: Option<Prefix>,
}

/// Whose enrollments are searched, if a beginning is searched for: those of students of an organization or below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    /// The organization.
    pub organization_id: Uuid,
    /// Only this student, if the caller reaches nobody else there.
    pub only: Option<Uuid>,
}

/// Enrollments within `scope` that pass `filter`, each with its place, in the order of their places, after `after`, at most
/// `limit`.
pub async fn page(
    connection: &mut PgConnection,
    scope: &Scope,
    filter: &EnrollmentFilter,
    ground: Option<Ground>,
    after: Option<&Place>,
    limit: i64,
) -> sqlx::Result<Vec<(Enrollment, Place)>> {
    if let Some(ground) = ground {
        return search::page(connection, scope, filter, ground, after, limit).await;
    }
    let after = Place::before(after);
    let by_change = filter.class_id.is_none() && filter.student_id.is_none();
    let rows = match (filter.student_id, filter.class_id, filter.organization_id) {
        (Some(student), _, _) => {
            by_student(connection, scope, filter, student, after, limit).await?
        }
        (None, Some(class), _) => by_class(connection, scope, filter, class, after, limit).await?,
        (None, None, Some(id)) => by_organization(connection, filter, id, after, limit).await?,
        (None, None, None) => Vec::new(),
    };
    let place = |one: Enrollment| {
        let time = if by_change {
            one.status_since
        } else {
            one.enrolled_at
        };
        let place = Place::in_time((time, one.id));
        (one, place)
    };
    Ok(all(rows)?.into_iter().map(place).collect())
}

async fn by_class(
    connection: &mut PgConnection,
    scope: &Scope,
    filter: &EnrollmentFilter,
    class_id: Uuid,
    (time, id): (DateTime<Utc>, Uuid),
    limit: i64,
) -> sqlx::Result<Vec<EnrollmentRow>> {
    // The two halves of a class have an index each.
    enrollments!(
        "JOIN (
            SELECT i.enrollment_id FROM enrollment.enrollments i WHERE i.class_id = $3 AND i.live
            UNION ALL
            SELECT i.enrollment_id FROM enrollment.enrollments i WHERE i.class_id = $3 AND NOT i.live
         ) found ON found.enrollment_id = e.enrollment_id
         JOIN enrollment.classes c ON c.class_id = e.class_id
         JOIN enrollment.organizations o ON o.organization_id = c.organization_id
         WHERE (e.enrolled_at, e.enrollment_id) < ($1, $2)
           AND ($5::text IS NULL OR e.status = $5)
           AND ($6 OR o.organization_id = $7 OR o.ancestor_ids @> ARRAY[$7]::uuid[]
                OR c.instructors @> ARRAY[$8]::text[] OR e.student_id = $9)
           AND ($10::uuid IS NULL OR e.organization_id = $10)
           AND ($11::timestamptz IS NULL OR e.status_since >= $11)
           AND ($12::timestamptz IS NULL OR e.status_since < $12)
         ORDER BY e.enrolled_at DESC, e.enrollment_id DESC LIMIT $4",
        time,
        id,
        class_id,
        limit,
        filter.status,
        scope.everything,
        scope.organization as _,
        scope.instructor as _,
        scope.student as _,
        filter.organization_id as _,
        filter.status_from as _,
        filter.status_until as _,
    )
    .fetch_all(connection)
    .await
}

async fn by_student(
    connection: &mut PgConnection,
    scope: &Scope,
    filter: &EnrollmentFilter,
    student_id: Uuid,
    (time, id): (DateTime<Utc>, Uuid),
    limit: i64,
) -> sqlx::Result<Vec<EnrollmentRow>> {
    enrollments!(
        "JOIN enrollment.classes c ON c.class_id = e.class_id
         JOIN enrollment.organizations o ON o.organization_id = c.organization_id
         WHERE e.student_id = $3 AND (e.enrolled_at, e.enrollment_id) < ($1, $2)
           AND ($5::text IS NULL OR e.status = $5)
           AND ($6::uuid IS NULL OR e.class_id = $6)
           AND ($7 OR o.organization_id = $8 OR o.ancestor_ids @> ARRAY[$8]::uuid[]
                OR c.instructors @> ARRAY[$9]::text[] OR e.student_id = $10)
           AND ($11::uuid IS NULL OR e.organization_id = $11)
           AND ($12::timestamptz IS NULL OR e.status_since >= $12)
           AND ($13::timestamptz IS NULL OR e.status_since < $13)
           AND ($14::text IS NULL OR EXISTS (
                SELECT 1 FROM enrollment.students s WHERE s.student_id = e.student_id
                  AND ((s.given_first >= $14 AND s.given_first < $15) OR (s.family_first >= $14 AND s.family_first < $15))
           ))
           AND ($16::text IS NULL OR EXISTS (
                SELECT 1 FROM enrollment.students s
                WHERE s.student_id = e.student_id AND s.email_folded >= $16 AND s.email_folded < $17
           ))
         ORDER BY e.enrolled_at DESC, e.enrollment_id DESC LIMIT $4",
        time,
        id,
        student_id,
        limit,
        filter.status,
        filter.class_id as _,
        scope.everything,
        scope.organization as _,
        scope.instructor as _,
        scope.student as _,
        filter.organization_id as _,
        filter.status_from as _,
        filter.status_until as _,
        filter.name.as_ref().map(Prefix::first) as _,
        filter.name.as_ref().map(Prefix::behind) as _,
        filter.email.as_ref().map(Prefix::first) as _,
        filter.email.as_ref().map(Prefix::behind) as _,
    )
    .fetch_all(connection)
    .await
}

/// The caller reaches the organization as a whole.
async fn by_organization(
    connection: &mut PgConnection,
    filter: &EnrollmentFilter,
    organization_id: Uuid,
    (time, id): (DateTime<Utc>, Uuid),
    limit: i64,
) -> sqlx::Result<Vec<EnrollmentRow>> {
    // One bound of the index, whichever comes first: of two, the walk begins at either.
    let until = filter.status_until.unwrap_or(DateTime::<Utc>::MAX_UTC);
    let (time, id) = (time, id).min((until, Uuid::nil()));
    enrollments!(
        "WHERE e.organization_id = $3 AND (e.status_since, e.enrollment_id) < ($1, $2) AND e.status_since >= $6
           AND ($5::text IS NULL OR e.status = $5)
         ORDER BY e.status_since DESC, e.enrollment_id DESC LIMIT $4",
        time,
        id,
        organization_id,
        limit,
        filter.status,
        filter.status_from.unwrap_or(DateTime::UNIX_EPOCH),
    )
    .fetch_all(connection)
    .await
}
