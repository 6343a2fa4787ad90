use super::*;
use prost_types::FieldMask;
use secrecy::ExposeSecret;

const ID: &str = "0190a0b0-c0d0-7000-8000-000000000001";

fn wish() -> proto::CreateStudentRequest {
    proto::CreateStudentRequest {
        request_id: ID.into(),
        organization_id: ID.into(),
        email: "Ann@Example.com".into(),
        given_name: "Ann".into(),
        family_name: "Ärger".into(),
        credential: None,
    }
}

fn password(text: &str) -> proto::Credential {
    proto::Credential {
        password: Some(proto::Password { text: text.into() }),
        external_identity: None,
    }
}

fn identity(issuer: &str, subject: &str) -> proto::Credential {
    proto::Credential {
        password: None,
        external_identity: Some(proto::ExternalIdentity {
            issuer: issuer.into(),
            subject: subject.into(),
        }),
    }
}

fn faults<T>(read: Result<T, ApiError>) -> Vec<String> {
    let Err(error) = read else { return Vec::new() };
    let mut fields: Vec<String> = error
        .violations()
        .iter()
        .map(|violation| violation.field.clone())
        .collect();
    fields.sort();
    fields.dedup();
    fields
}

#[test]
fn a_wish_may_bring_a_password_an_identity_or_neither() {
    assert!(new_student(wish()).unwrap().credential.is_none());
    let mut message = wish();
    message.credential = Some(password("correct horse"));
    match new_student(message).unwrap().credential {
        Some(Credential::Password(text)) => assert_eq!(text.expose_secret(), "correct horse"),
        other => panic!("{other:?}"),
    }
    let mut message = wish();
    message.credential = Some(identity("https://login.example.com", "ann"));
    let credential = new_student(message).unwrap().credential.unwrap();
    let identity = credential.external_identity().unwrap();
    assert_eq!(identity.issuer, "https://login.example.com");
    assert_eq!(identity.subject, "ann");
}

#[test]
fn every_field_at_fault_is_named_at_once() {
    let message = proto::CreateStudentRequest {
        request_id: "no".into(),
        organization_id: String::new(),
        email: "nobody".into(),
        given_name: "  ".into(),
        family_name: "a\nb".into(),
        credential: Some(password("short")),
    };
    assert_eq!(
        faults(new_student(message)),
        [
            "credential.password.text",
            "email",
            "family_name",
            "given_name",
            "organization_id",
            "request_id"
        ]
    );
}

#[test]
fn a_credential_is_one_thing_and_an_issuer_is_https() {
    let mut message = wish();
    message.credential = Some(proto::Credential::default());
    assert_eq!(faults(new_student(message)).len(), 1);
    let mut message = wish();
    message.credential = Some(identity("http://login.example.com", "ann"));
    assert_eq!(
        faults(new_student(message)),
        ["credential.external_identity.issuer"]
    );
}

#[test]
fn an_update_reads_only_what_its_mask_names() {
    let mut message = proto::UpdateStudentRequest {
        student_id: ID.into(),
        update_mask: Some(FieldMask {
            paths: vec!["given_name".into()],
        }),
        given_name: "Bea".into(),
        email: "bea@example.com".into(),
        ..Default::default()
    };
    let (_, read) = change(&message).unwrap();
    assert_eq!(read.given_name.as_deref(), Some("Bea"));
    assert_eq!(
        (read.email, read.family_name, read.active),
        (None, None, None)
    );
    message.update_mask = Some(FieldMask {
        paths: vec!["email".into(), "family_name".into()],
    });
    message.email = String::new();
    assert_eq!(faults(change(&message)), ["email", "family_name"]);
    message.update_mask = Some(FieldMask {
        paths: vec!["active".into()],
    });
    assert_eq!(faults(change(&message)), ["update_mask"]);
    message.update_mask = None;
    assert_eq!(faults(change(&message)), ["update_mask"]);
}

#[test]
fn an_e_mail_filter_is_folded_and_bound_to_its_pages() {
    let message = |email: &str| proto::ListStudentsRequest {
        email: email.into(),
        ..Default::default()
    };
    let one = list(&message("ANN@example.com")).unwrap();
    assert_eq!(one.filter.email_folded.as_deref(), Some("ann@example.com"));
    assert_eq!(one.page, list(&message("ann@example.com")).unwrap().page);
    assert_ne!(one.page, list(&message("")).unwrap().page);
}
