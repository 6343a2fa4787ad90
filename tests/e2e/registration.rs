//! With a code and no account: the account and the enrollment appear together, or neither does.

use latchkey_proto::enrollment::v1::{
    AuthenticateRequest, CheckKeyRequest, Credential, ExternalIdentity, ListStudentsRequest,
    Password, RedemptionOutcome, RegisterWithKeyRequest, Student,
};
use latchkey_proto::errors::v1::ErrorReason;
use sqlx::Row;

use crate::harness::world::{enrolled, redeem};
use crate::harness::{ClassDraft, Organization, Stack, new_id, refused};

/// A password that students of the tests have.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Someone new, with a password, who registers with a code.
pub(crate) fn registration(organization_id: &str, code: &str) -> RegisterWithKeyRequest {
    RegisterWithKeyRequest {
        redemption_id: new_id(),
        code: code.to_owned(),
        organization_id: organization_id.to_owned(),
        email: format!("{}@example.com", new_id()),
        given_name: "Rita".to_owned(),
        family_name: "Registered".to_owned(),
        credential: Some(with_password(PASSWORD)),
    }
}

pub(crate) fn with_password(text: &str) -> Credential {
    Credential {
        password: Some(Password {
            text: text.to_owned(),
        }),
        external_identity: None,
    }
}

pub(crate) fn with_identity(subject: &str) -> Credential {
    let identity = ExternalIdentity {
        issuer: "https://login.example.com".into(),
        subject: subject.into(),
    };
    Credential {
        password: None,
        external_identity: Some(identity),
    }
}

async fn accounts_with(organization: &Organization<'_>, email: &str) -> Vec<Student> {
    let request = ListStudentsRequest {
        email: email.to_owned(),
        ..ListStudentsRequest::default()
    };
    organization
        .admin()
        .students()
        .list_students(request)
        .await
        .expect("a list")
        .into_inner()
        .students
}

#[tokio::test]
async fn a_registration_makes_an_account_and_an_enrollment_and_the_password_works() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    organization.let_register(true).await;
    let (class, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
    let request = registration(&organization.id, &codes[0].code);

    let answer = stack
        .platform()
        .redemptions()
        .register_with_key(request.clone())
        .await
        .expect("registered");

    let answer = answer.into_inner();
    let student = answer.student.expect("a student");
    let enrollment = answer.enrollment.expect("an enrollment");
    assert_eq!(
        (enrollment.student_id.as_str(), answer.replayed),
        (student.student_id.as_str(), false)
    );
    assert_eq!(enrollment.enrollment_id, request.redemption_id);
    assert_eq!(
        answer.opened_class.expect("a class").class_id,
        class.class_id
    );
    assert!(student.has_password && student.active);
    assert_eq!(
        enrolled(&organization.roster(&class.class_id).await),
        std::slice::from_ref(&student.student_id)
    );
    let request = AuthenticateRequest {
        organization_id: organization.id.clone(),
        email: request.email.to_uppercase(),
        password: PASSWORD.to_owned(),
    };
    let signed_in = stack
        .platform()
        .students()
        .authenticate(request)
        .await
        .expect("signed in")
        .into_inner();
    assert_eq!(
        signed_in.student.expect("the student").student_id,
        student.student_id
    );
    stack.finish().await;
}

#[tokio::test]
async fn a_registration_under_the_same_id_is_answered_the_same_and_makes_nothing() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    organization.let_register(true).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let request = registration(&organization.id, &code);
    let first = stack
        .platform()
        .redemptions()
        .register_with_key(request.clone())
        .await
        .expect("registered");
    let again = stack
        .platform()
        .redemptions()
        .register_with_key(request.clone())
        .await
        .expect("answered again");

    let (first, again) = (first.into_inner(), again.into_inner());
    assert!(again.replayed);
    assert_eq!(
        (first.student, first.enrollment),
        (again.student, again.enrollment)
    );
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 1);
    let other = RegisterWithKeyRequest {
        email: "other@example.com".to_owned(),
        ..request
    };
    refused(
        stack
            .platform()
            .redemptions()
            .register_with_key(other)
            .await,
        ErrorReason::RequestIdReused,
    );
    stack.finish().await;
}

#[tokio::test]
async fn self_registration_is_off_until_the_switch_is_turned_on() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let request = registration(&organization.id, &code);
    let register = async |request: &RegisterWithKeyRequest| {
        stack
            .platform()
            .redemptions()
            .register_with_key(request.clone())
            .await
    };
    let check = async || {
        let request = CheckKeyRequest {
            code: code.clone(),
            organization_id: organization.id.clone(),
            ..CheckKeyRequest::default()
        };
        stack.platform().redemptions().check_key(request).await
    };

    refused(check().await, ErrorReason::SelfRegistrationDisabled);
    refused(
        register(&request).await,
        ErrorReason::SelfRegistrationDisabled,
    );
    // Whatever the code is: the switch comes first.
    let unknown = RegisterWithKeyRequest {
        code: "no-such-code".into(),
        ..registration(&organization.id, &code)
    };
    refused(
        register(&unknown).await,
        ErrorReason::SelfRegistrationDisabled,
    );
    organization.let_register(true).await;
    check().await.expect("it would be accepted");
    // What was decided stays decided; a new wish takes a new id.
    refused(
        register(&request).await,
        ErrorReason::SelfRegistrationDisabled,
    );
    register(&RegisterWithKeyRequest {
        redemption_id: new_id(),
        ..request
    })
    .await
    .expect("registered");
    organization.let_register(false).await;
    refused(
        register(&registration(&organization.id, &code)).await,
        ErrorReason::SelfRegistrationDisabled,
    );
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 1);
    stack.finish().await;
}

#[tokio::test]
async fn a_refused_registration_leaves_no_account_and_no_personal_data() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    organization.let_register(true).await;
    let (class, code) = organization.event_class(ClassDraft::new().maximum(1)).await;
    redeem(&stack, &organization.student().await.student_id, &code)
        .await
        .expect("the last seat");
    let (_, closed) = organization.event_class(ClassDraft::new().ended()).await;

    let full = registration(&organization.id, &code);
    refused(
        stack
            .platform()
            .redemptions()
            .register_with_key(full.clone())
            .await,
        ErrorReason::ClassFull,
    );
    let late = registration(&organization.id, &closed);
    refused(
        stack
            .platform()
            .redemptions()
            .register_with_key(late.clone())
            .await,
        ErrorReason::WindowClosed,
    );
    let wrong = RegisterWithKeyRequest {
        code: "nothing-opens".into(),
        ..registration(&organization.id, &code)
    };
    refused(
        stack
            .platform()
            .redemptions()
            .register_with_key(wrong.clone())
            .await,
        ErrorReason::KeyNotFound,
    );

    let mut database = stack.database().await;
    for request in [full, late, wrong] {
        assert!(
            accounts_with(&organization, &request.email)
                .await
                .is_empty()
        );
        for table in [
            "enrollment.redemptions",
            "enrollment.students",
            "enrollment.audit_events",
        ] {
            let query =
                format!("SELECT count(*) FROM {table} t WHERE t::text ILIKE '%' || $1 || '%'");
            let row = sqlx::query(sqlx::AssertSqlSafe(query))
                .bind(&request.email)
                .fetch_one(&mut database)
                .await;
            assert_eq!(
                row.expect("a count").get::<i64, _>(0),
                0,
                "{table} keeps the e-mail of a refused registration"
            );
        }
    }
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 1);
    stack.finish().await;
}

#[tokio::test]
async fn a_taken_e_mail_or_identity_takes_no_seat_and_is_said_only_to_who_has_a_good_code() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    organization.let_register(true).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let subject = new_id();
    let first = RegisterWithKeyRequest {
        credential: Some(with_identity(&subject)),
        ..registration(&organization.id, &code)
    };
    let made = stack
        .platform()
        .redemptions()
        .register_with_key(first.clone())
        .await
        .expect("registered")
        .into_inner();
    assert!(!made.student.expect("a student").has_password);

    let same_email = RegisterWithKeyRequest {
        email: first.email.to_uppercase(),
        ..registration(&organization.id, &code)
    };
    let same_identity = RegisterWithKeyRequest {
        credential: Some(with_identity(&subject)),
        ..registration(&organization.id, &code)
    };
    let guess = RegisterWithKeyRequest {
        code: "a-mere-guess".into(),
        redemption_id: new_id(),
        ..same_email.clone()
    };
    let register = async |request: RegisterWithKeyRequest| {
        stack
            .platform()
            .redemptions()
            .register_with_key(request)
            .await
    };
    refused(register(same_email.clone()).await, ErrorReason::EmailTaken);
    refused(register(same_identity).await, ErrorReason::IdentityTaken);
    refused(register(guess).await, ErrorReason::KeyNotFound);
    assert_eq!(organization.roster(&class.class_id).await.seats_taken, 1);

    // A taken e-mail is no decision: once corrected, the same id may try again.
    let corrected = RegisterWithKeyRequest {
        email: format!("{}@example.com", new_id()),
        ..same_email
    };
    let corrected = register(corrected).await.expect("registered").into_inner();
    assert!(!corrected.replayed);
    // The same address elsewhere is another account.
    let elsewhere = Organization::new(&stack).await;
    elsewhere.let_register(true).await;
    let (_, code) = elsewhere.event_class(ClassDraft::new()).await;
    register(RegisterWithKeyRequest {
        email: first.email,
        ..registration(&elsewhere.id, &code)
    })
    .await
    .expect("registered");
    stack.finish().await;
}

#[tokio::test]
async fn a_key_registers_students_of_its_organization_and_of_those_below_only() {
    let stack = Stack::shared().await;
    let (parent, stranger) = (
        Organization::new(&stack).await,
        Organization::new(&stack).await,
    );
    let child = parent.child().await;
    for organization in [&parent, &child, &stranger] {
        organization.let_register(true).await;
    }
    let (class, code) = parent.event_class(ClassDraft::new()).await;
    let (_, code_of_child) = child.event_class(ClassDraft::new()).await;
    let register = async |organization: &Organization<'_>, code: &str| {
        stack
            .platform()
            .redemptions()
            .register_with_key(registration(&organization.id, code))
            .await
    };

    register(&parent, &code).await.expect("its own");
    let below = register(&child, &code).await.expect("below").into_inner();
    assert_eq!(below.student.expect("a student").organization_id, child.id);
    for (organization, code) in [(&stranger, &code), (&parent, &code_of_child)] {
        let refusal = refused(
            register(organization, code).await,
            ErrorReason::OrganizationMismatch,
        );
        assert!(
            !refusal.message().contains(&class.name),
            "{}",
            refusal.message()
        );
    }
    stack.finish().await;
}

#[tokio::test]
async fn a_registered_student_redeems_their_next_key_with_the_account() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    organization.let_register(true).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let made = stack
        .platform()
        .redemptions()
        .register_with_key(registration(&organization.id, &code))
        .await;
    let student = made
        .expect("registered")
        .into_inner()
        .student
        .expect("a student")
        .student_id;
    let (_, next) = organization.event_class(ClassDraft::new()).await;
    let answer = redeem(&stack, &student, &next)
        .await
        .expect("redeemed")
        .into_inner();
    assert_eq!(answer.outcome(), RedemptionOutcome::Enrolled);
    stack.finish().await;
}
