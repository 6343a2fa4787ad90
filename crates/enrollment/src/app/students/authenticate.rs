//! Checking an e-mail address and password.

use latchkey_service_kit::database::begin;
use latchkey_service_kit::faults::crash_point;
use latchkey_service_kit::telemetry::Chain;
use secrecy::SecretString;
use uuid::Uuid;

use crate::app::redemption::guesses::Guess;
use crate::app::{Call, Error, Services, metrics};
use crate::domain::email::fold;
use crate::domain::refusal::Refusal;
use crate::domain::student::Student;
use crate::store;

/// The active account of the organization with this e-mail address and password, if it is within reach. Any mismatch is
/// the same refusal and takes as long. `Overloaded` if too many passwords wait. After too many refusals nothing is checked
/// for a while, whether or not there is such an account.
///
/// A password that fits a hash of another cost than a new one is hashed anew.
pub async fn authenticate(
    services: &Services,
    call: &Call,
    organization_id: Uuid,
    email: &str,
    password: SecretString,
) -> Result<Student, Error> {
    let folded = fold(email);
    let guess = Guess::at_password(services, call, organization_id, &folded).await?;
    let found = check(services, call, organization_id, &folded, password).await;
    guess.settle(&found);
    found
}

async fn check(
    services: &Services,
    call: &Call,
    organization_id: Uuid,
    folded: &str,
    password: SecretString,
) -> Result<Student, Error> {
    let found = store::students::credentials(&services.pool, organization_id, folded).await?;
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
    let checked = services
        .passwords
        .verify(password.clone(), hash.clone())
        .await?;
    // Read whoever it is, so that every answer takes the same statements.
    let student = store::students::find(&services.pool, account.unwrap_or(Uuid::nil())).await?;
    let student = student.filter(|student| checked.fits && student.active);
    let student = student.ok_or(Refusal::CredentialsInvalid)?;
    if let Some(old) = hash
        && checked.cost != Some(services.passwords.cost())
    {
        // Who has come in is in, whatever becomes of it: it is tried again the next time.
        if let Err(error) = hash_anew(services, student.id, &old, password).await {
            tracing::warn!(error = %Chain(&error), "a password was not hashed anew");
        }
    }
    Ok(student)
}

/// Puts a hash of the present cost in the place of `old`, unless that is not there any more.
async fn hash_anew(
    services: &Services,
    student_id: Uuid,
    old: &str,
    password: SecretString,
) -> Result<(), Error> {
    let new = services.passwords.hash(password).await?;
    crash_point("authenticate::hashed_anew");
    let mut transaction = begin(&services.pool).await?;
    if store::students::replace_hash(&mut *transaction, student_id, old, &new).await? {
        transaction.commit().await?;
        metrics::password_hashed_anew();
    } else {
        transaction.rollback().await?;
    }
    Ok(())
}
