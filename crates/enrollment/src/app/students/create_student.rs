//! Creating a student's account.

use chrono::DateTime;
use latchkey_service_kit::database::begin;
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use crate::app::made_before::made_before;
use crate::app::organizations::read_organizations::get_organization;
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::email::EmailAddress;
use crate::domain::refusal::Refusal;
use crate::domain::student::{ExternalIdentity, Student};
use crate::store;

/// How a student proves who they are.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A password.
    Password(SecretString),
    /// An identity elsewhere.
    ExternalIdentity(ExternalIdentity),
}

impl Credential {
    /// The identity elsewhere, if it is one.
    pub fn external_identity(&self) -> Option<&ExternalIdentity> {
        match self {
            Self::Password(_) => None,
            Self::ExternalIdentity(identity) => Some(identity),
        }
    }
}

/// A wish for an account.
#[derive(Debug, Clone)]
pub struct NewStudent {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// The organization it will belong to.
    pub organization_id: Uuid,
    /// The e-mail address.
    pub email: EmailAddress,
    /// Given name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// How the student signs in; `None` for an account that the platform signs in by itself.
    pub credential: Option<Credential>,
}

/// Creates an account. The same request again gives the same account, as it is now; its password is not compared, so that
/// no digest of it is kept.
pub async fn create_student(
    services: &Services,
    call: &Call,
    wish: NewStudent,
) -> Result<Student, Error> {
    let organization_id = wish.organization_id;
    get_organization(services, call, organization_id).await?;
    let fingerprint = fingerprint(services, &wish);
    if let Some(student) = recorded(services, wish.request_id, &fingerprint).await? {
        return Ok(student);
    }
    let (hash, external_identity) = match wish.credential {
        None => (None, None),
        Some(Credential::Password(text)) => (Some(services.passwords.hash(text).await?), None),
        Some(Credential::ExternalIdentity(identity)) => (None, Some(identity)),
    };
    let student = Student {
        id: services.ids.new_id(),
        organization_id,
        email: wish.email,
        given_name: wish.given_name,
        family_name: wish.family_name,
        external_identity,
        has_password: hash.is_some(),
        active: true,
        created_at: DateTime::default(),
        version: 1,
        erased_at: None,
    };
    insert(
        services,
        call,
        student,
        hash.as_deref(),
        wish.request_id,
        &fingerprint,
    )
    .await
}

async fn insert(
    services: &Services,
    call: &Call,
    student: Student,
    hash: Option<&str>,
    request_id: Uuid,
    fingerprint: &[u8],
) -> Result<Student, Error> {
    let mut transaction = begin(&services.pool).await?;
    let made =
        store::students::insert(&mut transaction, &student, hash, request_id, fingerprint).await?;
    let Some(created_at) = made else {
        transaction.rollback().await?;
        return in_the_way(services, &student, request_id, fingerprint).await;
    };
    let deed = Deed {
        action: Action::CreateStudent,
        organization_id: student.organization_id,
        resource_id: student.id,
        student_id: Some(student.id),
        details: json!({
            "password": student.has_password,
            "external_identity": student.external_identity.is_some(),
        }),
    };
    let deeds = [(services.ids.new_id(), deed)];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    Ok(Student {
        created_at,
        ..student
    })
}

/// What kept an account from being inserted: another call with the same id, or another account.
async fn in_the_way(
    services: &Services,
    student: &Student,
    request_id: Uuid,
    fingerprint: &[u8],
) -> Result<Student, Error> {
    if let Some(made) = recorded(services, request_id, fingerprint).await? {
        return Ok(made);
    }
    let taken = store::students::taken(&services.pool, student).await?;
    if taken.email {
        return Err(Refusal::EmailTaken.into());
    }
    if taken.identity {
        return Err(Refusal::IdentityTaken.into());
    }
    // It was changed in the meantime.
    Err(Error::Conflict)
}

/// The account that an earlier call with the same id made, if one did.
async fn recorded(
    services: &Services,
    request_id: Uuid,
    fingerprint: &[u8],
) -> Result<Option<Student>, Error> {
    let mut transaction = begin(&services.pool).await?;
    let found = store::students::find_by_request(&mut transaction, request_id).await?;
    made_before(transaction, found, request_id, fingerprint).await
}

fn fingerprint(services: &Services, wish: &NewStudent) -> Vec<u8> {
    let begun = services
        .fingerprint_key
        .begin("CreateStudent")
        .text(&wish.organization_id.to_string())
        .text(wish.email.given())
        .text(&wish.given_name)
        .text(&wish.family_name);
    match &wish.credential {
        None => begun.text("none"),
        Some(Credential::Password(_)) => begun.text("password"),
        Some(Credential::ExternalIdentity(identity)) => begun
            .text("external_identity")
            .text(&identity.issuer)
            .text(&identity.subject),
    }
    .finish()
}
