//! Students whose names or addresses begin in some way: ranges of the indexes over the folded texts.

use latchkey_service_kit::access::Scope;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::super::{StudentRow, students};
use super::{Place, StudentFilter};
use crate::domain::prefix::Prefix;
use crate::domain::student::Student;

/// The students of one page. `$text` is the text by which a student `s` is found, null if they are not; `$streams` selects
/// the first of an organization that are found, in the order of their texts: from the beginning that is searched for on, or
/// from behind the last page, whichever is further, as one bound of their index. Beside these there are the students of an
/// instructor's classes, and the student who asks.
macro_rules! found {
    ($executor:expr, $search:expr, $text:literal, $streams:literal) => {
        students!(
            "CROSS JOIN LATERAL (SELECT " + $text + " AS found_by) t
             WHERE s.student_id = ANY (ARRAY(
                SELECT first.student_id FROM (
                    SELECT o.organization_id FROM enrollment.organizations o
                    WHERE ($8 OR o.organization_id = $7 OR o.ancestor_ids @> ARRAY[$7]::uuid[])
                      AND ($6::uuid IS NULL OR o.organization_id = $6)
                ) reached
                CROSS JOIN LATERAL (" + $streams + ") first
                UNION
                SELECT e.student_id
                FROM enrollment.classes c
                CROSS JOIN LATERAL (
                    SELECT i.student_id FROM enrollment.enrollments i WHERE i.class_id = c.class_id AND i.live
                    UNION ALL
                    SELECT i.student_id FROM enrollment.enrollments i WHERE i.class_id = c.class_id AND NOT i.live
                ) e
                WHERE c.instructors @> ARRAY[$9]::text[]
                UNION
                SELECT $10::uuid
             )) AND t.found_by IS NOT NULL AND (t.found_by, s.student_id) > ($1, $2)
               AND ($6::uuid IS NULL OR s.organization_id = $6) AND ($11::bool IS NULL OR s.active = $11)
               AND ($12::text IS NULL OR (s.given_first >= $12 AND s.given_first < $13)
                    OR (s.family_first >= $12 AND s.family_first < $13))
               AND ($14::text IS NULL OR s.email_folded = $14)
             ORDER BY t.found_by, s.student_id LIMIT $5",
            $search.after.0,
            $search.after.1,
            $search.first,
            $search.behind,
            $search.limit,
            $search.filter.organization_id as _,
            $search.reached as _,
            $search.all,
            $search.scope.instructor as _,
            $search.scope.student as _,
            $search.filter.active as _,
            $search.filter.name.as_ref().map(Prefix::first) as _,
            $search.filter.name.as_ref().map(Prefix::behind) as _,
            $search.filter.email_folded as _,
        )
        .fetch_all($executor)
        .await
    };
}

/// What is searched for, and where.
struct Search<'s> {
    scope: &'s Scope,
    filter: &'s StudentFilter,
    /// The range of texts.
    first: &'s str,
    behind: String,
    /// Of which organization and those below it; without one of all, or of none.
    reached: Option<Uuid>,
    all: bool,
    after: Place,
    limit: i64,
}

/// Students within `scope` that pass `filter`, which searches for a beginning, in the order of their places, after the place
/// `after`, at most `limit`.
pub(super) async fn page(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &StudentFilter,
    after: Option<&Place>,
    limit: i64,
) -> sqlx::Result<Vec<Student>> {
    let by_email = filter.email.is_some();
    let Some(sought) = filter.email.as_ref().or(filter.name.as_ref()) else {
        return Ok(Vec::new());
    };
    // Whoever reaches everything reaches the organization asked for.
    let reached = if scope.everything {
        filter.organization_id
    } else {
        scope.organization
    };
    let search = Search {
        scope,
        filter,
        first: sought.first(),
        behind: sought.behind(),
        reached,
        all: scope.everything && filter.organization_id.is_none(),
        after: after
            .cloned()
            .unwrap_or_else(|| (sought.first().to_owned(), Uuid::nil())),
        limit,
    };
    let rows = if by_email {
        of_emails(executor, &search).await?
    } else {
        of_names(executor, &search).await?
    };
    Ok(rows.into_iter().map(Student::from).collect())
}

/// An address is unique in its organization.
async fn of_emails(
    executor: impl PgExecutor<'_>,
    search: &Search<'_>,
) -> sqlx::Result<Vec<StudentRow>> {
    found!(
        executor,
        search,
        "CASE WHEN s.email_folded >= $3 AND s.email_folded < $4 THEN s.email_folded END",
        "SELECT x.student_id FROM enrollment.students x
         WHERE x.organization_id = reached.organization_id AND x.email_folded >= $1 AND x.email_folded < $4
           AND (x.email_folded > $1 OR x.student_id > $2)
           AND ($11::bool IS NULL OR x.active = $11)
           AND ($12::text IS NULL OR (x.given_first >= $12 AND x.given_first < $13)
                OR (x.family_first >= $12 AND x.family_first < $13))
           AND ($14::text IS NULL OR x.email_folded = $14)
         ORDER BY x.email_folded LIMIT $5"
    )
}

/// Who is found by the given name first is not found by the family name first as well.
async fn of_names(
    executor: impl PgExecutor<'_>,
    search: &Search<'_>,
) -> sqlx::Result<Vec<StudentRow>> {
    found!(
        executor,
        search,
        "CASE WHEN s.given_first >= $3 AND s.given_first < $4 THEN s.given_first
              WHEN s.family_first >= $3 AND s.family_first < $4 THEN s.family_first END",
        "(SELECT x.student_id FROM enrollment.students x
          WHERE x.organization_id = reached.organization_id AND x.given_first < $4
            AND (x.given_first, x.student_id) > ($1, $2)
            AND ($11::bool IS NULL OR x.active = $11) AND ($14::text IS NULL OR x.email_folded = $14)
          ORDER BY x.given_first, x.student_id LIMIT $5)
         UNION ALL
         (SELECT x.student_id FROM enrollment.students x
          WHERE x.organization_id = reached.organization_id AND x.family_first < $4
            AND (x.family_first, x.student_id) > ($1, $2) AND NOT (x.given_first >= $3 AND x.given_first < $4)
            AND ($11::bool IS NULL OR x.active = $11) AND ($14::text IS NULL OR x.email_folded = $14)
          ORDER BY x.family_first, x.student_id LIMIT $5)"
    )
}
