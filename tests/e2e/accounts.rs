//! Accounts: unique by e-mail in an organization and by external identity everywhere; signing in; being deactivated.

use latchkey_proto::enrollment::v1::{
    ActivateStudentRequest, AuthenticateRequest, BatchGetStudentsRequest, CreateStudentRequest,
    CreateStudentResponse, Credential, DeactivateStudentRequest, ExternalIdentity, Password,
    UpdateStudentRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use tonic::{Response, Status};

use crate::harness::world::{come_in, mask, redeem};
use crate::harness::{ClassDraft, Organization, Stack, new_id, refused};

const PASSWORD: &str = "correct horse battery";

async fn create(
    stack: &Stack,
    request: CreateStudentRequest,
) -> Result<Response<CreateStudentResponse>, Status> {
    stack.platform().students().create_student(request).await
}

fn password(text: &str) -> Credential {
    let text = text.to_owned();
    Credential {
        password: Some(Password { text }),
        ..Credential::default()
    }
}

fn identity(subject: &str) -> Credential {
    Credential {
        external_identity: Some(ExternalIdentity {
            issuer: "https://id.example.com".to_owned(),
            subject: subject.to_owned(),
        }),
        ..Credential::default()
    }
}

#[tokio::test]
async fn an_e_mail_address_is_unique_in_its_organization_whatever_its_case() {
    let stack = Stack::shared().await;
    let (one, other) = (
        Organization::new(&stack).await,
        Organization::new(&stack).await,
    );
    create(&stack, one.student_request("Ann.Example@example.com"))
        .await
        .expect("the first");
    let again = create(&stack, one.student_request("ann.EXAMPLE@Example.com")).await;
    refused(again, ErrorReason::EmailTaken);
    create(&stack, other.student_request("ann.example@example.com"))
        .await
        .expect("another organization has its own");
    stack.finish().await;
}

#[tokio::test]
async fn an_external_identity_is_unique_everywhere() {
    let stack = Stack::shared().await;
    let (one, other) = (
        Organization::new(&stack).await,
        Organization::new(&stack).await,
    );
    let subject = new_id();
    let request = |organization: &Organization<'_>| CreateStudentRequest {
        credential: Some(identity(&subject)),
        ..organization.student_request(&format!("{}@example.com", new_id()))
    };
    create(&stack, request(&one)).await.expect("the first");
    let again = create(&stack, request(&other)).await;
    refused(again, ErrorReason::IdentityTaken);
    stack.finish().await;
}

#[tokio::test]
async fn the_same_request_makes_one_account_and_other_content_is_refused() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let request = organization.student_request("once@example.com");
    let mut seen = Vec::new();
    for _ in 0..2 {
        let made = create(&stack, request.clone()).await.expect("made");
        seen.push(made.into_inner().student.expect("a student").student_id);
    }
    assert_eq!(seen[0], seen[1]);
    let other = CreateStudentRequest {
        family_name: "Other".to_owned(),
        ..request
    };
    refused(create(&stack, other).await, ErrorReason::RequestIdReused);
    stack.finish().await;
}

#[tokio::test]
async fn signing_in_says_no_in_the_same_words_whatever_is_wrong() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let with_password = CreateStudentRequest {
        credential: Some(password(PASSWORD)),
        ..organization.student_request("sam@example.com")
    };
    let made = create(&stack, with_password).await.expect("made");
    let student = made.into_inner().student.expect("a student");
    create(&stack, organization.student_request("none@example.com"))
        .await
        .expect("one without a password");
    let sign_in = async |email: &str, password: &str| {
        let request = AuthenticateRequest {
            organization_id: organization.id.clone(),
            email: email.to_owned(),
            password: password.to_owned(),
        };
        stack.platform().students().authenticate(request).await
    };
    let good = sign_in("SAM@example.com", PASSWORD).await.expect("good");
    let found = good.into_inner().student.expect("a student");
    assert_eq!(found.student_id, student.student_id);

    let mut words = Vec::new();
    for (email, text) in [
        ("sam@example.com", "another password"),
        ("nobody@example.com", PASSWORD),
        ("none@example.com", PASSWORD),
    ] {
        let refusal = refused(sign_in(email, text).await, ErrorReason::CredentialsInvalid);
        words.push(refusal.message().to_owned());
    }
    let student_id = student.student_id;
    let request = DeactivateStudentRequest { student_id };
    let mut students = organization.admin().students();
    students.deactivate_student(request).await.expect("done");
    let inactive = sign_in("sam@example.com", PASSWORD).await;
    let refusal = refused(inactive, ErrorReason::CredentialsInvalid);
    words.push(refusal.message().to_owned());
    words.dedup();
    assert_eq!(words.len(), 1, "{words:?}");
    stack.finish().await;
}

#[tokio::test]
async fn a_deactivated_student_is_let_in_by_no_key_until_activated_again() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let student_id = organization.student().await.student_id;
    let mut students = organization.admin().students();
    let request = DeactivateStudentRequest {
        student_id: student_id.clone(),
    };
    students.deactivate_student(request).await.expect("done");
    let inactive = redeem(&stack, &student_id, &code).await;
    refused(inactive, ErrorReason::StudentInactive);
    let request = ActivateStudentRequest {
        student_id: student_id.clone(),
    };
    students.activate_student(request).await.expect("done");
    come_in(&stack, &student_id, &code).await;
    stack.finish().await;
}

#[tokio::test]
async fn an_update_changes_the_named_fields_of_the_version_that_was_read() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let student = organization.student().await;
    let update = |etag: &str, given_name: &str| UpdateStudentRequest {
        student_id: student.student_id.clone(),
        update_mask: mask(&["given_name"]),
        etag: etag.to_owned(),
        given_name: given_name.to_owned(),
        family_name: "Not named".to_owned(),
        ..UpdateStudentRequest::default()
    };
    let mut students = organization.admin().students();
    let changed = students
        .update_student(update(&student.etag, "Samuel"))
        .await;
    let changed = changed.expect("changed").into_inner().student;
    let changed = changed.expect("a student");
    assert_eq!(changed.given_name, "Samuel");
    assert_eq!(changed.family_name, student.family_name);
    let stale = students.update_student(update(&student.etag, "Late")).await;
    refused(stale, ErrorReason::EtagMismatch);

    let request = BatchGetStudentsRequest {
        student_ids: vec![student.student_id.clone(), new_id()],
    };
    let batch = students.batch_get_students(request).await;
    let batch = batch.expect("those that exist").into_inner().students;
    assert_eq!(batch, [changed]);
    stack.finish().await;
}
