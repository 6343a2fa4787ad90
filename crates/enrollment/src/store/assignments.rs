//! `enrollment.assignments`: which student takes which courses at their own pace.

mod facts;
pub mod listing;
pub mod write;

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::ResourceScope;
use latchkey_service_kit::database;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::BadRow;
use super::profiles::courses;
use crate::domain::assignment::{Assigned, Assignment, EndedBy, Status};
use crate::domain::profile::Course;

pub(super) use facts::read_facts;

const TABLE: &str = "enrollment.assignments";

pub(super) struct AssignmentRow {
    pub(super) assignment_id: Uuid,
    pub(super) pool_id: Option<Uuid>,
    pub(super) profile_id: Option<Uuid>,
    pub(super) organization_id: Uuid,
    pub(super) student_id: Uuid,
    pub(super) course_id: Option<String>,
    pub(super) course_name: Option<String>,
    pub(super) profile_name: Option<String>,
    pub(super) course_ids: Option<Vec<String>>,
    pub(super) course_names: Option<Vec<String>>,
    pub(super) key_id: Uuid,
    pub(super) generation: i32,
    pub(super) status: String,
    pub(super) assigned_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) launched_at: Option<DateTime<Utc>>,
    pub(super) cancelled_at: Option<DateTime<Utc>>,
    pub(super) cancelled_by: Option<String>,
}

impl AssignmentRow {
    fn assigned(&mut self) -> Option<Assigned> {
        match (self.pool_id, self.profile_id) {
            (Some(pool_id), None) => Some(Assigned::Course {
                pool_id,
                course: Course {
                    course_id: self.course_id.take()?,
                    course_name: self.course_name.take()?,
                },
            }),
            (None, Some(profile_id)) => Some(Assigned::Subscription {
                profile_id,
                profile_name: self.profile_name.take()?,
                courses: courses(self.course_ids.take()?, self.course_names.take()?),
            }),
            _ => None,
        }
    }
}

impl TryFrom<AssignmentRow> for Assignment {
    type Error = BadRow;

    fn try_from(mut row: AssignmentRow) -> Result<Self, BadRow> {
        let assigned = row.assigned().ok_or_else(|| {
            let opens = row.pool_id.or(row.profile_id).unwrap_or_default();
            BadRow::new(TABLE, "pool_id", row.assignment_id, opens.to_string())
        })?;
        let bad = |column, value: Option<&str>| {
            BadRow::new(TABLE, column, row.assignment_id, value.unwrap_or("nothing"))
        };
        let by = row.cancelled_by.as_deref();
        let status = match (row.status.as_str(), row.cancelled_at) {
            ("assigned", None) => Status::Assigned,
            ("cancelled", Some(at)) => Status::Cancelled {
                at,
                by: by
                    .and_then(EndedBy::parse)
                    .ok_or_else(|| bad("cancelled_by", by))?,
            },
            (other, _) => return Err(bad("status", Some(other))),
        };
        Ok(Self {
            id: row.assignment_id,
            assigned,
            organization_id: row.organization_id,
            student_id: row.student_id,
            key_id: row.key_id,
            generation: row.generation,
            status,
            assigned_at: row.assigned_at,
            expires_at: row.expires_at,
            launched_at: row.launched_at,
        })
    }
}

/// Assignments, by what follows `SELECT ... FROM enrollment.assignments a`.
macro_rules! assignments {
    ($after:expr $(, $parameter:expr)* $(,)?) => {
        sqlx::query_as!(
            crate::store::assignments::AssignmentRow,
            "SELECT a.assignment_id, a.pool_id, a.profile_id, a.organization_id, a.student_id, a.course_id, a.course_name, \
             a.key_id, a.generation, a.status, a.assigned_at, a.expires_at, a.launched_at, a.cancelled_at, a.cancelled_by, \
             p.name AS \"profile_name?\", p.course_ids AS \"course_ids?\", p.course_names AS \"course_names?\" \
             FROM enrollment.assignments a \
             LEFT JOIN LATERAL (SELECT x.* FROM enrollment.profiles x WHERE x.profile_id = a.profile_id LIMIT 1) p ON true "
            + $after
            $(, $parameter)*
        )
    };
}
use assignments;

fn all(rows: Vec<AssignmentRow>) -> sqlx::Result<Vec<Assignment>> {
    rows.into_iter()
        .map(|row| Ok(Assignment::try_from(row)?))
        .collect()
}

/// An assignment, and what says whom it exists for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedAssignment {
    /// The assignment.
    pub assignment: Assignment,
    /// The organizations above that of the pool, nearest first.
    pub ancestors: Vec<Uuid>,
}

impl PlacedAssignment {
    /// Where it stands.
    pub fn scope(&self) -> ResourceScope<'_> {
        ResourceScope {
            organization: self.assignment.organization_id,
            ancestors: &self.ancestors,
            instructors: &[],
            students: std::slice::from_ref(&self.assignment.student_id),
        }
    }
}

/// The assignment `id`.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Assignment>> {
    let row = assignments!("WHERE a.assignment_id = $1", id)
        .fetch_optional(executor)
        .await?;
    Ok(row.map(Assignment::try_from).transpose()?)
}

/// Those of the assignments `ids` that exist.
pub async fn find_all(
    executor: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Assignment>> {
    let rows = assignments!("WHERE a.assignment_id = ANY ($1)", ids)
        .fetch_all(executor)
        .await?;
    all(rows)
}

/// The assignment `id` with what says whom it exists for.
pub async fn find_placed(
    connection: &mut PgConnection,
    id: Uuid,
) -> sqlx::Result<Option<PlacedAssignment>> {
    let ancestors = sqlx::query_scalar!(
        r#"
        SELECT o.ancestor_ids
        FROM enrollment.assignments a
        JOIN enrollment.organizations o ON o.organization_id = a.organization_id
        WHERE a.assignment_id = $1
        "#,
        id,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let assignment = find(connection, id).await?;
    Ok(assignment
        .zip(ancestors)
        .map(|(assignment, ancestors)| PlacedAssignment {
            assignment,
            ancestors,
        }))
}

/// Of the assignments by which `student` has the course `course_id`: the one that is open longest; and the time.
pub async fn find_longest(
    connection: &mut PgConnection,
    student: Uuid,
    course_id: &str,
) -> sqlx::Result<(Option<Assignment>, DateTime<Utc>)> {
    let row = assignments!(
        "WHERE a.student_id = $1 AND a.status <> 'cancelled' AND (a.course_id = $2 OR $2 = ANY (p.course_ids))
         ORDER BY a.expires_at DESC, a.assignment_id LIMIT 1",
        student,
        course_id,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let now = database::now(connection).await?;
    Ok((row.map(Assignment::try_from).transpose()?, now))
}

/// Locks the assignment `id` against every other change. The time, read after that; `None` if there is none.
pub async fn lock(connection: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<DateTime<Utc>>> {
    let locked = sqlx::query!(
        "SELECT FROM enrollment.assignments WHERE assignment_id = $1 FOR NO KEY UPDATE",
        id
    )
    .fetch_optional(&mut *connection)
    .await?;
    if locked.is_none() {
        return Ok(None);
    }
    Ok(Some(database::now(connection).await?))
}

/// Locks keys whose uses are counted, in order, until the transaction ends: so that two decisions at once do not both take the
/// lowest slot, and one of them is in vain. By advisory locks, because keys have no rows here.
pub async fn lock_keys(connection: &mut PgConnection, key_ids: &[Uuid]) -> sqlx::Result<()> {
    if key_ids.is_empty() {
        return Ok(());
    }
    // Half of an id is as good as an id: whoever shares it with another waits for nothing more than that.
    let numbers: Vec<i64> = key_ids
        .iter()
        .map(|id| id.as_u64_pair().1.cast_signed())
        .collect();
    sqlx::query!(
        r#"
        SELECT count(pg_advisory_xact_lock(n.number)) AS locked
        FROM (SELECT x.number FROM unnest($1::bigint[]) AS x (number) GROUP BY x.number ORDER BY x.number) n
        "#,
        &numbers,
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// Cancels a live assignment, which is locked, and gives up its key for good.
pub async fn cancel(
    connection: &mut PgConnection,
    id: Uuid,
    by: EndedBy,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        UPDATE enrollment.assignments
        SET status = 'cancelled', cancelled_at = $2, cancelled_by = $3, holds_key = false,
            changed_xid = pg_current_xact_id()
        WHERE assignment_id = $1
        "#,
        id,
        now,
        by.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that something of a live assignment, which is locked, was launched for the first time.
pub async fn launch(
    connection: &mut PgConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE enrollment.assignments SET launched_at = $2 WHERE assignment_id = $1",
        id,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
