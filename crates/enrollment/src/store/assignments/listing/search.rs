//! Assignments of students whose names or addresses begin in some way.

use sqlx::PgConnection;
use uuid::Uuid;

use super::super::{AssignmentRow, all, assignments};
use super::{AssignmentFilter, Place};
use crate::domain::assignment::Assignment;
use crate::domain::redemption::Assigning;
use crate::store::by_student::{FoundRow, Search, placed, students_found};

/// Assignments of the organization `ground` that pass `filter`, which searches for a beginning, each with its place, after
/// `after`, at most `limit`.
pub(super) async fn page(
    connection: &mut PgConnection,
    filter: &AssignmentFilter,
    ground: Uuid,
    after: Option<&Place>,
    limit: i64,
) -> sqlx::Result<Vec<(Assignment, Place)>> {
    let sought = (filter.name.as_ref(), filter.email.as_ref());
    let Some(search) = Search::new(ground, sought, after, limit) else {
        return Ok(Vec::new());
    };
    let students = students(connection, filter, &search).await?;
    let ids: Vec<Uuid> = students.iter().map(|row| row.student_id).collect();
    let rows = of_students(connection, filter, ground, &ids).await?;
    let of = |one: &Assignment| (one.student_id, one.assigned_at, one.id);
    Ok(placed(all(rows)?, students, of, after, limit))
}

async fn students(
    connection: &mut PgConnection,
    filter: &AssignmentFilter,
    search: &Search<'_>,
) -> sqlx::Result<Vec<FoundRow>> {
    students_found!(
        connection,
        search,
        "SELECT true FROM enrollment.assignments a
         WHERE a.student_id = x.student_id AND a.organization_id = $1
           AND ($8::uuid IS NULL OR a.pool_id = $8) AND ($9::uuid IS NULL OR a.key_id = $9)
           AND ($10::text IS NULL OR a.status = $10)
           AND ($11::text IS NULL OR ($11 = 'pool') = (a.pool_id IS NOT NULL))
           AND ($12::timestamptz IS NULL OR a.assigned_at >= $12)
           AND ($13::timestamptz IS NULL OR a.assigned_at < $13)
           AND ($14::uuid IS NULL OR a.profile_id = $14)",
        [
            filter.assigning.and_then(Assigning::pool_id) as _,
            filter.key_id as _,
            filter.status,
            filter.key_kind,
            filter.from as _,
            filter.until as _,
            filter.assigning.and_then(Assigning::profile_id) as _,
        ]
    )
}

async fn of_students(
    connection: &mut PgConnection,
    filter: &AssignmentFilter,
    ground: Uuid,
    students: &[Uuid],
) -> sqlx::Result<Vec<AssignmentRow>> {
    assignments!(
        "WHERE a.student_id = ANY ($1) AND a.organization_id = $2
           AND ($3::uuid IS NULL OR a.pool_id = $3) AND ($4::uuid IS NULL OR a.key_id = $4)
           AND ($5::text IS NULL OR a.status = $5)
           AND ($6::text IS NULL OR ($6 = 'pool') = (a.pool_id IS NOT NULL))
           AND ($7::timestamptz IS NULL OR a.assigned_at >= $7) AND ($8::timestamptz IS NULL OR a.assigned_at < $8)
           AND ($9::uuid IS NULL OR a.profile_id = $9)",
        students,
        ground,
        filter.assigning.and_then(Assigning::pool_id) as _,
        filter.key_id as _,
        filter.status,
        filter.key_kind,
        filter.from as _,
        filter.until as _,
        filter.assigning.and_then(Assigning::profile_id) as _,
    )
    .fetch_all(connection)
    .await
}
