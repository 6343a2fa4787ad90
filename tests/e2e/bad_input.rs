//! Whatever a field holds, the answer names it or is a good one: never an inner fault. Cases come from the contract.

mod cases;
mod rules;

use std::collections::BTreeSet;

use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::identity::Role;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::harness::dynamic::{call, call_raw, methods, path_of};
use crate::harness::{Caller, Scene, Stack, new_id, reason_of};
use cases::{Case, Demand};

/// Someone who may call every method for people, and the enrollment service for the others.
struct Callers {
    everybody: Caller,
    service: Caller,
}

impl Callers {
    fn new(stack: &Stack, scene: &Scene<'_>) -> Self {
        let roles = [
            Role::Operator,
            Role::PlatformService,
            Role::Administrator,
            Role::OperationsManager,
        ];
        let everybody = stack.caller_with(&roles, "ada-admin", Some(&scene.organization.id));
        Self {
            everybody,
            service: stack.enrollment_service(),
        }
    }

    async fn ask(
        &self,
        method: &MethodDescriptor,
        request: DynamicMessage,
    ) -> Result<DynamicMessage, Status> {
        let connection = match (
            method.parent_service().name(),
            method.parent_service().package_name(),
        ) {
            ("KeyUsageService", _) => self.service.to_keys(),
            (_, "latchkey.keys.v1") => self.everybody.to_keys(),
            _ => self.everybody.to_enrollment(),
        };
        call(connection, method, request).await
    }
}

/// The fields that a refusal names.
fn named(refusal: &Status) -> BTreeSet<String> {
    let details = refusal.get_details_bad_request();
    details
        .into_iter()
        .flat_map(|details| details.field_violations)
        .map(|violation| violation.field)
        .collect()
}

/// Whether `field` is named, itself or by something inside or around it: `end_time.seconds` names `end_time`.
fn names(named: &BTreeSet<String>, field: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        inner == outer
            || inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.starts_with(['.', '[']))
    };
    named.iter().any(|name| within(name, field))
}

fn judge(case: &Case, answer: Result<DynamicMessage, Status>) -> Result<(), String> {
    match answer {
        Ok(_) if case.demand == Demand::NamedOrGood => Ok(()),
        Ok(_) => Err("was accepted".to_owned()),
        Err(refusal) => {
            let reason = reason_of(&refusal);
            let is_named =
                reason == ErrorReason::FieldInvalid && names(&named(&refusal), &case.field);
            let fault = matches!(
                refusal.code(),
                Code::Internal
                    | Code::Unknown
                    | Code::Unavailable
                    | Code::DeadlineExceeded
                    | Code::Cancelled
            );
            match case.demand {
                _ if is_named => Ok(()),
                Demand::NamedOrGood if !fault && reason != ErrorReason::FieldInvalid => Ok(()),
                _ => Err(format!("{refusal} {:?}", named(&refusal))),
            }
        }
    }
}

/// Sends every bad version of a good request to each of these methods.
async fn try_all(stack: &Stack, of_service: impl Fn(&MethodDescriptor) -> bool) {
    let scene = Scene::new(stack, "ines-instructor").await;
    let callers = Callers::new(stack, &scene);
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for method in methods().iter().filter(|method| of_service(method)) {
        // One good request serves all cases of a method: what a refused call names is there all the same.
        let good = scene.request(method, true).await;
        for case in cases::of(&good) {
            tried += 1;
            let answer = callers.ask(method, case.request.clone()).await;
            if let Err(what) = judge(&case, answer) {
                wrong.push(format!(
                    "{} {} {}: {what}",
                    path_of(method),
                    case.field,
                    case.what
                ));
            }
        }
    }
    assert!(tried > 200, "only {tried} cases");
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn is_internal(method: &MethodDescriptor) -> bool {
    method.parent_service().name() == "KeyUsageService"
}

#[tokio::test]
async fn each_field_missing_oversized_malformed_or_hostile_is_named_or_harmless() {
    let stack = Stack::own().await;
    try_all(&stack, |method| !is_internal(method)).await;
    stack.finish().await;
}

#[tokio::test]
async fn so_it_is_with_each_field_that_the_enrollment_service_sends() {
    let stack = Stack::own().await;
    try_all(&stack, is_internal).await;
    stack.finish_after_untruths().await;
}

#[tokio::test]
async fn all_fields_at_fault_are_named_at_once() {
    let stack = Stack::shared().await;
    let scene = Scene::new(&stack, "ines-instructor").await;
    let callers = Callers::new(&stack, &scene);
    let mut wrong = Vec::new();
    for method in methods() {
        let (request, broken) = cases::all_broken(&scene.request(&method, false).await);
        if broken.is_empty() {
            continue;
        }
        let refusal = callers
            .ask(&method, request)
            .await
            .expect_err("every field is at fault");
        let named = named(&refusal);
        let unnamed: Vec<_> = broken
            .iter()
            .filter(|field| !names(&named, field))
            .collect();
        if reason_of(&refusal) != ErrorReason::FieldInvalid || !unnamed.is_empty() {
            wrong.push(format!(
                "{}: {unnamed:?} are not named: {refusal} {named:?}",
                path_of(&method)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    stack.finish().await;
}

#[tokio::test]
async fn an_empty_request_is_refused_naming_all_that_must_be_there() {
    let stack = Stack::shared().await;
    let scene = Scene::new(&stack, "ines-instructor").await;
    let callers = Callers::new(&stack, &scene);
    for method in methods() {
        let required = rules::required(&method.input());
        if required.is_empty() {
            continue;
        }
        let refusal = callers
            .ask(&method, DynamicMessage::new(method.input()))
            .await
            .expect_err("empty");
        assert_eq!(
            reason_of(&refusal),
            ErrorReason::FieldInvalid,
            "{}",
            path_of(&method)
        );
        let named = named(&refusal);
        for field in required {
            assert!(
                names(&named, &field),
                "{} {field}: {named:?}",
                path_of(&method)
            );
        }
    }
    stack.finish().await;
}

#[tokio::test]
async fn what_is_no_message_at_all_is_refused_as_such() {
    let stack = Stack::shared().await;
    let scene = Scene::new(&stack, "ines-instructor").await;
    let callers = Callers::new(&stack, &scene);
    let garbage: [(&str, Vec<u8>); 4] = [
        ("a field that ends too early", vec![0x0a, 0x7f, b'x']),
        ("text that is no UTF-8", vec![0x0a, 0x02, 0xff, 0xfe]),
        ("noise", (0..200_u8).rev().collect()),
        ("a field number of zero", vec![0x00, 0x00]),
    ];
    for path in [
        "/latchkey.enrollment.v1.RedemptionService/RedeemKey",
        "/latchkey.enrollment.v1.ClassService/GetClass",
        "/latchkey.enrollment.v1.StudentService/CreateStudent",
    ] {
        for (what, bytes) in &garbage {
            let answer = call_raw(callers.everybody.to_enrollment(), path, bytes.clone()).await;
            let refusal = answer.expect_err(what);
            assert_eq!(
                reason_of(&refusal),
                ErrorReason::FieldInvalid,
                "{path} {what}"
            );
        }
        // Larger than any message: 2 MiB of a field that does not exist.
        let mut large = vec![0xfa, 0x3e, 0x80, 0x80, 0x80, 0x01];
        large.resize(large.len() + 2 * 1024 * 1024, b'x');
        let answer = call_raw(callers.everybody.to_enrollment(), path, large).await;
        assert_eq!(
            reason_of(&answer.expect_err("too large")),
            ErrorReason::FieldInvalid,
            "{path}"
        );
    }
    // The service goes on.
    let class_id = scene.class.class_id.clone();
    scene.organization.get_class(&class_id).await;
    stack.finish().await;
}

#[tokio::test]
async fn an_update_names_known_fields_and_at_least_one() {
    let stack = Stack::shared().await;
    let scene = Scene::new(&stack, "ines-instructor").await;
    let callers = Callers::new(&stack, &scene);
    let updates: Vec<_> = methods()
        .into_iter()
        .filter(|method| method.name().starts_with("Update"))
        .collect();
    assert_eq!(updates.len(), 6);
    for method in updates {
        let own_id = match method.name() {
            "UpdateClass" => "class_id",
            "UpdateStudent" => "student_id",
            "UpdateKeyPool" => "pool_id",
            "UpdateSubscriptionProfile" => "profile_id",
            "UpdateSubscriptionKey" => "key_id",
            _ => "organization_id",
        };
        for paths in [
            &[][..],
            &["*"],
            &["no_such_field"],
            &[own_id],
            &["etag"],
            &["name.first"],
            &["\0"],
        ] {
            let mut request = scene.request(&method, true).await;
            cases::set_mask(&mut request, paths);
            let refusal = callers.ask(&method, request).await.expect_err("a bad mask");
            assert!(
                names(&named(&refusal), "update_mask"),
                "{} {paths:?}: {refusal}",
                path_of(&method)
            );
        }
    }
    stack.finish().await;
}

#[tokio::test]
async fn rules_across_fields_are_said_by_field_too() {
    let stack = Stack::shared().await;
    let scene = Scene::new(&stack, "ines-instructor").await;
    let admin = scene.organization.admin();
    let draft = || crate::harness::ClassDraft::new();
    let (soon, later) = (
        crate::harness::now(),
        crate::harness::now() + chrono::TimeDelta::days(400),
    );
    let changed = [
        (draft().dates(later, soon), "end_time"),
        (draft().dates(soon, soon), "end_time"),
        (draft().dates(soon, later), "end_time"),
        (
            draft().change(|request| request.minimum_students = Some(31)),
            "minimum_students",
        ),
        (
            draft().change(|request| request.time_zone = "Mars/Olympus_Mons".to_owned()),
            "time_zone",
        ),
        (
            draft().change(|request| request.name = " \u{a0}\t".to_owned()),
            "name",
        ),
        (
            draft().change(|request| request.instructors = vec!["ines".to_owned(); 2]),
            "instructors",
        ),
    ];
    for (draft, field) in changed {
        let answer = admin
            .classes()
            .create_class(draft.request(&scene.organization.id))
            .await;
        let Err(refusal) = answer else {
            panic!("{field} was accepted")
        };
        assert_eq!(reason_of(&refusal), ErrorReason::FieldInvalid, "{refusal}");
        assert!(names(&named(&refusal), field), "{field}: {refusal}");
    }
    let request = latchkey_proto::enrollment::v1::ListEnrollmentsRequest::default();
    let refusal = admin
        .enrollments()
        .list_enrollments(request)
        .await
        .expect_err("neither class nor student");
    assert_eq!(reason_of(&refusal), ErrorReason::FieldInvalid);
    let request = latchkey_proto::enrollment::v1::CheckKeyRequest {
        code: scene.event_code.clone(),
        student_id: scene.student.student_id.clone(),
        organization_id: new_id(),
    };
    let refusal = admin
        .redemptions()
        .check_key(request)
        .await
        .expect_err("both student and organization");
    assert_eq!(reason_of(&refusal), ErrorReason::FieldInvalid);
    stack.finish().await;
}

/// A client that makes no ids sends this one with each of its wishes.
#[tokio::test]
async fn an_id_of_zeros_is_nobodys_own() {
    let stack = Stack::shared().await;
    let scene = Scene::new(&stack, "ines-instructor").await;
    let callers = Callers::new(&stack, &scene);
    let mut asked = 0;
    for method in methods() {
        let input = method.input();
        let own = ["redemption_id", "request_id"].map(|field| input.get_field_by_name(field));
        let Some(own) = own.into_iter().flatten().next() else {
            continue;
        };
        if method.name().starts_with("Get") || method.name().starts_with("List") {
            continue;
        }
        let mut request = scene.request(&method, false).await;
        request.set_field(&own, Value::String(Uuid::nil().to_string()));
        let refusal = callers.ask(&method, request).await.expect_err("zeros");
        assert!(
            names(&named(&refusal), own.name()),
            "{}: {refusal}",
            path_of(&method)
        );
        asked += 1;
    }
    assert!(asked > 12, "{asked}");
    stack.finish().await;
}
