//! Erasing an account: its personal data is gone, what was decided and billed stays, and so it is for good.

mod places;
mod racing;

use latchkey_proto::audit::v1::ListAuditEventsRequest;
use latchkey_proto::enrollment::v1::{
    ActivateStudentRequest, AuthenticateRequest, CreateStudentRequest, Credential,
    DeactivateStudentRequest, EraseStudentRequest, EraseStudentResponse, ExternalIdentity,
    GetStudentRequest, ListStudentsRequest, Password, Student, UpdateStudentRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use sqlx::Row as _;
use tonic::{Response, Status};

use crate::harness::time::read;
use crate::harness::world::{mask, redeem};
use crate::harness::{Caller, ClassDraft, Organization, Stack, new_id, now, refused};

const PASSWORD: &str = "correct horse battery";

/// Erases an account, as `caller`.
async fn erase_as(
    caller: &Caller,
    student_id: &str,
    etag: &str,
) -> Result<Response<EraseStudentResponse>, Status> {
    let request = EraseStudentRequest {
        student_id: student_id.to_owned(),
        reason: "case 4711".to_owned(),
        etag: etag.to_owned(),
    };
    caller.students().erase_student(request).await
}

/// Erases an account, as an administrator.
async fn erase(organization: &Organization<'_>, student_id: &str) -> EraseStudentResponse {
    let answer = erase_as(&organization.admin(), student_id, "").await;
    answer.expect("erased").into_inner()
}

/// A request for an account that somebody can be recognised by.
fn somebody(
    organization: &Organization<'_>,
    mark: &str,
    credential: Credential,
) -> CreateStudentRequest {
    CreateStudentRequest {
        given_name: format!("Given{mark}"),
        family_name: format!("Family{mark}"),
        credential: Some(credential),
        ..organization.student_request(&format!("{mark}@example.com"))
    }
}

fn password() -> Credential {
    Credential {
        password: Some(Password {
            text: PASSWORD.to_owned(),
        }),
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

async fn create(stack: &Stack, request: CreateStudentRequest) -> Student {
    let answer = stack.platform().students().create_student(request).await;
    answer
        .expect("made")
        .into_inner()
        .student
        .expect("a student")
}

fn mark() -> String {
    format!("mark{}", new_id().replace('-', ""))
}

/// The tables of both services in which a text stands anywhere.
async fn tables_with(stack: &Stack, text: &str) -> Vec<String> {
    let mut database = stack.database().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
         WHERE table_schema IN ('keys', 'enrollment')",
    )
    .fetch_all(&mut database)
    .await
    .expect("tables");
    assert!(tables.len() > 10, "{tables:?}");
    let mut found = Vec::new();
    for table in tables {
        let query = format!("SELECT count(*) FROM {table} t WHERE t::text ILIKE '%' || $1 || '%'");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(text)
            .fetch_one(&mut database)
            .await;
        if row.expect("a count").get::<i64, _>(0) > 0 {
            found.push(table);
        }
    }
    found
}

#[tokio::test]
async fn nothing_personal_is_left_in_any_table() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new().running()).await;
    for with_password in [true, false] {
        let mark = mark();
        let credential = if with_password {
            password()
        } else {
            identity(&mark)
        };
        let student = create(&stack, somebody(&organization, &mark, credential)).await;
        let update = UpdateStudentRequest {
            student_id: student.student_id.clone(),
            update_mask: mask(&["given_name"]),
            given_name: format!("Other{mark}"),
            ..UpdateStudentRequest::default()
        };
        let answer = organization.admin().students().update_student(update).await;
        answer.expect("updated");
        redeem(&stack, &student.student_id, &code)
            .await
            .expect("in");
        assert_eq!(tables_with(&stack, &mark).await, ["enrollment.students"]);

        let before = now();
        let erased = erase(&organization, &student.student_id).await.student;
        let erased = erased.expect("a student");
        assert_eq!(tables_with(&stack, &mark).await, [""; 0]);
        assert_eq!(erased.student_id, student.student_id);
        assert_eq!(
            (
                erased.email.as_str(),
                erased.given_name.as_str(),
                erased.family_name.as_str()
            ),
            ("", "", "")
        );
        assert!(!erased.active && !erased.has_password && erased.external_identity.is_none());
        let moment = read(erased.erase_time.as_ref());
        assert!(before <= moment && moment <= now(), "{moment}");
    }
    stack.finish().await;
}

#[tokio::test]
async fn the_account_stays_in_lists_without_a_name_and_is_found_by_no_address() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let mark = mark();
    let student = create(&stack, somebody(&organization, &mark, password())).await;
    erase(&organization, &student.student_id).await;
    let mut students = organization.admin().students();
    let request = GetStudentRequest {
        student_id: student.student_id.clone(),
    };
    let found = students.get_student(request).await.expect("an account");
    let found = found.into_inner().student.expect("a student");
    assert_eq!((found.given_name.as_str(), found.active), ("", false));
    let list = |email: &str| ListStudentsRequest {
        organization_id: organization.id.clone(),
        email: email.to_owned(),
        ..ListStudentsRequest::default()
    };
    let listed = students.list_students(list("")).await.expect("accounts");
    assert_eq!(listed.into_inner().students, [found]);
    let listed = students.list_students(list(&student.email)).await;
    assert_eq!(listed.expect("nobody").into_inner().students, []);
    stack.finish().await;
}

#[tokio::test]
async fn it_is_final_and_said_once() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let mark = mark();
    let student = create(&stack, somebody(&organization, &mark, password())).await;
    let id = student.student_id.clone();
    let admin = organization.admin();
    refused(
        erase_as(&admin, &id, "of-old").await,
        ErrorReason::EtagMismatch,
    );
    let first = erase_as(&admin, &id, &student.etag).await.expect("erased");
    // Whatever the etag: there is nothing left to protect.
    let again = erase_as(&admin, &id, &student.etag).await.expect("erased");
    assert_eq!(first.into_inner(), again.into_inner());

    let mut students = admin.students();
    let request = ActivateStudentRequest {
        student_id: id.clone(),
    };
    let answer = students.activate_student(request).await;
    refused(answer, ErrorReason::StudentErased);
    let request = UpdateStudentRequest {
        student_id: id.clone(),
        update_mask: mask(&["email"]),
        email: student.email.clone(),
        ..UpdateStudentRequest::default()
    };
    let answer = students.update_student(request).await;
    refused(answer, ErrorReason::StudentErased);
    let request = DeactivateStudentRequest {
        student_id: id.clone(),
    };
    let answer = students.deactivate_student(request).await;
    answer.expect("it is inactive already");
    let request = AuthenticateRequest {
        organization_id: organization.id.clone(),
        email: student.email.clone(),
        password: PASSWORD.to_owned(),
    };
    let answer = stack.platform().students().authenticate(request).await;
    refused(answer, ErrorReason::CredentialsInvalid);
    refused(
        redeem(&stack, &id, &code).await,
        ErrorReason::StudentInactive,
    );

    let request = ListAuditEventsRequest {
        student_id: id,
        action: "student.erase".to_owned(),
        ..ListAuditEventsRequest::default()
    };
    let trail = admin.enrollment_audit().list_audit_events(request).await;
    let events = trail.expect("events").into_inner().events;
    assert_eq!(events.len(), 1);
    assert!(events[0].details_json.contains("case 4711"), "{events:?}");
    stack.finish().await;
}

#[tokio::test]
async fn who_comes_again_is_somebody_new() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    for credential in [password(), identity(&new_id())] {
        let request = somebody(&organization, &mark(), credential);
        let student = create(&stack, request.clone()).await;
        erase(&organization, &student.student_id).await;
        // What made the account is not made again by accident.
        let mut students = stack.platform().students();
        let late = students.create_student(request.clone()).await;
        refused(late, ErrorReason::RequestIdReused);
        let request = CreateStudentRequest {
            request_id: new_id(),
            ..request
        };
        let anew = create(&stack, request).await;
        assert_ne!(anew.student_id, student.student_id);
        assert_eq!((anew.email, anew.active), (student.email, true));
    }
    stack.finish().await;
}
