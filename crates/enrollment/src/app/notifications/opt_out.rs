//! Students who do not want to be written to.

use latchkey_service_kit::database::begin;
use serde_json::json;
use uuid::Uuid;

use crate::app::students::read_students::get_student;
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::store;
use crate::store::letters::facts;

/// Whether a student does not want to be written to.
pub async fn get_opt_out(services: &Services, call: &Call, student: Uuid) -> Result<bool, Error> {
    get_student(services, call, student).await?;
    let mut connection = services.pool.acquire().await?;
    Ok(facts::opted_out(&mut connection, student).await?)
}

/// Notes that a student does not want to be written to, or does again: also of letters that wait.
pub async fn set_opt_out(
    services: &Services,
    call: &Call,
    student: Uuid,
    opted_out: bool,
) -> Result<(), Error> {
    let found = get_student(services, call, student).await?;
    let mut transaction = begin(&services.pool).await?;
    if !facts::set_opted_out(&mut transaction, student, opted_out).await? {
        transaction.commit_confirmed().await?;
        return Ok(());
    }
    let deed = Deed {
        action: Action::SetOptOut,
        organization_id: found.organization_id,
        resource_id: student,
        student_id: Some(student),
        details: json!({ "opted_out": opted_out }),
    };
    let deeds = [(services.ids.new_id(), deed)];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    Ok(())
}
