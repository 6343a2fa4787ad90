//! `enrollment.classes`: classes and their seats.

pub mod listing;
pub mod locks;

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::ResourceScope;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::BadRow;
use super::reached::lock_within;
use crate::domain::class::{Class, ClassStatus, EventKeyWindow};

const TABLE: &str = "enrollment.classes";

pub(super) struct ClassRow {
    pub(super) class_id: Uuid,
    pub(super) organization_id: Uuid,
    pub(super) course_id: String,
    pub(super) course_name: String,
    pub(super) name: String,
    pub(super) instructors: Vec<String>,
    pub(super) starts_at: DateTime<Utc>,
    pub(super) ends_at: DateTime<Utc>,
    pub(super) time_zone: String,
    pub(super) minimum_students: i32,
    pub(super) maximum_students: i32,
    pub(super) maximum_is_default: bool,
    pub(super) post_class_days: i32,
    pub(super) status: String,
    pub(super) event_key_window: String,
    pub(super) seats_taken: i32,
    pub(super) created_at: DateTime<Utc>,
    pub(super) version: i64,
}

impl TryFrom<ClassRow> for Class {
    type Error = BadRow;

    fn try_from(row: ClassRow) -> Result<Self, BadRow> {
        let bad = |column, value: &str| BadRow::new(TABLE, column, row.class_id, value);
        let time_zone = row
            .time_zone
            .parse()
            .map_err(|_| bad("time_zone", &row.time_zone))?;
        let status = ClassStatus::parse(&row.status).ok_or_else(|| bad("status", &row.status))?;
        let event_key_window = EventKeyWindow::parse(&row.event_key_window)
            .ok_or_else(|| bad("event_key_window", &row.event_key_window))?;
        Ok(Self {
            id: row.class_id,
            organization_id: row.organization_id,
            course_id: row.course_id,
            course_name: row.course_name,
            name: row.name,
            instructors: row.instructors,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            time_zone,
            minimum_students: row.minimum_students,
            maximum_students: row.maximum_students,
            maximum_is_default: row.maximum_is_default,
            post_class_days: row.post_class_days,
            status,
            event_key_window,
            seats_taken: row.seats_taken,
            created_at: row.created_at,
            version: row.version,
        })
    }
}

/// Classes, by what follows `SELECT ... FROM enrollment.classes c`.
macro_rules! classes {
    ($after:expr $(, $parameter:expr)* $(,)?) => {
        sqlx::query_as!(
            crate::store::classes::ClassRow,
            "SELECT c.class_id, c.organization_id, c.course_id, c.course_name, c.name, c.instructors, c.starts_at, \
             c.ends_at, c.time_zone, c.minimum_students, c.maximum_students, c.maximum_is_default, c.post_class_days, \
             c.status, c.event_key_window, c.seats_taken, c.created_at, c.version FROM enrollment.classes c " + $after
            $(, $parameter)*
        )
    };
}
use classes;

pub(super) fn all(rows: Vec<ClassRow>) -> sqlx::Result<Vec<Class>> {
    rows.into_iter()
        .map(|row| Ok(Class::try_from(row)?))
        .collect()
}

/// A class, and what says whom it exists for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedClass {
    /// The class.
    pub class: Class,
    /// The organizations above its own, nearest first.
    pub ancestors: Vec<Uuid>,
    /// The student asked for, if in it by a live enrollment; else empty.
    pub students: Vec<Uuid>,
    /// When it was read, by the database's clock.
    pub now: DateTime<Utc>,
}

impl PlacedClass {
    /// Where it stands.
    pub fn scope(&self) -> ResourceScope<'_> {
        ResourceScope {
            organization: self.class.organization_id,
            ancestors: &self.ancestors,
            instructors: &self.class.instructors,
            students: &self.students,
        }
    }
}

/// The class `id`.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Class>> {
    let row = classes!("WHERE c.class_id = $1", id)
        .fetch_optional(executor)
        .await?;
    Ok(row.map(Class::try_from).transpose()?)
}

/// The class `id` with what says whom it exists for; `student` is the caller, when the caller is a student. After
/// [`lock`] in the same transaction, `now` is the instant to judge by.
pub async fn find_placed(
    executor: impl PgExecutor<'_>,
    id: Uuid,
    student: Option<Uuid>,
) -> sqlx::Result<Option<PlacedClass>> {
    let row = sqlx::query!(
        r#"
        SELECT c.class_id, c.organization_id, c.course_id, c.course_name, c.name, c.instructors, c.starts_at, c.ends_at,
            c.time_zone, c.minimum_students, c.maximum_students, c.maximum_is_default, c.post_class_days, c.status,
            c.event_key_window, c.seats_taken, c.created_at, c.version,
            o.ancestor_ids,
            EXISTS (
                SELECT 1 FROM enrollment.enrollments e
                WHERE e.class_id = c.class_id AND e.student_id = $2 AND e.live
            ) AS "enrolled!",
            clock_timestamp() AS "now!"
        FROM enrollment.classes c
        JOIN enrollment.organizations o ON o.organization_id = c.organization_id
        WHERE c.class_id = $1
        "#,
        id,
        student,
    )
    .fetch_optional(executor)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let class = ClassRow {
        class_id: row.class_id,
        organization_id: row.organization_id,
        course_id: row.course_id,
        course_name: row.course_name,
        name: row.name,
        instructors: row.instructors,
        starts_at: row.starts_at,
        ends_at: row.ends_at,
        time_zone: row.time_zone,
        minimum_students: row.minimum_students,
        maximum_students: row.maximum_students,
        maximum_is_default: row.maximum_is_default,
        post_class_days: row.post_class_days,
        status: row.status,
        event_key_window: row.event_key_window,
        seats_taken: row.seats_taken,
        created_at: row.created_at,
        version: row.version,
    };
    Ok(Some(PlacedClass {
        class: class.try_into()?,
        ancestors: row.ancestor_ids,
        students: student.filter(|_| row.enrolled).into_iter().collect(),
        now: row.now,
    }))
}

/// Locks the class `id`; false if there is none. Read it by the next statement: this one's snapshot is older than the
/// lock.
pub async fn lock(connection: &mut PgConnection, id: Uuid) -> sqlx::Result<bool> {
    let locked = sqlx::query_scalar!(
        "SELECT class_id FROM enrollment.classes WHERE class_id = $1 FOR NO KEY UPDATE",
        id
    )
    .fetch_optional(connection)
    .await?;
    Ok(locked.is_some())
}

lock_within!("classes", "class_id");

/// The class that the request `request_id` created, as it is now, and the fingerprint of that request.
pub async fn find_by_request(
    connection: &mut PgConnection,
    request_id: Uuid,
) -> sqlx::Result<Option<(Class, Vec<u8>)>> {
    let row = classes!("WHERE c.request_id = $1", request_id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let fingerprint = sqlx::query_scalar!(
        "SELECT request_fingerprint FROM enrollment.classes WHERE class_id = $1",
        row.class_id
    )
    .fetch_one(connection)
    .await?;
    Ok(Some((row.try_into()?, fingerprint)))
}

/// A class to be inserted.
#[derive(Debug, Clone, Copy)]
pub struct NewClass<'c> {
    /// The class, at version 1 and without seats taken.
    pub class: &'c Class,
    /// The request that creates it.
    pub request_id: Uuid,
    /// The fingerprint of that request.
    pub fingerprint: &'c [u8],
}

/// Inserts a class; when it was created. `None` if another call with the same request id was first: then the caller rolls
/// back and looks again.
pub async fn insert(
    connection: &mut PgConnection,
    new: NewClass<'_>,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    let class = new.class;
    sqlx::query_scalar!(
        r#"
        INSERT INTO enrollment.classes (
            class_id, organization_id, course_id, course_name, name, instructors, starts_at, ends_at, time_zone,
            minimum_students, maximum_students, maximum_is_default, post_class_days, status, event_key_window,
            request_id, request_fingerprint
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
        ON CONFLICT DO NOTHING
        RETURNING created_at
        "#,
        class.id,
        class.organization_id,
        class.course_id,
        class.course_name,
        class.name,
        &class.instructors,
        class.starts_at,
        class.ends_at,
        class.time_zone.name(),
        class.minimum_students,
        class.maximum_students,
        class.maximum_is_default,
        class.post_class_days,
        class.status.as_str(),
        class.event_key_window.as_str(),
        new.request_id,
        new.fingerprint,
    )
    .fetch_optional(connection)
    .await
}

/// Writes the settings and the version of a locked class; not its seats.
pub async fn update(connection: &mut PgConnection, class: &Class) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        UPDATE enrollment.classes
        SET course_id = $2, course_name = $3, name = $4, instructors = $5, starts_at = $6, ends_at = $7, time_zone = $8,
            minimum_students = $9, maximum_students = $10, maximum_is_default = $11, post_class_days = $12, status = $13,
            event_key_window = $14, version = $15
        WHERE class_id = $1
        "#,
        class.id,
        class.course_id,
        class.course_name,
        class.name,
        &class.instructors,
        class.starts_at,
        class.ends_at,
        class.time_zone.name(),
        class.minimum_students,
        class.maximum_students,
        class.maximum_is_default,
        class.post_class_days,
        class.status.as_str(),
        class.event_key_window.as_str(),
        class.version,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes (or, if negative, frees) seats of a locked class. The database refuses more than the maximum and less than
/// none.
pub async fn change_seats(
    connection: &mut PgConnection,
    id: Uuid,
    difference: i32,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE enrollment.classes SET seats_taken = seats_taken + $2 WHERE class_id = $1",
        id,
        difference,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// An enrollment that ended with its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedEnrollment {
    /// Its id.
    pub enrollment_id: Uuid,
    /// Its student.
    pub student_id: Uuid,
}

/// Cancels live enrollments of a locked class at `now`, because the class is, and frees their keys: by student, those behind
/// `after`, at most `limit`.
pub async fn end_enrollments(
    connection: &mut PgConnection,
    id: Uuid,
    now: DateTime<Utc>,
    after: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<EndedEnrollment>> {
    sqlx::query_as!(
        EndedEnrollment,
        r#"
        UPDATE enrollment.enrollments e
        SET status = 'cancelled', status_since = $2, cancelled_by = 'class', holds_key = false,
            key_released_at = CASE WHEN e.holds_key THEN $2 ELSE e.key_released_at END, version = e.version + 1,
            changed_xid = pg_current_xact_id()
        FROM (
            SELECT i.enrollment_id FROM enrollment.enrollments i
            WHERE i.class_id = $1 AND i.live AND i.student_id > $3
            ORDER BY i.student_id LIMIT $4
        ) next
        WHERE e.enrollment_id = next.enrollment_id
        RETURNING e.enrollment_id, e.student_id
        "#,
        id,
        now,
        after,
        limit,
    )
    .fetch_all(connection)
    .await
}

/// Frees all seats of a locked class.
pub async fn free_seats(connection: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE enrollment.classes SET seats_taken = 0 WHERE class_id = $1",
        id
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Classes whose newest version is not known to have reached the keys service, at most `limit`.
pub async fn owed(executor: impl PgExecutor<'_>, limit: i64) -> sqlx::Result<Vec<Class>> {
    let rows = classes!(
        "WHERE c.copied_version < c.version ORDER BY c.class_id LIMIT $1",
        limit
    )
    .fetch_all(executor)
    .await?;
    all(rows)
}

/// Every class, by id.
pub async fn every(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<Class>> {
    let rows = classes!("ORDER BY c.class_id").fetch_all(executor).await?;
    all(rows)
}

/// Those of the classes `ids` that exist.
pub async fn find_all(executor: impl PgExecutor<'_>, ids: &[Uuid]) -> sqlx::Result<Vec<Class>> {
    let rows = classes!("WHERE c.class_id = ANY ($1)", ids)
        .fetch_all(executor)
        .await?;
    all(rows)
}

/// Notes that these versions have reached the keys service.
pub async fn set_copied(connection: &mut PgConnection, classes: &[Class]) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = classes.iter().map(|one| one.id).collect();
    let versions: Vec<i64> = classes.iter().map(|one| one.version).collect();
    sqlx::query!(
        r#"
        UPDATE enrollment.classes c SET copied_version = n.version
        FROM unnest($1::uuid[], $2::bigint[]) AS n (class_id, version)
        WHERE c.class_id = n.class_id AND c.copied_version < n.version
        "#,
        &ids,
        &versions,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Classes whose newest version is believed to have reached the keys service, by id, after the id `after`, at most `limit`.
pub async fn copied(
    executor: impl PgExecutor<'_>,
    after: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<Class>> {
    let rows = classes!(
        "WHERE c.copied_version >= c.version AND c.class_id > $1 ORDER BY c.class_id LIMIT $2",
        after,
        limit,
    )
    .fetch_all(executor)
    .await?;
    all(rows)
}

/// Raises the version above `held`, the one that keys holds although `put` was put there: if this database does not know
/// that version, or knows it with other content, because it was restored. Whether it was raised.
pub async fn raise(
    connection: &mut PgConnection,
    id: Uuid,
    put: i64,
    held: i64,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        UPDATE enrollment.classes
        SET versions_lost = versions_lost + $3 + 1 - version, version = $3 + 1
        WHERE class_id = $1 AND (version < $3 OR (version = $3 AND $2::bigint = $3))
        "#,
        id,
        put,
        held,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
