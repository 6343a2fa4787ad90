//! Erasing an account while somebody signs in to it, registers again as it was made, or wants its address.

use futures::future::{join_all, join3};
use latchkey_proto::enrollment::v1::{
    AuthenticateRequest, AuthenticateResponse, ListStudentsRequest, RegisterWithKeyRequest,
    RegisterWithKeyResponse,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::status::reason_of;
use tonic::{Response, Status};

use super::{PASSWORD, create, erase, mark, password, somebody, tables_with};
use crate::harness::{ClassDraft, Organization, Stack, new_id, refused};
use crate::registration::{registration, with_password};

/// How often each race is run: who comes first differs.
const ROUNDS: usize = 8;

async fn sign_in(
    organization: &Organization<'_>,
    email: &str,
) -> Result<Response<AuthenticateResponse>, Status> {
    let request = AuthenticateRequest {
        organization_id: organization.id.clone(),
        email: email.to_owned(),
        password: PASSWORD.to_owned(),
    };
    let platform = organization.stack.platform();
    platform.students().authenticate(request).await
}

async fn register(
    stack: &Stack,
    request: &RegisterWithKeyRequest,
) -> Result<Response<RegisterWithKeyResponse>, Status> {
    let platform = stack.platform();
    platform
        .redemptions()
        .register_with_key(request.clone())
        .await
}

#[tokio::test]
async fn who_signs_in_meanwhile_is_let_in_or_not_and_brings_nothing_back() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    for _ in 0..ROUNDS {
        let mark = mark();
        let student = create(&stack, somebody(&organization, &mark, password())).await;
        let tries = join_all((0..3).map(|_| sign_in(&organization, &student.email)));
        let (answers, _erased) = tokio::join!(tries, erase(&organization, &student.student_id));
        for answer in answers {
            match answer {
                Ok(answer) => {
                    let found = answer.into_inner().student.expect("a student");
                    assert_eq!(found.student_id, student.student_id);
                }
                Err(refusal) => {
                    assert_eq!(reason_of(&refusal), Some(ErrorReason::CredentialsInvalid));
                }
            }
        }
        let late = sign_in(&organization, &student.email).await;
        refused(late, ErrorReason::CredentialsInvalid);
        assert_eq!(tables_with(&stack, &mark).await, [""; 0]);
    }
    stack.finish().await;
}

#[tokio::test]
async fn a_registration_that_is_sent_again_meanwhile_brings_nothing_back() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    organization.let_register(true).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    for _ in 0..ROUNDS {
        let mark = mark();
        let first = RegisterWithKeyRequest {
            email: format!("{mark}@example.com"),
            given_name: format!("Given{mark}"),
            family_name: format!("Family{mark}"),
            credential: Some(with_password(PASSWORD)),
            ..registration(&organization.id, &code)
        };
        let made = register(&stack, &first).await.expect("registered");
        let id = made.into_inner().student.expect("a student").student_id;
        // Somebody else, who wants the address.
        let other = RegisterWithKeyRequest {
            redemption_id: new_id(),
            given_name: "Other".to_owned(),
            family_name: "Other".to_owned(),
            ..first.clone()
        };
        let (again, wanted, _erased) = join3(
            register(&stack, &first),
            register(&stack, &other),
            erase(&organization, &id),
        )
        .await;
        let again = again.expect("what was decided").into_inner();
        assert!(again.replayed);
        assert_eq!(again.student.expect("a student").student_id, id);
        let late = register(&stack, &first).await.expect("what was decided");
        let late = late.into_inner().student.expect("a student");
        assert_eq!((late.student_id, late.email.as_str()), (id, ""));
        if let Err(refusal) = &wanted {
            assert_eq!(reason_of(refusal), Some(ErrorReason::EmailTaken));
        }
        let request = ListStudentsRequest {
            organization_id: organization.id.clone(),
            email: first.email.clone(),
            ..ListStudentsRequest::default()
        };
        let listed = organization.admin().students().list_students(request).await;
        let listed = listed.expect("accounts").into_inner().students;
        assert_eq!(listed.len(), usize::from(wanted.is_ok()));
        assert_eq!(tables_with(&stack, &format!("Given{mark}")).await, [""; 0]);
    }
    stack.finish().await;
}
