//! Pages of enrollments, each way into the table a statement of its own: plans are generic.

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::Scope;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{EnrollmentRow, all, enrollments};
use crate::domain::enrollment::Enrollment;

/// Whose enrollments to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those of a class.
    Class(Uuid),
    /// Those of a student, in one class or in all.
    Student {
        /// The student.
        student_id: Uuid,
        /// Only in this class.
        class_id: Option<Uuid>,
    },
}

/// Where a page ends: the time and id of its last enrollment.
pub type Place = (DateTime<Utc>, Uuid);

/// Enrollments within `scope`, the newest first, after `after`, at most `limit`; with `status`, only those in it.
pub async fn page(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    whose: Whose,
    status: Option<&str>,
    after: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<Enrollment>> {
    // Without a page before, a place after every enrollment: the database's calendar is longer than this one.
    let after = after.unwrap_or((DateTime::<Utc>::MAX_UTC, Uuid::max()));
    let rows = match whose {
        Whose::Class(class_id) => by_class(executor, scope, class_id, status, after, limit).await?,
        Whose::Student {
            student_id,
            class_id,
        } => {
            let which = (student_id, class_id);
            by_student(executor, scope, which, status, after, limit).await?
        }
    };
    all(rows)
}

async fn by_class(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    class_id: Uuid,
    status: Option<&str>,
    (time, id): Place,
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
         ORDER BY e.enrolled_at DESC, e.enrollment_id DESC LIMIT $4",
        time,
        id,
        class_id,
        limit,
        status,
        scope.everything,
        scope.organization as _,
        scope.instructor as _,
        scope.student as _,
    )
    .fetch_all(executor)
    .await
}

async fn by_student(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    (student_id, class_id): (Uuid, Option<Uuid>),
    status: Option<&str>,
    (time, id): Place,
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
         ORDER BY e.enrolled_at DESC, e.enrollment_id DESC LIMIT $4",
        time,
        id,
        student_id,
        limit,
        status,
        class_id as _,
        scope.everything,
        scope.organization as _,
        scope.instructor as _,
        scope.student as _,
    )
    .fetch_all(executor)
    .await
}
