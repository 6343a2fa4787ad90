//! Enrollments of students whose names or addresses begin in some way: first the students, by ranges of the indexes over their
//! folded texts, then their enrollments.

use std::cmp::Reverse;
use std::collections::HashMap;

use latchkey_service_kit::access::Scope;
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::{EnrollmentRow, all, enrollments};
use super::{EnrollmentFilter, Ground, Place};
use crate::domain::enrollment::Enrollment;
use crate::domain::prefix::Prefix;

struct FoundRow {
    found_by: String,
    student_id: Uuid,
}

/// Students of an organization and those below it who are found and have an enrollment that passes, in the order of the
/// texts that they are found by: the first of each organization by each of `$text`, those in `$range`, one bound of its index.
macro_rules! students_found {
    ($connection:expr, $search:expr, [$($text:literal where $range:literal ordered by $order:literal),+]) => {
        sqlx::query_as!(
            FoundRow,
            r#"
            SELECT t.found_by AS "found_by!", t.student_id AS "student_id!"
            FROM (
                SELECT o.organization_id FROM enrollment.organizations o
                WHERE o.organization_id = $1 OR o.ancestor_ids @> ARRAY[$1]::uuid[]
            ) reached
            CROSS JOIN LATERAL (
                SELECT NULL::text COLLATE "C" AS found_by, NULL::uuid AS student_id WHERE false"#
                $(+ " UNION ALL (SELECT " + $text + r#", x.student_id FROM enrollment.students x
                    CROSS JOIN LATERAL (
                        SELECT true FROM enrollment.enrollments e
                        WHERE e.student_id = x.student_id AND ($8::uuid IS NULL OR e.class_id = $8)
                          AND ($9::uuid IS NULL OR e.organization_id = $9) AND ($10::text IS NULL OR e.status = $10)
                          AND ($11::timestamptz IS NULL OR e.status_since >= $11)
                          AND ($3::timestamptz IS NULL OR e.status_since < $3)
                        LIMIT 1
                    ) has_one
                WHERE "# + $range + r#"
                  AND x.organization_id = reached.organization_id AND ($6::uuid IS NULL OR x.student_id = $6)
                  AND ($12::text IS NULL OR (x.given_first >= $12 AND x.given_first < $13)
                       OR (x.family_first >= $12 AND x.family_first < $13))
                ORDER BY "# + $order + " LIMIT $7)")+
            + r#"
            ) t
            ORDER BY t.found_by, t.student_id LIMIT $7
            "#,
            $search.ground.organization_id,
            $search.sought.behind(),
            $search.filter.status_until as _,
            $search.after.0,
            $search.after.1,
            $search.ground.only as _,
            $search.limit,
            $search.filter.class_id as _,
            $search.filter.organization_id as _,
            $search.filter.status,
            $search.filter.status_from as _,
            $search.filter.name.as_ref().map(Prefix::first) as _,
            $search.filter.name.as_ref().map(Prefix::behind) as _,
        )
        .fetch_all($connection)
        .await
    };
}

struct Search<'s> {
    ground: Ground,
    filter: &'s EnrollmentFilter,
    sought: &'s Prefix,
    /// The first student that may be found.
    after: (String, Uuid),
    limit: i64,
}

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
    let Some(sought) = filter.email.as_ref().or(filter.name.as_ref()) else {
        return Ok(Vec::new());
    };
    let search = Search {
        ground,
        filter,
        sought,
        after: after.map_or_else(
            || (sought.first().to_owned(), Uuid::nil()),
            |place| place.found.clone(),
        ),
        // Of the first student everything may stand before.
        limit: limit + 1,
    };
    let students = if filter.email.is_some() {
        of_emails(connection, &search).await?
    } else {
        of_names(connection, &search).await?
    };
    let mut found_by: HashMap<Uuid, String> = HashMap::new();
    for row in students {
        found_by.insert(row.student_id, row.found_by);
    }
    let ids: Vec<Uuid> = found_by.keys().copied().collect();
    let rows = of_students(connection, scope, filter, &ids).await?;
    let place = |one: Enrollment| {
        let text = found_by.get(&one.student_id)?;
        let place = Place {
            found: (text.clone(), one.student_id),
            time: one.enrolled_at,
            id: one.id,
        };
        Some((one, place))
    };
    let mut placed: Vec<(Enrollment, Place)> = all(rows)?.into_iter().filter_map(place).collect();
    let order = |place: &Place| (place.found.clone(), Reverse((place.time, place.id)));
    placed.sort_by_cached_key(|(_, place)| order(place));
    if let Some(after) = after {
        placed.retain(|(_, place)| order(place) > order(after));
    }
    placed.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(placed)
}

async fn of_emails(
    connection: &mut PgConnection,
    search: &Search<'_>,
) -> sqlx::Result<Vec<FoundRow>> {
    students_found!(
        connection,
        search,
        [
            "x.email_folded" where "x.email_folded < $2 AND x.email_folded >= $4 AND (x.email_folded > $4 OR x.student_id >= $5)"
            ordered by "x.email_folded"
        ]
    )
}

/// Who is found by the given name first is not found by the family name first as well.
async fn of_names(
    connection: &mut PgConnection,
    search: &Search<'_>,
) -> sqlx::Result<Vec<FoundRow>> {
    students_found!(
        connection,
        search,
        [
            "x.given_first" where "x.given_first < $2 AND (x.given_first, x.student_id) >= ($4, $5)"
            ordered by "x.given_first, x.student_id",
            "x.family_first" where "x.family_first < $2 AND (x.family_first, x.student_id) >= ($4, $5)
               AND NOT (x.given_first >= $12 AND x.given_first < $13)"
            ordered by "x.family_first, x.student_id"
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
