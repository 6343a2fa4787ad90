//! Lists of students, each way into the table a statement of its own: plans are generic.

mod search;

use latchkey_service_kit::access::Scope;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{StudentRow, students};
use crate::domain::prefix::Prefix;
use crate::domain::student::Student;

/// Which students to list. Filters are joined with AND; an unset one lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StudentFilter {
    /// Only students of this organization.
    pub organization_id: Option<Uuid>,
    /// Only the one with this folded e-mail address.
    pub email_folded: Option<String>,
    /// Only those with a name that begins so.
    pub name: Option<Prefix>,
    /// Only those whose e-mail address begins so.
    pub email: Option<Prefix>,
    /// Only active ones, or only others.
    pub active: Option<bool>,
}

/// Where a student stands in a list: by the text that is searched for, if one is, then by id.
pub type Place = (String, Uuid);

impl StudentFilter {
    /// Where `student`, who passes the filter, stands.
    pub fn place(&self, student: &Student) -> Place {
        let text = match (&self.email, &self.name) {
            (Some(_), _) => Some(student.email.folded().to_owned()),
            (None, Some(name)) => student.found_by(name),
            (None, None) => None,
        };
        (text.unwrap_or_default(), student.id)
    }
}

/// Students within `scope` that pass `filter`, in the order of their places, after the place `after`, at most `limit`.
pub async fn page(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    filter: &StudentFilter,
    after: Option<&Place>,
    limit: i64,
) -> sqlx::Result<Vec<Student>> {
    if filter.email.is_some() || filter.name.is_some() {
        return search::page(executor, scope, filter, after, limit).await;
    }
    let after = after.map_or(Uuid::nil(), |(_, id)| *id);
    let (organization, active) = (filter.organization_id, filter.active);
    let rows = if let Some(email) = &filter.email_folded {
        by_email(executor, scope, (organization, email), active, after, limit).await?
    } else if scope.everything && filter.organization_id.is_none() {
        students!(
            "WHERE s.student_id > $1 AND ($3::bool IS NULL OR s.active = $3) ORDER BY s.student_id LIMIT $2",
            after,
            limit,
            active as _,
        )
        .fetch_all(executor)
        .await?
    } else {
        within_reach(executor, scope, organization, active, after, limit).await?
    };
    Ok(rows.into_iter().map(Student::from).collect())
}

/// At most one of each organization.
async fn by_email(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    (organization, email_folded): (Option<Uuid>, &str),
    active: Option<bool>,
    after: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<StudentRow>> {
    students!(
        "JOIN enrollment.organizations p ON p.organization_id = s.organization_id
         WHERE s.student_id > $1 AND s.student_id = ANY (ARRAY(
                SELECT found.student_id
                FROM enrollment.organizations o
                CROSS JOIN LATERAL (
                    SELECT x.student_id FROM enrollment.students x
                    WHERE x.organization_id = o.organization_id AND x.email_folded = $3
                    LIMIT 1
                ) found
                WHERE $4::uuid IS NULL OR o.organization_id = $4
           ))
           AND ($5 OR p.organization_id = $6 OR p.ancestor_ids @> ARRAY[$6]::uuid[] OR s.student_id = $8 OR EXISTS (
                SELECT 1 FROM enrollment.enrollments e
                JOIN enrollment.classes c ON c.class_id = e.class_id
                WHERE e.student_id = s.student_id AND c.instructors @> ARRAY[$7]::text[]
           ))
           AND ($9::bool IS NULL OR s.active = $9)
         ORDER BY s.student_id LIMIT $2",
        after,
        limit,
        email_folded,
        organization as _,
        scope.everything,
        scope.organization as _,
        scope.instructor as _,
        scope.student as _,
        active as _,
    )
    .fetch_all(executor)
    .await
}

/// The union of what the parts of the scope reach: the first of each organization, and the students of an instructor's
/// classes, of whom there are few.
async fn within_reach(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    organization: Option<Uuid>,
    active: Option<bool>,
    after: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<StudentRow>> {
    // Whoever reaches everything reaches the organization asked for.
    let reached = if scope.everything {
        organization
    } else {
        scope.organization
    };
    students!(
        "JOIN (
            SELECT first.student_id FROM (
                SELECT o.organization_id FROM enrollment.organizations o
                WHERE (o.organization_id = $4 OR o.ancestor_ids @> ARRAY[$4]::uuid[])
                  AND ($3::uuid IS NULL OR o.organization_id = $3)
            ) reached
            CROSS JOIN LATERAL (
                SELECT x.student_id FROM enrollment.students x
                WHERE x.organization_id = reached.organization_id AND x.student_id > $1
                  AND ($7::bool IS NULL OR x.active = $7)
                ORDER BY x.student_id LIMIT $2
            ) first
            UNION
            SELECT e.student_id
            FROM enrollment.classes c
            CROSS JOIN LATERAL (
                SELECT i.student_id FROM enrollment.enrollments i
                WHERE i.class_id = c.class_id AND i.live
                UNION ALL
                SELECT i.student_id FROM enrollment.enrollments i
                WHERE i.class_id = c.class_id AND NOT i.live
            ) e
            WHERE c.instructors @> ARRAY[$5]::text[]
            UNION
            SELECT $6::uuid
         ) found ON found.student_id = s.student_id
         WHERE s.student_id > $1 AND ($3::uuid IS NULL OR s.organization_id = $3) AND ($7::bool IS NULL OR s.active = $7)
         ORDER BY s.student_id LIMIT $2",
        after,
        limit,
        organization as _,
        reached as _,
        scope.instructor as _,
        scope.student as _,
        active as _,
    )
    .fetch_all(executor)
    .await
}

/// Those of the students `ids` that are within `scope`, by id.
pub async fn within(
    executor: impl PgExecutor<'_>,
    scope: &Scope,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Student>> {
    let rows = students!(
        "JOIN enrollment.organizations o ON o.organization_id = s.organization_id
         WHERE s.student_id = ANY ($1)
           AND ($2 OR o.organization_id = $3 OR o.ancestor_ids @> ARRAY[$3]::uuid[] OR s.student_id = $5 OR EXISTS (
                SELECT 1 FROM enrollment.enrollments e
                JOIN enrollment.classes c ON c.class_id = e.class_id
                WHERE e.student_id = s.student_id AND c.instructors @> ARRAY[$4]::text[]
           ))
         ORDER BY s.student_id",
        ids,
        scope.everything,
        scope.organization as _,
        scope.instructor as _,
        scope.student as _,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(Student::from).collect())
}
