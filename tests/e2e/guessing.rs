//! Wrong codes and wrong passwords: who has tried too many is asked to wait, whatever they try next; nobody else is.

mod own_codes;
mod replicas;
mod staff;

use std::time::Duration;

use latchkey_proto::enrollment::v1::{
    AuthenticateRequest, CreateStudentRequest, RedeemKeyResponse, RegisterWithKeyRequest,
    RegisterWithKeyResponse,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::identity::Role;
use latchkey_service_kit::status::retry_after_of;
use tonic::{Response, Status};

use crate::harness::scene::NO_KEYS_CODE;
use crate::harness::world::{check_by, come_in, redeem, redeem_as, redemption};
use crate::harness::{Caller, ClassDraft, Options, Organization, Stack, new_id, refused};
use crate::registration::{PASSWORD, registration, with_password};

/// The longest that a test lasts: within it no limit of these settings gives anything back.
const NEVER_MS: &str = "3600000";

/// Two wrong guesses for each limit that `limits` names, and one more after an hour.
fn tight(limits: &[&str]) -> &'static str {
    let lines = limits
        .iter()
        .map(|limit| format!("{limit}_burst = 2\n{limit}_refill_ms = {NEVER_MS}\n"));
    Box::leak(format!("[guessing]\n{}", lines.collect::<String>()).into_boxed_str())
}

async fn stack_with(enrollment: &'static str) -> Stack {
    let options = Options {
        enrollment,
        ..Options::default()
    };
    Stack::with(options).await
}

async fn register(
    stack: &Stack,
    request: &RegisterWithKeyRequest,
    code: &str,
) -> Result<Response<RegisterWithKeyResponse>, Status> {
    let request = RegisterWithKeyRequest {
        redemption_id: new_id(),
        code: code.to_owned(),
        ..request.clone()
    };
    stack
        .platform()
        .redemptions()
        .register_with_key(request)
        .await
}

/// The wait that a refusal for too many attempts asks for. It says nothing else.
#[track_caller]
fn wait_of<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Duration {
    let refusal = refused(answer, ErrorReason::TooManyAttempts);
    retry_after_of(&refusal).expect("how long to wait")
}

fn mistyped(code: &str) -> String {
    let last = if code.ends_with('7') { "8" } else { "7" };
    format!("{}{last}", &code[..code.len() - 1])
}

#[tokio::test]
async fn a_student_who_guesses_is_asked_to_wait_and_nobody_else_is() {
    let stack = stack_with(tight(&["student"])).await;
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let (_, other_code) = organization.event_class(ClassDraft::new()).await;
    let stranger = Organization::new(&stack).await;
    let (_, code_of_others) = stranger.event_class(ClassDraft::new()).await;
    let (guesser, other) = (
        organization.student().await.student_id,
        organization.student().await.student_id,
    );
    let first = new_id();
    redeem_as(&stack, &first, &guesser, &code)
        .await
        .expect("in");
    for _ in 0..5 {
        let typed = redeem(&stack, &guesser, &mistyped(&other_code)).await;
        refused(typed, ErrorReason::KeyMalformed);
    }
    refused(
        redeem(&stack, &guesser, NO_KEYS_CODE).await,
        ErrorReason::KeyNotFound,
    );
    let of_others = redeem(&stack, &guesser, &code_of_others).await;
    refused(of_others, ErrorReason::OrganizationMismatch);

    // Right, wrong, asked or redeemed: the answer is one and the same.
    let right = refused(
        redeem(&stack, &guesser, &other_code).await,
        ErrorReason::TooManyAttempts,
    );
    let wrong = refused(
        redeem(&stack, &guesser, NO_KEYS_CODE).await,
        ErrorReason::TooManyAttempts,
    );
    assert_eq!(right.message(), wrong.message());
    wait_of(check_by(&stack.platform(), &guesser, &other_code).await);
    // By themselves as well as by the platform.
    wait_of(check_by(&stack.student(&guesser), &guesser, &other_code).await);
    // What was decided is told again all the same, and a slip is still called one.
    let again = redeem_as(&stack, &first, &guesser, &code)
        .await
        .expect("in");
    assert!(again.into_inner().replayed);
    let typed = redeem(&stack, &guesser, &mistyped(&other_code)).await;
    refused(typed, ErrorReason::KeyMalformed);
    come_in(&stack, &other, &other_code).await;
    stack.finish().await;
}

#[tokio::test]
async fn who_waits_as_long_as_was_said_is_let_in() {
    let stack = stack_with("[guessing]\nstudent_burst = 2\nstudent_refill_ms = 2000").await;
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    // On a busy machine one is given back meanwhile.
    let wait = loop {
        let guess = redeem(&stack, &student, NO_KEYS_CODE).await;
        if let Some(wait) = refused_either(guess) {
            break wait;
        }
    };
    assert!(wait <= Duration::from_secs(2), "{wait:?}");
    tokio::time::sleep(wait).await;
    come_in(&stack, &student, &code).await;
    stack.finish().await;
}

/// The wait, if it is a refusal for too many attempts; `None` of a wrong code.
fn refused_either(answer: Result<Response<RedeemKeyResponse>, Status>) -> Option<Duration> {
    let refusal = answer.expect_err("a wrong code");
    if crate::harness::reason_of(&refusal) == ErrorReason::KeyNotFound {
        return None;
    }
    Some(wait_of::<RedeemKeyResponse>(Err(refusal)))
}

#[tokio::test]
async fn guesses_of_many_count_for_their_organization_and_newcomers_apart_from_students() {
    let stack = stack_with(tight(&["organization", "newcomers"])).await;
    let organization = Organization::new(&stack).await;
    organization.let_register(true).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    for _ in 0..2 {
        let student = organization.student().await.student_id;
        refused(
            redeem(&stack, &student, NO_KEYS_CODE).await,
            ErrorReason::KeyNotFound,
        );
    }
    let student = organization.student().await.student_id;
    wait_of(redeem(&stack, &student, &code).await);
    let beside = Organization::new(&stack).await;
    let (_, code_beside) = beside.event_class(ClassDraft::new()).await;
    come_in(&stack, &beside.student().await.student_id, &code_beside).await;

    // Those who have no account yet have a limit of their own.
    let newcomer = || registration(&organization.id, "");
    register(&stack, &newcomer(), &code).await.expect("in");
    for _ in 0..2 {
        let guess = register(&stack, &newcomer(), NO_KEYS_CODE).await;
        refused(guess, ErrorReason::KeyNotFound);
    }
    wait_of(register(&stack, &newcomer(), &code).await);
    stack.finish().await;
}

#[tokio::test]
async fn a_newcomer_is_an_address_in_an_organization() {
    let stack = stack_with(tight(&["newcomer"])).await;
    let organization = Organization::new(&stack).await;
    organization.let_register(true).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let guesser = RegisterWithKeyRequest {
        email: "Gus.Guesser@example.com".to_owned(),
        ..registration(&organization.id, "")
    };
    let same = RegisterWithKeyRequest {
        email: "gus.guesser@EXAMPLE.com".to_owned(),
        ..registration(&organization.id, "")
    };
    for request in [&guesser, &same] {
        let guess = register(&stack, request, NO_KEYS_CODE).await;
        refused(guess, ErrorReason::KeyNotFound);
    }
    wait_of(register(&stack, &guesser, &code).await);
    let another = registration(&organization.id, "");
    register(&stack, &another, &code).await.expect("in");
    stack.finish().await;
}

#[tokio::test]
async fn a_caller_who_guesses_for_many_is_asked_to_wait_and_a_platform_is_not() {
    let stack = stack_with(tight(&["caller"])).await;
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let staff = |subject| stack.caller(Role::Administrator, subject, Some(&organization.id));
    let (guesser, colleague) = (staff("gustav"), staff("clara"));
    for _ in 0..2 {
        let student = organization.student().await.student_id;
        refused(
            check_by(&guesser, &student, NO_KEYS_CODE).await,
            ErrorReason::KeyNotFound,
        );
    }
    let student = organization.student().await.student_id;
    wait_of(check_by(&guesser, &student, &code).await);
    check_by(&colleague, &student, &code)
        .await
        .expect("checked");
    for _ in 0..5 {
        let student = organization.student().await.student_id;
        let guess = check_by(&stack.platform(), &student, NO_KEYS_CODE).await;
        refused(guess, ErrorReason::KeyNotFound);
    }
    let request = redemption(&new_id(), &student, &code);
    let platform = stack.platform();
    platform
        .redemptions()
        .redeem_key(request)
        .await
        .expect("in");
    stack.finish().await;
}

#[tokio::test]
async fn passwords_of_an_account_are_limited_whether_or_not_there_is_one() {
    let stack = stack_with(tight(&["account"])).await;
    let organization = Organization::new(&stack).await;
    let admin_elsewhere = Organization::new(&stack).await.admin();
    for email in ["ann@example.com", "bob@example.com"] {
        let request = CreateStudentRequest {
            credential: Some(with_password(PASSWORD)),
            ..organization.student_request(email)
        };
        let platform = stack.platform();
        platform
            .students()
            .create_student(request)
            .await
            .expect("a student");
    }
    let sign_in = async |caller: &Caller, email: &str, password: &str| {
        let request = AuthenticateRequest {
            organization_id: organization.id.clone(),
            email: email.to_owned(),
            password: password.to_owned(),
        };
        caller.students().authenticate(request).await
    };
    let platform = stack.platform();
    let mut words = Vec::new();
    for email in ["ANN@example.com", "nobody@example.com"] {
        // Somebody who does not reach the organization shuts nobody out of it.
        for _ in 0..3 {
            let _ = sign_in(&admin_elsewhere, email, "a guess from afar").await;
        }
        for _ in 0..2 {
            let guess = sign_in(&platform, email, "a guess").await;
            refused(guess, ErrorReason::CredentialsInvalid);
        }
        let right = sign_in(&platform, &email.to_lowercase(), PASSWORD).await;
        let refusal = refused(right, ErrorReason::TooManyAttempts);
        assert!(retry_after_of(&refusal).is_some());
        words.push(refusal.message().to_owned());
    }
    words.dedup();
    assert_eq!(words.len(), 1, "{words:?}");
    sign_in(&platform, "bob@example.com", PASSWORD)
        .await
        .expect("good");
    stack.finish().await;
}
