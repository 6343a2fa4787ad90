//! Passwords when what their hashes cost is changed, and when too many are checked at once.

use std::time::Duration;

use futures::future::join_all;
use latchkey::stack::Service;
use latchkey_proto::enrollment::v1::{
    AuthenticateRequest, AuthenticateResponse, CreateStudentRequest, Credential, Password,
};
use latchkey_proto::errors::v1::ErrorReason;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

use crate::harness::{Options, Organization, Stack, eventually, new_id, reason_of, refused};

const PASSWORD: &str = "correct horse battery staple";
const OTHER: &str = "incorrect horse, dead battery";

/// Costs that tests can afford: what hashes cost at first, and later.
const CHEAP: &str = "[passwords]\nmemory_kib = 1024\npasses = 1\n";
const DEARER: &str = "passes = 2";

async fn stack(settings: &'static str) -> Stack {
    let options = Options {
        enrollment: settings,
        ..Options::default()
    };
    Stack::with(options).await
}

/// A new student with a password; the request to sign in.
async fn with_password(organization: &Organization<'_>, password: &str) -> AuthenticateRequest {
    let email = format!("{}@example.com", new_id());
    let request = CreateStudentRequest {
        credential: Some(Credential {
            password: Some(Password {
                text: password.to_owned(),
            }),
            ..Credential::default()
        }),
        ..organization.student_request(&email)
    };
    let mut students = organization.stack.platform().students();
    students.create_student(request).await.expect("a student");
    AuthenticateRequest {
        organization_id: organization.id.clone(),
        email,
        password: password.to_owned(),
    }
}

async fn sign_in(
    stack: &Stack,
    request: &AuthenticateRequest,
) -> Result<Response<AuthenticateResponse>, Status> {
    let mut students = stack.platform().students();
    students.authenticate(request.clone()).await
}

/// The stored hash of the student who signs in by `request`.
async fn hash_of(stack: &Stack, request: &AuthenticateRequest) -> String {
    sqlx::query_scalar("SELECT password_hash FROM enrollment.students WHERE email = $1")
        .bind(&request.email)
        .fetch_one(&mut stack.database().await)
        .await
        .expect("a hash")
}

/// Has hashes cost more from now on.
async fn raise_the_cost(stack: &mut Stack) {
    let enrollment = stack.replica(Service::Enrollment, 0);
    enrollment.stop().await;
    let config = std::fs::read_to_string(&enrollment.config).expect("its configuration");
    assert!(config.contains("passes = 1"));
    let config = config.replace("passes = 1", DEARER);
    std::fs::write(&enrollment.config, config).expect("written");
    enrollment.run().await;
}

#[tokio::test]
async fn who_signs_in_after_the_cost_was_changed_is_hashed_anew_and_nobody_else() {
    let mut stack = stack(CHEAP).await;
    let organization = Organization::new(&stack).await;
    let student = with_password(&organization, PASSWORD).await;
    let old = hash_of(&stack, &student).await;
    assert!(old.contains("$m=1024,t=1,p=1$"), "{old}");
    sign_in(&stack, &student).await.expect("in");
    assert_eq!(hash_of(&stack, &student).await, old, "the cost is the same");
    raise_the_cost(&mut stack).await;

    let mistaken = AuthenticateRequest {
        password: OTHER.to_owned(),
        ..student.clone()
    };
    refused(
        sign_in(&stack, &mistaken).await,
        ErrorReason::CredentialsInvalid,
    );
    assert_eq!(
        hash_of(&stack, &student).await,
        old,
        "who did not get in changes nothing"
    );
    let many = join_all((0..8).map(|_| sign_in(&stack, &student))).await;
    for answer in many {
        answer.expect("in");
    }
    let new = hash_of(&stack, &student).await;
    assert!(new.contains("$m=1024,t=2,p=1$"), "{new}");
    sign_in(&stack, &student).await.expect("in by the new hash");
    assert_eq!(hash_of(&stack, &student).await, new, "once is enough");
    refused(
        sign_in(&stack, &mistaken).await,
        ErrorReason::CredentialsInvalid,
    );
    stack.finish().await;
}

#[tokio::test]
async fn a_password_that_was_changed_meanwhile_is_not_hashed_over() {
    let mut stack = stack(CHEAP).await;
    let organization = Organization::new(&stack).await;
    let student = with_password(&organization, PASSWORD).await;
    let other = with_password(&organization, OTHER).await;
    raise_the_cost(&mut stack).await;
    stack
        .replica(Service::Enrollment, 0)
        .set_faults("authenticate::hashed_anew=sleep(3000)")
        .await;
    let old = hash_of(&stack, &student).await;
    let changed = async {
        // It has begun, and sleeps with its answer.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let theirs = hash_of(&stack, &other).await;
        let set = sqlx::query("UPDATE enrollment.students SET password_hash = $2 WHERE email = $1");
        set.bind(&student.email)
            .bind(&theirs)
            .execute(&mut stack.database().await)
            .await
            .expect("changed");
        theirs
    };
    let (signed_in, theirs) = tokio::join!(sign_in(&stack, &student), changed);
    signed_in.expect("in, by the password of before");
    assert_ne!(old, theirs);
    assert_eq!(
        hash_of(&stack, &student).await,
        theirs,
        "the newer password stands"
    );
    stack.replica(Service::Enrollment, 0).set_faults("").await;
    refused(
        sign_in(&stack, &student).await,
        ErrorReason::CredentialsInvalid,
    );
    stack.finish().await;
}

#[tokio::test]
async fn of_too_many_at_once_those_on_top_are_sent_away_at_once() {
    let stack =
        stack("[passwords]\nmemory_kib = 65536\npasses = 4\nat_once = 1\nwaiting = 2").await;
    let organization = Organization::new(&stack).await;
    let student = with_password(&organization, PASSWORD).await;
    let answers = join_all((0..16).map(|_| sign_in(&stack, &student))).await;
    let mut sent_away = 0;
    for refusal in answers.into_iter().filter_map(Result::err) {
        assert_eq!(reason_of(&refusal), ErrorReason::Overloaded);
        assert_eq!(refusal.code(), Code::ResourceExhausted);
        let retry = refusal.get_details_retry_info();
        assert!(retry.is_some_and(|retry| retry.retry_delay.is_some()));
        sent_away += 1;
    }
    assert!(
        (1..=15).contains(&sent_away),
        "{sent_away} of 16 were sent away"
    );
    eventually("there is room again", async || {
        let answer = sign_in(&stack, &student).await;
        answer.map(drop).map_err(|refusal| refusal.to_string())
    })
    .await;
    stack.finish().await;
}
