//! Reasons that lie in the call itself, in the load, or in what the services stand on.

use latchkey::stack::Service;
use latchkey_proto::enrollment::v1::{
    ClassStatus, CreateOrganizationRequest, GetClassRequest, UpdateClassRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::identity::Role;
use sqlx::{AssertSqlSafe, Connection};
use tonic::{Response, Status};

use super::Provoked;
use crate::harness::dynamic::call_raw;
use crate::harness::scene::NO_KEYS_CODE;
use crate::harness::world::{mask, redeem};
use crate::harness::{ClassDraft, Options, Organization, Stack, eventually, refused};

/// The faults that this file provokes on purpose, as the logs count them.
const INNER_FAULTS: usize = 1;

pub(super) async fn provoke(provoked: &mut Provoked) {
    let options = Options {
        enrollment: "[database]\nlock_timeout_ms = 100",
        ..Options::default()
    };
    let mut stack = Stack::with(options).await;
    {
        let organization = Organization::new(&stack).await;
        callers(provoked, &organization).await;
        requests(provoked, &organization).await;
        locked(provoked, &organization).await;
        broken(provoked, &organization).await;
    }
    unreachable(provoked, &mut stack).await;
    stack.finish_after_faults(INNER_FAULTS).await;
}

async fn callers(provoked: &mut Provoked, organization: &Organization<'_>) {
    let stack = organization.stack;
    let get = || GetClassRequest {
        class_id: organization.id.clone(),
    };
    let answer = stack.bearer(None).classes().get_class(get()).await;
    provoked.keep("no token", ErrorReason::TokenMissing, answer);
    let answer = stack
        .bearer(Some("not.a.token"))
        .classes()
        .get_class(get())
        .await;
    provoked.keep("no good token", ErrorReason::TokenInvalid, answer);
    let request = ClassDraft::new().request(&organization.id);
    let answer = stack
        .caller(Role::Instructor, "ines", Some(&organization.id))
        .classes()
        .create_class(request)
        .await;
    provoked.keep(
        "an instructor creates a class",
        ErrorReason::NotAllowed,
        answer,
    );
    for service in [
        "/latchkey.enrollment.v1.ClassService/Guess",
        "/no.such.Service/Method",
    ] {
        let answer = call_raw(stack.operator().to_enrollment(), service, Vec::new()).await;
        provoked.keep(
            "no such method",
            ErrorReason::MethodUnknown,
            answer.map(Response::new),
        );
    }
}

async fn requests(provoked: &mut Provoked, organization: &Organization<'_>) {
    let operator = organization.stack.operator();
    let request = CreateOrganizationRequest {
        request_id: "one".to_owned(),
        parent_id: "two".to_owned(),
        display_name: "x".repeat(201),
    };
    let answer = operator.organizations().create_organization(request).await;
    provoked.keep("fields that break rules", ErrorReason::FieldInvalid, answer);
    let draft = ClassDraft::new().ended().change(|request| {
        (request.start_time, request.end_time) = (request.end_time, request.start_time);
        request.minimum_students = Some(31);
        "Mars/Olympus_Mons".clone_into(&mut request.time_zone);
    });
    let answer = organization
        .admin()
        .classes()
        .create_class(draft.request(&organization.id))
        .await;
    provoked.keep(
        "fields that do not fit each other",
        ErrorReason::FieldInvalid,
        answer,
    );
    let path = "/latchkey.enrollment.v1.ClassService/GetClass";
    let answer = call_raw(operator.to_enrollment(), path, vec![0x0a, 0x7f]).await;
    provoked.keep(
        "no message",
        ErrorReason::FieldInvalid,
        answer.map(Response::new),
    );
}

fn rename(class_id: &str) -> UpdateClassRequest {
    UpdateClassRequest {
        class_id: class_id.to_owned(),
        update_mask: mask(&["name"]),
        name: "Renamed".to_owned(),
        ..UpdateClassRequest::default()
    }
}

/// Somebody holds the class's row for longer than anyone waits.
async fn locked(provoked: &mut Provoked, organization: &Organization<'_>) {
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let mut connection = organization.stack.database().await;
    let mut holder = connection.begin().await.expect("a transaction");
    let lock = format!(
        "SELECT FROM enrollment.classes WHERE class_id = '{}' FOR UPDATE",
        class.class_id
    );
    sqlx::raw_sql(AssertSqlSafe(lock))
        .execute(&mut *holder)
        .await
        .expect("locked");
    let answer = organization
        .admin()
        .classes()
        .update_class(rename(&class.class_id))
        .await;
    provoked.keep(
        "update a class that others hold",
        ErrorReason::Conflict,
        answer,
    );
    let answer = redeem(organization.stack, &student, &code).await;
    provoked.keep(
        "redeem in a class that others hold",
        ErrorReason::Conflict,
        answer,
    );
    holder.rollback().await.expect("let go");
    redeem(organization.stack, &student, &code)
        .await
        .expect("in");
}

/// A row that no release of the service can have written.
async fn broken(provoked: &mut Provoked, organization: &Organization<'_>) {
    let class = organization.class(ClassDraft::new()).await;
    let mut connection = organization.stack.database().await;
    let mut zone = async |zone: &str| {
        let class_id = &class.class_id;
        let change = format!(
            "UPDATE enrollment.classes SET time_zone = '{zone}' WHERE class_id = '{class_id}'"
        );
        sqlx::raw_sql(AssertSqlSafe(change))
            .execute(&mut connection)
            .await
            .expect("changed");
    };
    zone("Mars/Olympus_Mons").await;
    let request = GetClassRequest {
        class_id: class.class_id.clone(),
    };
    let answer = organization.admin().classes().get_class(request).await;
    provoked.keep("a row that makes no sense", ErrorReason::Internal, answer);
    zone(&class.time_zone).await;
}

/// The keys service is gone, and comes back.
async fn unreachable(provoked: &mut Provoked, stack: &mut Stack) {
    let (student, code) = {
        let organization = Organization::new(stack).await;
        let (_, code) = organization.event_class(ClassDraft::new()).await;
        (organization.student().await.student_id, code)
    };
    stack.replica(Service::Keys, 0).kill().await;
    let answer = redeem(stack, &student, &code).await;
    provoked.keep(
        "redeem without the keys service",
        ErrorReason::DependencyUnavailable,
        answer,
    );
    stack.replica(Service::Keys, 0).run().await;
    eventually("redeemed again", async || {
        redeem(stack, &student, &code)
            .await
            .map(|_| ())
            .map_err(|refusal| refusal.to_string())
    })
    .await;
}

/// A service that takes one call at a time, and gives it little time.
pub(super) async fn provoke_in_a_tight_place(provoked: &mut Provoked) {
    let options = Options {
        enrollment: "[limits]\nmax_calls = 1\ndefault_deadline_ms = 1000\n[database]\nlock_timeout_ms = 4000",
        ..Options::default()
    };
    let stack = Stack::with(options).await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    assert_eq!(class.status(), ClassStatus::Scheduled);
    let mut connection = stack.database().await;
    let mut holder = connection.begin().await.expect("a transaction");
    let lock = format!(
        "SELECT FROM enrollment.classes WHERE class_id = '{}' FOR UPDATE",
        class.class_id
    );
    sqlx::raw_sql(AssertSqlSafe(lock))
        .execute(&mut *holder)
        .await
        .expect("locked");
    let answer = organization
        .admin()
        .classes()
        .update_class(rename(&class.class_id))
        .await;
    provoked.keep(
        "update a class that others hold",
        ErrorReason::DeadlineExceeded,
        answer,
    );
    // Its handler is still at work.
    let get = || async {
        let request = GetClassRequest {
            class_id: class.class_id.clone(),
        };
        organization.admin().classes().get_class(request).await
    };
    provoked.keep("one call too many", ErrorReason::Overloaded, get().await);
    holder.rollback().await.expect("let go");
    eventually("served again", async || {
        get()
            .await
            .map(|_| ())
            .map_err(|refusal: Status| refusal.to_string())
    })
    .await;
    stack.finish().await;
}

/// A service that takes one wrong code.
pub(super) async fn provoke_by_guessing(provoked: &mut Provoked) {
    let options = Options {
        enrollment: "[guessing]\nstudent_burst = 1\nstudent_refill_ms = 3600000",
        ..Options::default()
    };
    let stack = Stack::with(options).await;
    let organization = Organization::new(&stack).await;
    let student = organization.student().await.student_id;
    let guess = redeem(&stack, &student, NO_KEYS_CODE).await;
    refused(guess, ErrorReason::KeyNotFound);
    let guess = redeem(&stack, &student, NO_KEYS_CODE).await;
    provoked.keep("guess once more", ErrorReason::TooManyAttempts, guess);
    stack.finish().await;
}
