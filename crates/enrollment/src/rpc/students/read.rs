//! Wishes about students, read from messages with all their violations at once.

use latchkey_proto::enrollment::v1 as proto;
use latchkey_service_kit::paging::PageRequest;
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::validation::Violations;
use uuid::Uuid;

use crate::app::students::create_student::{Credential, NewStudent};
use crate::app::students::read_students::{StudentFilter, StudentPlace};
use crate::app::students::update_student::StudentChange;
use crate::domain::email::{EmailAddress, fold};
use crate::domain::prefix::Prefix;
use crate::domain::student::ExternalIdentity;
use crate::rpc::messages::{mask, name, optional_id, optional_text, prefix};

/// The fields of a student that an update can change.
const FIELDS: &[&str] = &["email", "given_name", "family_name"];

/// A list that is wanted.
pub(super) struct List {
    pub(super) filter: StudentFilter,
    pub(super) page: PageRequest<StudentPlace>,
}

pub(super) fn new_student(message: proto::CreateStudentRequest) -> Result<NewStudent, ApiError> {
    let mut violations = Violations::of(&message);
    let wish = NewStudent {
        request_id: violations.own_id("request_id", &message.request_id),
        organization_id: violations.uuid("organization_id", &message.organization_id),
        email: email(&mut violations, "email", &message.email),
        given_name: name(&mut violations, "given_name", &message.given_name),
        family_name: name(&mut violations, "family_name", &message.family_name),
        credential: message
            .credential
            .and_then(|message| credential(&mut violations, "credential", message)),
    };
    violations.finish()?;
    Ok(wish)
}

/// An e-mail address that must be there. Its form is a rule of the contract.
pub(in crate::rpc) fn email(violations: &mut Violations, field: &str, text: &str) -> EmailAddress {
    if text.is_empty() && !violations.has(field) {
        violations.add(field, "must be an e-mail address");
    }
    violations.line(field, text);
    EmailAddress::new(text)
}

/// How a student will prove who they are; `None` if that is at fault.
pub(in crate::rpc) fn credential(
    violations: &mut Violations,
    field: &str,
    message: proto::Credential,
) -> Option<Credential> {
    if let Some(password) = message.password {
        return Some(Credential::Password(password.text.into()));
    }
    let identity = message.external_identity?;
    let issuer = format!("{field}.external_identity.issuer");
    if !identity.issuer.starts_with("https://") && !violations.has(&issuer) {
        violations.add(&issuer, "must be an `https` URL");
    }
    violations.line(&issuer, &identity.issuer);
    let subject = format!("{field}.external_identity.subject");
    violations.line(&subject, &identity.subject);
    Some(Credential::ExternalIdentity(ExternalIdentity {
        issuer: identity.issuer,
        subject: identity.subject,
    }))
}

pub(super) fn ids(message: &proto::BatchGetStudentsRequest) -> Result<Vec<Uuid>, ApiError> {
    let mut violations = Violations::of(message);
    let ids = message
        .student_ids
        .iter()
        .enumerate()
        .map(|(index, id)| violations.uuid(&format!("student_ids[{index}]"), id))
        .collect();
    violations.finish()?;
    Ok(ids)
}

pub(super) fn list(message: &proto::ListStudentsRequest) -> Result<List, ApiError> {
    let mut violations = Violations::of(message);
    violations.line("email", &message.email);
    let filter = StudentFilter {
        organization_id: violations.optional_uuid("organization_id", &message.organization_id),
        email_folded: optional_text(&message.email).map(fold),
        name: prefix(&mut violations, "name_prefix", &message.name_prefix),
        email: prefix(&mut violations, "email_prefix", &message.email_prefix),
        active: active(message.state()),
    };
    let text = |prefix: Option<&Prefix>| prefix.map_or("", Prefix::first).to_owned();
    let query = vec![
        "ListStudents".to_owned(),
        optional_id(filter.organization_id),
        filter.email_folded.clone().unwrap_or_default(),
        text(filter.name.as_ref()),
        text(filter.email.as_ref()),
        format!("{:?}", filter.active),
    ];
    let page = PageRequest::read(
        message.page_size,
        &message.page_token,
        &query,
        &mut violations,
    );
    violations.finish()?;
    Ok(List { filter, page })
}

/// Whether accounts are to be active or not; `None` if either will do.
fn active(state: proto::StudentState) -> Option<bool> {
    match state {
        proto::StudentState::Unspecified => None,
        proto::StudentState::Active => Some(true),
        proto::StudentState::Inactive => Some(false),
    }
}

pub(super) fn change(
    message: &proto::UpdateStudentRequest,
) -> Result<(Uuid, StudentChange), ApiError> {
    let mut violations = Violations::of(message);
    let id = violations.uuid("student_id", &message.student_id);
    let mask = mask(&mut violations, message.update_mask.as_ref(), FIELDS);
    let v = &mut violations;
    let change = StudentChange {
        email: mask.has("email").then(|| email(v, "email", &message.email)),
        given_name: mask
            .has("given_name")
            .then(|| name(v, "given_name", &message.given_name)),
        family_name: mask
            .has("family_name")
            .then(|| name(v, "family_name", &message.family_name)),
        active: None,
    };
    violations.finish()?;
    Ok((id, change))
}

#[cfg(test)]
mod tests;
