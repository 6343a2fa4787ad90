//! Enrollments of students whose names or addresses begin in some way.

use latchkey_service_kit::access::Scope;
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::{EnrollmentRow, all, enrollments};
use super::{EnrollmentFilter, Ground, Place};
use crate::domain::enrollment::Enrollment;
use crate::store::by_student::{FoundRow, Search, placed, students_found};

/// Enrollments within `scope` that pass `filter`, which searches for a beginning, each with its place, after `after`, at
/// most `limit`.
pub(super) async fn page(
    connection: &mut PgConnection,
    scope: &Scope,
    filter: &EnrollmentFilter,
    ground: Ground,
    after: Option<&Place>,
    limit: i64,
) -> sqlx::Result<Vec<(Enrollment, Place)>> {
    let sought = (filter.name.as_ref(), filter.email.as_ref());
    let Some(search) = Search::new(ground.organization_id, sought, after, limit) else {
        return Ok(Vec::new());
    };
    let students = students(connection, filter, ground, &search).await?;
    let ids: Vec<Uuid> = students.iter().map(|row| row.student_id).collect();
    let rows = of_students(connection, scope, filter, &ids).await?;
    let of = |one: &Enrollment| (one.student_id, one.enrolled_at, one.id);
    Ok(placed(all(rows)?, students, of, after, limit))
}

async fn students(
    connection: &mut PgConnection,
    filter: &EnrollmentFilter,
    ground: Ground,
    search: &Search<'_>,
) -> sqlx::Result<Vec<FoundRow>> {
    students_found!(
        connection,
        search,
        "SELECT true FROM enrollment.enrollments e
         WHERE e.student_id = x.student_id AND ($8::uuid IS NULL OR e.class_id = $8)
           AND ($9::uuid IS NULL OR e.organization_id = $9) AND ($10::text IS NULL OR e.status = $10)
           AND ($11::timestamptz IS NULL OR e.status_since >= $11)
           AND ($12::timestamptz IS NULL OR e.status_since < $12)
           AND ($13::uuid IS NULL OR x.student_id = $13)",
        [
            filter.class_id as _,
            filter.organization_id as _,
            filter.status,
            filter.status_from as _,
            filter.status_until as _,
            ground.only as _,
        ]
    )
}

async fn of_students(
    connection: &mut PgConnection,
    scope: &Scope,
    filter: &EnrollmentFilter,
    students: &[Uuid],
) -> sqlx::Result<Vec<EnrollmentRow>> {
    enrollments!(
        "JOIN enrollment.classes c ON c.class_id = e.class_id
         JOIN enrollment.organizations o ON o.organization_id = c.organization_id
         WHERE e.student_id = ANY ($1)
           AND ($2::text IS NULL OR e.status = $2) AND ($3::uuid IS NULL OR e.class_id = $3)
           AND ($4 OR o.organization_id = $5 OR o.ancestor_ids @> ARRAY[$5]::uuid[]
                OR c.instructors @> ARRAY[$6]::text[] OR e.student_id = $7)
           AND ($8::uuid IS NULL OR e.organization_id = $8)
           AND ($9::timestamptz IS NULL OR e.status_since >= $9)
           AND ($10::timestamptz IS NULL OR e.status_since < $10)",
        students,
        filter.status,
        filter.class_id as _,
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
