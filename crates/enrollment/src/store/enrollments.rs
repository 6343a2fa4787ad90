//! `enrollment.enrollments`: who is, and was, in which class.

pub mod listing;
pub mod roster;
pub mod write;

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::ResourceScope;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::BadRow;
use crate::domain::enrollment::{CancelledBy, Completion, Enrollment, Origin, Status};
use crate::domain::key::KeyKind;

const TABLE: &str = "enrollment.enrollments";

pub(super) struct EnrollmentRow {
    pub(super) enrollment_id: Uuid,
    pub(super) class_id: Uuid,
    pub(super) organization_id: Uuid,
    pub(super) student_id: Uuid,
    pub(super) status: String,
    pub(super) status_since: DateTime<Utc>,
    pub(super) key_id: Option<Uuid>,
    pub(super) key_kind: Option<String>,
    pub(super) generation: Option<i32>,
    pub(super) enrolled_at: DateTime<Utc>,
    pub(super) cancelled_by: Option<String>,
    pub(super) late_cancellation: bool,
    pub(super) completion: String,
    pub(super) version: i64,
}

impl TryFrom<EnrollmentRow> for Enrollment {
    type Error = BadRow;

    fn try_from(row: EnrollmentRow) -> Result<Self, BadRow> {
        let bad = |column, value: Option<&str>| {
            BadRow::new(TABLE, column, row.enrollment_id, value.unwrap_or("nothing"))
        };
        let status = Status::parse(&row.status).ok_or_else(|| bad("status", Some(&row.status)))?;
        let cancelled_by = match row.cancelled_by.as_deref() {
            None => None,
            Some(name) => {
                Some(CancelledBy::parse(name).ok_or_else(|| bad("cancelled_by", Some(name)))?)
            }
        };
        let kind = row.key_kind.as_deref();
        let origin = match (row.key_id, row.generation) {
            (None, None) => Origin::Direct,
            (Some(key_id), Some(generation)) => Origin::Key {
                key_id,
                kind: kind
                    .and_then(KeyKind::parse)
                    .ok_or_else(|| bad("key_kind", kind))?,
                generation,
            },
            _ => return Err(bad("generation", None)),
        };
        Ok(Self {
            id: row.enrollment_id,
            class_id: row.class_id,
            organization_id: row.organization_id,
            student_id: row.student_id,
            status,
            status_since: row.status_since,
            cancelled_by,
            late_cancellation: row.late_cancellation,
            completion: Completion::parse(&row.completion)
                .ok_or_else(|| bad("completion", Some(&row.completion)))?,
            origin,
            enrolled_at: row.enrolled_at,
            version: row.version,
        })
    }
}

/// Enrollments, by what follows `SELECT ... FROM enrollment.enrollments e`.
macro_rules! enrollments {
    ($after:expr $(, $parameter:expr)* $(,)?) => {
        sqlx::query_as!(
            crate::store::enrollments::EnrollmentRow,
            "SELECT e.enrollment_id, e.class_id, e.organization_id, e.student_id, e.status, e.status_since, \
             e.key_id, e.key_kind, e.generation, e.enrolled_at, e.cancelled_by, e.late_cancellation, \
             e.completion, e.version FROM enrollment.enrollments e " + $after
            $(, $parameter)*
        )
    };
}
use enrollments;

pub(super) fn all(rows: Vec<EnrollmentRow>) -> sqlx::Result<Vec<Enrollment>> {
    rows.into_iter()
        .map(|row| Ok(Enrollment::try_from(row)?))
        .collect()
}

/// An enrollment, and what says whom it exists for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedEnrollment {
    /// The enrollment.
    pub enrollment: Enrollment,
    /// The organizations above that of the class, nearest first.
    pub ancestors: Vec<Uuid>,
    /// Token subjects of the instructors of the class.
    pub instructors: Vec<String>,
}

impl PlacedEnrollment {
    /// Where it stands.
    pub fn scope(&self) -> ResourceScope<'_> {
        ResourceScope {
            organization: self.enrollment.organization_id,
            ancestors: &self.ancestors,
            instructors: &self.instructors,
            students: std::slice::from_ref(&self.enrollment.student_id),
        }
    }
}

/// The enrollment `id`.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Enrollment>> {
    let row = enrollments!("WHERE e.enrollment_id = $1", id)
        .fetch_optional(executor)
        .await?;
    Ok(row.map(Enrollment::try_from).transpose()?)
}

/// Those of the enrollments `ids` that exist.
pub async fn find_all(
    executor: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Enrollment>> {
    let rows = enrollments!("WHERE e.enrollment_id = ANY ($1)", ids)
        .fetch_all(executor)
        .await?;
    all(rows)
}

/// The enrollment `id` with what says whom it exists for.
pub async fn find_placed(
    connection: &mut PgConnection,
    id: Uuid,
) -> sqlx::Result<Option<PlacedEnrollment>> {
    let place = sqlx::query!(
        r#"
        SELECT o.ancestor_ids, c.instructors
        FROM enrollment.enrollments e
        JOIN enrollment.classes c ON c.class_id = e.class_id
        JOIN enrollment.organizations o ON o.organization_id = c.organization_id
        WHERE e.enrollment_id = $1
        "#,
        id,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let enrollment = find(connection, id).await?;
    Ok(enrollment
        .zip(place)
        .map(|(enrollment, place)| PlacedEnrollment {
            enrollment,
            ancestors: place.ancestor_ids,
            instructors: place.instructors,
        }))
}

/// The live enrollment of `student` in `class`, if there is one.
pub async fn find_live(
    executor: impl PgExecutor<'_>,
    class: Uuid,
    student: Uuid,
) -> sqlx::Result<Option<Enrollment>> {
    let row = enrollments!(
        "WHERE e.class_id = $1 AND e.student_id = $2 AND e.live",
        class,
        student,
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(Enrollment::try_from).transpose()?)
}

/// Whether `student` is or was in `class`.
pub async fn was_in(
    connection: &mut PgConnection,
    class: Uuid,
    student: Uuid,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT 1 FROM enrollment.enrollments e WHERE e.student_id = $2 AND e.class_id = $1
        ) AS "was_in!"
        "#,
        class,
        student,
    )
    .fetch_one(connection)
    .await
}
