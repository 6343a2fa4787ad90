//! Checking an e-mail address and password.

use secrecy::SecretString;
use uuid::Uuid;

use super::{Call, Error, Services};
use crate::domain::email::fold;
use crate::domain::refusal::Refusal;
use crate::domain::student::Student;
use crate::store;

/// The active account of the organization with this e-mail address and password, if it is within reach. Any mismatch is
/// the same refusal and takes as long.
pub async fn authenticate(
    services: &Services,
    call: &Call,
    organization_id: Uuid,
    email: &str,
    password: SecretString,
) -> Result<Student, Error> {
    let folded = fold(email);
    let found = store::students::credentials(&services.pool, organization_id, &folded).await?;
    let within = found.filter(|account| {
        call.scope
            .covers_organization(organization_id, &account.ancestors)
    });
    let (account, hash) = match within {
        Some(account) => (
            account.active.then_some(account.student_id),
            account.password_hash,
        ),
        None => (None, None),
    };
    let fits = services.passwords.verify(password, hash).await?;
    // Read whoever it is, so that every answer takes the same statements.
    let student = store::students::find(&services.pool, account.unwrap_or(Uuid::nil())).await?;
    let student = student.filter(|student| fits && student.active);
    Ok(student.ok_or(Refusal::CredentialsInvalid)?)
}
