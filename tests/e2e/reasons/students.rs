//! Reasons that are about a student, an account or an organization.

use latchkey_proto::enrollment::v1::{
    AuthenticateRequest, CancelEnrollmentRequest, CreateStudentRequest, Credential,
    DeactivateStudentRequest, EraseStudentRequest, ExternalIdentity, GetOrganizationRequest,
    GetRedemptionRequest, GetStudentRequest, RegisterWithKeyRequest, UpdateStudentRequest,
};
use latchkey_proto::errors::v1::ErrorReason;

use super::Provoked;
use crate::harness::world::{check, mask, redeem};
use crate::harness::{ClassDraft, Organization, Stack, new_id};

pub(super) async fn provoke(provoked: &mut Provoked) {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    missing(provoked, &organization).await;
    redeeming(provoked, &organization).await;
    accounts(provoked, &organization).await;
    registering(provoked, &organization).await;
    stack.finish().await;
}

async fn missing(provoked: &mut Provoked, organization: &Organization<'_>) {
    let admin = organization.admin();
    let request = GetStudentRequest {
        student_id: new_id(),
    };
    provoked.keep(
        "get",
        ErrorReason::StudentNotFound,
        admin.students().get_student(request).await,
    );
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let answer = redeem(organization.stack, &new_id(), &code).await;
    provoked.keep("redeem", ErrorReason::StudentNotFound, answer);
    let request = GetOrganizationRequest {
        organization_id: new_id(),
    };
    let answer = admin.organizations().get_organization(request).await;
    provoked.keep("get", ErrorReason::OrganizationNotFound, answer);
    let request = GetRedemptionRequest {
        redemption_id: new_id(),
    };
    let answer = admin.redemptions().get_redemption(request).await;
    provoked.keep("get", ErrorReason::RedemptionNotFound, answer);
    let request = AuthenticateRequest {
        organization_id: organization.id.clone(),
        email: "nobody@example.com".to_owned(),
        password: "wrong".to_owned(),
    };
    let answer = organization
        .stack
        .platform()
        .students()
        .authenticate(request)
        .await;
    provoked.keep("sign in", ErrorReason::CredentialsInvalid, answer);
}

async fn redeeming(provoked: &mut Provoked, organization: &Organization<'_>) {
    let stack = organization.stack;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let (removed, inactive) = (
        organization.student().await.student_id,
        organization.student().await.student_id,
    );
    let made = redeem(stack, &removed, &code)
        .await
        .expect("in")
        .into_inner()
        .enrollment
        .expect("an enrollment");
    let cancel = CancelEnrollmentRequest {
        enrollment_id: made.enrollment_id,
        ..CancelEnrollmentRequest::default()
    };
    organization
        .admin()
        .enrollments()
        .cancel_enrollment(cancel)
        .await
        .expect("removed");
    let blocked = ErrorReason::StudentBlocked;
    provoked.keep("redeem", blocked, redeem(stack, &removed, &code).await);
    provoked.keep("check", blocked, check(stack, &removed, &code).await);
    let request = DeactivateStudentRequest {
        student_id: inactive.clone(),
    };
    stack
        .platform()
        .students()
        .deactivate_student(request)
        .await
        .expect("deactivated");
    let deactivated = ErrorReason::StudentInactive;
    provoked.keep("redeem", deactivated, redeem(stack, &inactive, &code).await);
    provoked.keep("check", deactivated, check(stack, &inactive, &code).await);
    let stranger = Organization::new(stack).await.student().await.student_id;
    let mismatch = ErrorReason::OrganizationMismatch;
    provoked.keep("redeem", mismatch, redeem(stack, &stranger, &code).await);
    provoked.keep("check", mismatch, check(stack, &stranger, &code).await);
}

fn identity(subject: &str) -> Credential {
    let issuer = "https://login.example.com".to_owned();
    let external_identity = Some(ExternalIdentity {
        issuer,
        subject: subject.to_owned(),
    });
    Credential {
        external_identity,
        ..Credential::default()
    }
}

async fn accounts(provoked: &mut Provoked, organization: &Organization<'_>) {
    let platform = organization.stack.platform();
    let subject = new_id();
    let email = format!("{}@example.com", new_id());
    let request = CreateStudentRequest {
        credential: Some(identity(&subject)),
        ..organization.student_request(&email)
    };
    platform
        .students()
        .create_student(request.clone())
        .await
        .expect("a student");
    let changed = CreateStudentRequest {
        given_name: "Another".to_owned(),
        ..request.clone()
    };
    let answer = platform.students().create_student(changed).await;
    provoked.keep("create a student", ErrorReason::RequestIdReused, answer);
    let same_email = organization.student_request(&email.to_uppercase());
    let answer = platform.students().create_student(same_email).await;
    provoked.keep("create a student", ErrorReason::EmailTaken, answer);
    let other = format!("{}@example.com", new_id());
    let same_identity = CreateStudentRequest {
        credential: Some(identity(&subject)),
        ..organization.student_request(&other)
    };
    let answer = platform.students().create_student(same_identity).await;
    provoked.keep("create a student", ErrorReason::IdentityTaken, answer);
    let change = |etag: &str, email: &str, student_id: String| UpdateStudentRequest {
        student_id,
        update_mask: mask(&["email"]),
        etag: etag.to_owned(),
        email: email.to_owned(),
        ..UpdateStudentRequest::default()
    };
    let erased = organization.student().await.student_id;
    let request = EraseStudentRequest {
        student_id: erased.clone(),
        reason: "asked to".to_owned(),
        ..EraseStudentRequest::default()
    };
    let answer = platform.students().erase_student(request).await;
    answer.expect("erased");
    let answer = platform
        .students()
        .update_student(change("", &other, erased))
        .await;
    provoked.keep("update a student", ErrorReason::StudentErased, answer);
    let student = organization.student().await.student_id;
    let answer = platform
        .students()
        .update_student(change("of-old", &other, student.clone()))
        .await;
    provoked.keep("update a student", ErrorReason::EtagMismatch, answer);
    let answer = platform
        .students()
        .update_student(change("", &email, student))
        .await;
    provoked.keep("update a student", ErrorReason::EmailTaken, answer);
}

async fn registering(provoked: &mut Provoked, organization: &Organization<'_>) {
    let platform = organization.stack.platform();
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let request = RegisterWithKeyRequest {
        redemption_id: new_id(),
        code,
        organization_id: organization.id.clone(),
        email: format!("{}@example.com", new_id()),
        given_name: "Nora".to_owned(),
        family_name: "New".to_owned(),
        credential: Some(identity(&new_id())),
    };
    let answer = platform
        .redemptions()
        .register_with_key(request.clone())
        .await;
    provoked.keep("register", ErrorReason::SelfRegistrationDisabled, answer);
    organization.let_register(true).await;
    let request = RegisterWithKeyRequest {
        redemption_id: new_id(),
        ..request
    };
    platform
        .redemptions()
        .register_with_key(request.clone())
        .await
        .expect("registered");
    let email = request.email.clone();
    let again = RegisterWithKeyRequest {
        redemption_id: new_id(),
        credential: Some(identity(&new_id())),
        ..request.clone()
    };
    let answer = platform.redemptions().register_with_key(again).await;
    provoked.keep("register", ErrorReason::EmailTaken, answer);
    let again = RegisterWithKeyRequest {
        redemption_id: new_id(),
        email: format!("x{email}"),
        ..request.clone()
    };
    let answer = platform.redemptions().register_with_key(again).await;
    provoked.keep("register", ErrorReason::IdentityTaken, answer);
    let elsewhere = RegisterWithKeyRequest {
        redemption_id: new_id(),
        organization_id: new_id(),
        ..request
    };
    let answer = platform.redemptions().register_with_key(elsewhere).await;
    provoked.keep("register", ErrorReason::OrganizationNotFound, answer);
}
