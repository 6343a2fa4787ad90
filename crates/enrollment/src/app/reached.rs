//! What a call changes, under its lock. Who may not know of a thing does not wait for it, and keeps nobody waiting who may.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::{Call, Error};
use crate::domain::assignment::Assignment;
use crate::domain::organization::Organization;
use crate::domain::refusal::Refusal;
use crate::store;
use crate::store::classes::PlacedClass;
use crate::store::students::PlacedStudent;

/// The organization `id` under its lock, for a caller who reaches it.
pub(super) async fn lock_organization(
    connection: &mut PgConnection,
    call: &Call,
    id: Uuid,
) -> Result<Organization, Error> {
    let missing = Refusal::OrganizationNotFound {
        organization_id: id,
    };
    if !store::organizations::lock_within(connection, id, &call.scope).await? {
        return Err(missing.into());
    }
    let organization = store::organizations::find(connection, id).await?;
    Ok(organization.ok_or(missing)?)
}

/// The class `id` under its lock, for a caller who reaches its organization.
pub(super) async fn lock_class(
    connection: &mut PgConnection,
    call: &Call,
    id: Uuid,
) -> Result<PlacedClass, Error> {
    let missing = Refusal::ClassNotFound { class_id: id };
    if !store::classes::lock_within(connection, id, &call.scope).await? {
        return Err(missing.into());
    }
    let class = store::classes::find_placed(connection, id, call.scope.student).await?;
    Ok(class.ok_or(missing)?)
}

/// The student `id` under the account's lock, for a caller who reaches its organization.
pub(super) async fn lock_student(
    connection: &mut PgConnection,
    call: &Call,
    id: Uuid,
) -> Result<PlacedStudent, Error> {
    let missing = Refusal::StudentNotFound { student_id: id };
    if !store::students::lock_within(connection, id, &call.scope).await? {
        return Err(missing.into());
    }
    let instructor = call.scope.instructor.as_deref();
    let student = store::students::find_placed(connection, id, instructor).await?;
    Ok(student.ok_or(missing)?)
}

/// The assignment `id` under its lock, for a caller for whom it exists; and the time, read after that.
pub(super) async fn lock_assignment(
    connection: &mut PgConnection,
    call: &Call,
    id: Uuid,
) -> Result<(Assignment, DateTime<Utc>), Error> {
    let missing = Refusal::AssignmentNotFound { assignment_id: id };
    store::assignments::find_placed(connection, id)
        .await?
        .filter(|assignment| call.reaches(&assignment.scope()))
        .ok_or(missing.clone())?;
    let now = store::assignments::lock(connection, id).await?;
    let found = store::assignments::find(connection, id).await?;
    Ok(found.zip(now).ok_or(missing)?)
}
