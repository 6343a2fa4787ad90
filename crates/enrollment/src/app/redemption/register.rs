//! Registering somebody with a code: account and enrollment appear together, or neither does.

use chrono::DateTime;
use latchkey_code::{CanonicalCode, Malformed, parse};
use secrecy::SecretString;
use uuid::Uuid;

use super::admission::Admitted;
use super::check_key::Inquiry;
use super::desk::{Desk, Item, Registration};
use super::guesses::{Guess, of_redemption};
use super::intake::Recalled;
use super::redeem::{NothingToHash, with_code};
use crate::app::students::create_student::Credential;
use crate::app::{Call, Error};
use crate::domain::decision::{Applicant, Decision, IfFull, NewAccount, Wish};
use crate::domain::email::EmailAddress;
use crate::domain::redemption::registered_student_id;
use crate::domain::student::Student;

/// Somebody who wants to be registered.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// The caller's id of the redemption.
    pub redemption_id: Uuid,
    /// The organization the account will belong to.
    pub organization_id: Uuid,
    /// The e-mail address.
    pub email: EmailAddress,
    /// Given name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// How they will sign in.
    pub credential: Credential,
}

/// Registers `newcomer` with the code `typed`. One decision per redemption id, as in
/// [`redeem`](crate::app::redemption::redeem::redeem).
///
/// A password is slow to hash, so it is hashed only when everything else speaks for the newcomer, and outside of the
/// deciding transaction, which judges it all again.
pub async fn register(
    desk: &Desk,
    call: &Call,
    newcomer: Newcomer,
    typed: &str,
) -> Result<Admitted, Error> {
    let code = parse(typed);
    let begun = desk.services().fingerprint_key.begin("RegisterWithKey");
    let identity = newcomer.credential.external_identity().cloned();
    let fingerprint = with_code(begun, code.as_ref(), typed)
        .bytes(newcomer.organization_id.as_bytes())
        .text(newcomer.email.folded())
        .optional(identity.as_ref().map(|identity| identity.issuer.as_str()))
        .optional(identity.as_ref().map(|identity| identity.subject.as_str()))
        .finish();
    let password = match &newcomer.credential {
        Credential::Password(text) => Some(text.clone()),
        Credential::ExternalIdentity(_) => None,
    };
    let item = item(call, newcomer, fingerprint, code.is_ok());
    let organization = match desk.recall(item.clone()).await? {
        Recalled::Answered(answer) => return Ok((*answer)?),
        Recalled::Open { organization, .. } => organization,
    };
    let applicant = &item.wish.applicant;
    let method = of_redemption("RegisterWithKey");
    let guess = Guess::at_code(desk.services(), call, method, applicant, organization).await?;
    let decided = decide(desk, call, item, code, password).await;
    guess.settle(&decided);
    decided
}

async fn decide(
    desk: &Desk,
    call: &Call,
    mut item: Item,
    code: Result<CanonicalCode, Malformed>,
    mut password: Option<SecretString>,
) -> Result<Admitted, Error> {
    if let Ok(code) = code {
        item.wish.key = desk.resolve(code, call.deadline).await?;
    }
    if password.is_some() && would_be_hashed(desk, &item).await? {
        hash(desk, &mut item, password.take()).await?;
    }
    if let Some(answer) = desk.decide(item.clone()).await? {
        return Ok(answer?);
    }
    // What stood against it a moment ago is gone.
    hash(desk, &mut item, password).await?;
    match desk.decide(item).await? {
        Some(answer) => Ok(answer?),
        None => Err(Error::internal(NothingToHash)),
    }
}

/// Whether nothing stands against `item` but that its password is not hashed yet.
async fn would_be_hashed(desk: &Desk, item: &Item) -> Result<bool, Error> {
    let inquiry = Inquiry {
        item: item.clone(),
        account: None,
    };
    Ok(desk.judge(inquiry).await?.decision == Decision::HashFirst)
}

fn item(call: &Call, newcomer: Newcomer, fingerprint: Vec<u8>, well_formed: bool) -> Item {
    let (has_password, external_identity) = match newcomer.credential {
        Credential::Password(_) => (true, None),
        Credential::ExternalIdentity(identity) => (false, Some(identity)),
    };
    let student = Student {
        id: registered_student_id(newcomer.redemption_id),
        organization_id: newcomer.organization_id,
        email: newcomer.email,
        given_name: newcomer.given_name,
        family_name: newcomer.family_name,
        external_identity,
        has_password,
        active: true,
        // The deciding transaction says when.
        created_at: DateTime::default(),
        version: 1,
        erased_at: None,
    };
    let account = NewAccount {
        student_id: student.id,
        email_folded: student.email.folded().to_owned(),
        identity: student.external_identity.clone(),
        hash_missing: has_password,
    };
    Item {
        wish: Wish {
            redemption_id: Some(newcomer.redemption_id),
            fingerprint,
            well_formed,
            applicant: Applicant::Newcomer {
                organization_id: newcomer.organization_id,
                account: Some(account),
            },
            key: None,
            if_full: IfFull::Refuse,
        },
        call: call.clone(),
        registration: Some(Registration {
            student,
            password_hash: None,
        }),
    }
}

async fn hash(desk: &Desk, item: &mut Item, password: Option<SecretString>) -> Result<(), Error> {
    let password = password.ok_or_else(|| Error::internal(NothingToHash))?;
    let hash = desk.services().passwords.hash(password).await?;
    if let Some(registration) = &mut item.registration {
        registration.password_hash = Some(hash.into());
    }
    if let Applicant::Newcomer {
        account: Some(account),
        ..
    } = &mut item.wish.applicant
    {
        account.hash_missing = false;
    }
    Ok(())
}
