//! Giving a seat that came free to somebody who waits for it, in the transaction that freed it.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::under_lock;
use crate::app::Error;
use crate::domain::audit::{Action, Deed};
use crate::domain::class::Class;
use crate::domain::enrollment::{Enrollment, Status};
use crate::domain::promotion;
use crate::domain::refusal::Refusal;
use crate::domain::transitions::{self, Actor};
use crate::store;

/// A seat that came free.
#[derive(Debug, Clone, Copy)]
pub(super) struct Freed<'c> {
    /// The locked class, as it is with the seat free.
    pub(super) class: &'c Class,
    /// The enrollment that was cancelled.
    pub(super) by: Uuid,
    /// The instant to judge by.
    pub(super) now: DateTime<Utc>,
}

/// Enrolls the earliest who waits, if there is one and a seat: the enrollment, and what is to be audited.
pub(super) async fn earliest(
    connection: &mut PgConnection,
    freed: Freed<'_>,
) -> Result<Option<(Enrollment, Deed)>, Error> {
    if !promotion::is_open(freed.class, freed.now) {
        return Ok(None);
    }
    let mut passed_over = Vec::new();
    while let Some(id) =
        store::enrollments::write::next_waiting(connection, freed.class.id, &passed_over).await?
    {
        let waiting = store::enrollments::find(&mut *connection, id)
            .await?
            .ok_or(Error::Conflict)?;
        // The account may have been deactivated or erased until it was locked.
        if judge(connection, freed, &waiting).await?.is_ok() {
            return Ok(Some(give(connection, freed, &waiting).await?));
        }
        passed_over.push(id);
    }
    Ok(None)
}

/// Enrolls the student whom staff name.
pub(super) async fn named(
    connection: &mut PgConnection,
    freed: Freed<'_>,
    named: &Enrollment,
    actor: Actor,
) -> Result<(Enrollment, Deed), Error> {
    transitions::judge(freed.class, named, Status::Enrolled, actor, freed.now)?;
    if !named.is_live() {
        return Err(Refusal::StatusUnreachable {
            enrollment_id: named.id,
            from: named.status,
            to: Status::Enrolled,
        }
        .into());
    }
    judge(connection, freed, named).await??;
    give(connection, freed, named).await
}

/// Whether the seat can be the student's, whose account is locked from here on.
async fn judge(
    connection: &mut PgConnection,
    freed: Freed<'_>,
    waiting: &Enrollment,
) -> Result<Result<(), Refusal>, Error> {
    let of = (freed.class, freed.now);
    under_lock::judge_student(connection, of, waiting, Status::Enrolled).await
}

async fn give(
    connection: &mut PgConnection,
    freed: Freed<'_>,
    waiting: &Enrollment,
) -> Result<(Enrollment, Deed), Error> {
    let enrolled = waiting.in_status(Status::Enrolled, None, freed.now);
    under_lock::write(connection, freed.class, waiting, &enrolled).await?;
    let deed = Deed {
        action: Action::PromoteStudent,
        organization_id: enrolled.organization_id,
        resource_id: enrolled.id,
        student_id: Some(enrolled.student_id),
        details: json!({
            "class_id": enrolled.class_id,
            "from": waiting.status,
            "instead_of": freed.by,
        }),
    };
    Ok((enrolled, deed))
}
