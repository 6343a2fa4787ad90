//! `enrollment.students`: accounts.

pub mod erasure;
pub mod listing;
pub mod registered;

use chrono::{DateTime, Utc};
use latchkey_service_kit::access::{ResourceScope, Scope};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::reached::lock_within;
use crate::domain::email::EmailAddress;
use crate::domain::student::{ExternalIdentity, Student};

pub(super) struct StudentRow {
    pub(super) student_id: Uuid,
    pub(super) organization_id: Uuid,
    pub(super) email: Option<String>,
    pub(super) given_name: String,
    pub(super) family_name: String,
    pub(super) has_password: bool,
    pub(super) issuer: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) active: bool,
    pub(super) created_at: DateTime<Utc>,
    pub(super) version: i64,
    pub(super) erased_at: Option<DateTime<Utc>>,
}

impl From<StudentRow> for Student {
    fn from(row: StudentRow) -> Self {
        let external_identity = row
            .issuer
            .zip(row.subject)
            .map(|(issuer, subject)| ExternalIdentity { issuer, subject });
        Self {
            id: row.student_id,
            organization_id: row.organization_id,
            email: EmailAddress::new(row.email.as_deref().unwrap_or_default()),
            given_name: row.given_name,
            family_name: row.family_name,
            external_identity,
            has_password: row.has_password,
            active: row.active,
            created_at: row.created_at,
            version: row.version,
            erased_at: row.erased_at,
        }
    }
}

/// Students, by what follows `SELECT ... FROM enrollment.students s`.
macro_rules! students {
    ($after:expr $(, $parameter:expr)* $(,)?) => {
        sqlx::query_as!(
            crate::store::students::StudentRow,
            r#"SELECT s.student_id, s.organization_id, s.email, s.given_name, s.family_name,
               s.password_hash IS NOT NULL AS "has_password!", s.issuer, s.subject, s.active, s.created_at, s.version,
               s.erased_at
               FROM enrollment.students s "# + $after
            $(, $parameter)*
        )
    };
}
use students;

/// A student, and what says whom the account exists for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedStudent {
    /// The student.
    pub student: Student,
    /// The organizations above the student's own, nearest first.
    pub ancestors: Vec<Uuid>,
    /// The instructor asked for, if the student is or was in a class of theirs; else empty.
    pub instructors: Vec<String>,
}

impl PlacedStudent {
    /// Where the account stands.
    pub fn scope(&self) -> ResourceScope<'_> {
        ResourceScope {
            organization: self.student.organization_id,
            ancestors: &self.ancestors,
            instructors: &self.instructors,
            students: std::slice::from_ref(&self.student.id),
        }
    }
}

/// The student `id`.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Student>> {
    let row = students!("WHERE s.student_id = $1", id)
        .fetch_optional(executor)
        .await?;
    Ok(row.map(Student::from))
}

/// Those of the students `ids` that exist.
pub async fn find_all(executor: impl PgExecutor<'_>, ids: &[Uuid]) -> sqlx::Result<Vec<Student>> {
    let rows = students!("WHERE s.student_id = ANY ($1)", ids)
        .fetch_all(executor)
        .await?;
    Ok(rows.into_iter().map(Student::from).collect())
}

/// The student `id` with what says whom the account exists for; `instructor` is the caller, when the caller is one.
pub async fn find_placed(
    connection: &mut PgConnection,
    id: Uuid,
    instructor: Option<&str>,
) -> sqlx::Result<Option<PlacedStudent>> {
    let student = find(&mut *connection, id).await?;
    let place = sqlx::query!(
        r#"
        SELECT o.ancestor_ids, EXISTS (
            SELECT 1 FROM enrollment.enrollments e
            JOIN enrollment.classes c ON c.class_id = e.class_id
            WHERE e.student_id = s.student_id AND c.instructors @> ARRAY[$2]::text[]
        ) AS "taught!"
        FROM enrollment.students s
        JOIN enrollment.organizations o ON o.organization_id = s.organization_id
        WHERE s.student_id = $1
        "#,
        id,
        instructor,
    )
    .fetch_optional(connection)
    .await?;
    // An account's organization never changes, so that the two statements cannot disagree about it.
    Ok(student.zip(place).map(|(student, place)| PlacedStudent {
        student,
        ancestors: place.ancestor_ids,
        instructors: instructor
            .filter(|_| place.taught)
            .map(str::to_owned)
            .into_iter()
            .collect(),
    }))
}

/// Locks the student `id`; false if there is none. Read the account by the next statement: this one's snapshot is older
/// than the lock.
pub async fn lock(connection: &mut PgConnection, id: Uuid) -> sqlx::Result<bool> {
    let locked = sqlx::query_scalar!(
        "SELECT student_id FROM enrollment.students WHERE student_id = $1 FOR NO KEY UPDATE",
        id
    )
    .fetch_optional(connection)
    .await?;
    Ok(locked.is_some())
}

lock_within!("students", "student_id");

/// Locks those of the students `ids` that stand in organizations within `scope`, in order of their ids.
pub async fn lock_all_within(
    connection: &mut PgConnection,
    ids: &[Uuid],
    scope: &Scope,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        SELECT s.student_id FROM enrollment.students s
        JOIN enrollment.organizations o ON o.organization_id = s.organization_id
        WHERE s.student_id = ANY ($1) AND ($2 OR o.organization_id = $3 OR o.ancestor_ids @> ARRAY[$3]::uuid[])
        ORDER BY s.student_id
        FOR NO KEY UPDATE OF s
        "#,
        ids,
        scope.everything,
        scope.organization as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(())
}

/// The student that the request `request_id` created, and the fingerprint of that request.
pub async fn find_by_request(
    connection: &mut PgConnection,
    request_id: Uuid,
) -> sqlx::Result<Option<(Student, Vec<u8>)>> {
    let row = students!("WHERE s.request_id = $1", request_id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let fingerprint = sqlx::query_scalar!(
        "SELECT request_fingerprint FROM enrollment.students WHERE student_id = $1",
        row.student_id
    )
    .fetch_one(connection)
    .await?;
    Ok(Some((row.into(), fingerprint)))
}

/// Inserts a student at version 1; when it was created. `None` if another row has its request id, e-mail address or
/// external identity: then the caller rolls back and asks which ([`find_by_request`], [`taken`]).
pub async fn insert(
    connection: &mut PgConnection,
    student: &Student,
    password_hash: Option<&str>,
    request_id: Uuid,
    fingerprint: &[u8],
) -> sqlx::Result<Option<DateTime<Utc>>> {
    let identity = student.external_identity.as_ref();
    sqlx::query_scalar!(
        r#"
        INSERT INTO enrollment.students (
            student_id, organization_id, email, email_folded, given_name, family_name, password_hash, issuer, subject,
            active, request_id, request_fingerprint, given_first, family_first
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ON CONFLICT DO NOTHING
        RETURNING created_at
        "#,
        student.id,
        student.organization_id,
        student.email.given(),
        student.email.folded(),
        student.given_name,
        student.family_name,
        password_hash,
        identity.map(|identity| identity.issuer.as_str()),
        identity.map(|identity| identity.subject.as_str()),
        student.active,
        request_id,
        fingerprint,
        student.given_first(),
        student.family_first(),
    )
    .fetch_optional(connection)
    .await
}

/// What other accounts have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// One of the organization has the e-mail address.
    pub email: bool,
    /// One has the external identity.
    pub identity: bool,
}

/// Whether other accounts than `student` have the e-mail address or the external identity of `student`.
pub async fn taken(executor: impl PgExecutor<'_>, student: &Student) -> sqlx::Result<Taken> {
    let identity = student.external_identity.as_ref();
    sqlx::query_as!(
        Taken,
        r#"
        SELECT EXISTS (
            SELECT 1 FROM enrollment.students s
            WHERE s.organization_id = $2 AND s.email_folded = $3 AND s.student_id <> $1
        ) AS "email!",
        EXISTS (
            SELECT 1 FROM enrollment.students s WHERE s.issuer = $4 AND s.subject = $5 AND s.student_id <> $1
        ) AS "identity!"
        "#,
        student.id,
        student.organization_id,
        student.email.folded(),
        identity.map(|identity| identity.issuer.as_str()),
        identity.map(|identity| identity.subject.as_str()),
    )
    .fetch_one(executor)
    .await
}

/// Writes e-mail address, names, activity and version of a locked student. False if another account of the organization
/// has the e-mail address: then nothing was written, and the caller rolls back.
pub async fn update(connection: &mut PgConnection, student: &Student) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        UPDATE enrollment.students
        SET email = $2, email_folded = $3, given_name = $4, family_name = $5, active = $6, version = $7, given_first = $8,
            family_first = $9
        WHERE student_id = $1
        "#,
        student.id,
        student.email.given(),
        student.email.folded(),
        student.given_name,
        student.family_name,
        student.active,
        student.version,
        student.given_first(),
        student.family_first(),
    )
    .execute(connection)
    .await;
    match done {
        Ok(_) => Ok(true),
        // An update has no ON CONFLICT. The transaction has failed with it, so that it cannot go on by mistake.
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("students_email") => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// An account that may sign in with a password.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The account.
    pub student_id: Uuid,
    /// The organizations above its own, nearest first.
    pub ancestors: Vec<Uuid>,
    /// The hash of its password, as a PHC string, if it has one.
    pub password_hash: Option<String>,
    /// False once deactivated.
    pub active: bool,
}

/// The account of the organization with this folded e-mail address.
pub async fn credentials(
    executor: impl PgExecutor<'_>,
    organization_id: Uuid,
    email_folded: &str,
) -> sqlx::Result<Option<Credentials>> {
    sqlx::query_as!(
        Credentials,
        r#"
        SELECT s.student_id, o.ancestor_ids AS ancestors, s.password_hash, s.active
        FROM enrollment.students s
        JOIN enrollment.organizations o ON o.organization_id = s.organization_id
        WHERE s.organization_id = $1 AND s.email_folded = $2
        "#,
        organization_id,
        email_folded,
    )
    .fetch_optional(executor)
    .await
}

/// Puts a new hash in the place of `old`; false if the password is another one by now.
pub async fn replace_hash(
    executor: impl PgExecutor<'_>,
    student_id: Uuid,
    old: &str,
    new: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE enrollment.students SET password_hash = $3 WHERE student_id = $1 AND password_hash = $2",
        student_id,
        old,
        new,
    )
    .execute(executor)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The parameters of the hashes there are, as they stand in their PHC strings, each once. Reads every account.
pub async fn hash_parameters(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        SELECT DISTINCT split_part(password_hash, '$', 4) AS "parameters!" FROM enrollment.students
        WHERE password_hash IS NOT NULL
        "#
    )
    .fetch_all(executor)
    .await
}
