//! Every role against every method, on what is its own, what is another's, what lies below and what is foreign.

mod beyond;
mod held;
mod matrix;
mod page;
mod places;

use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::identity::Role;
use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage as _, Value};
use tonic::Status;

use crate::harness::dynamic::{call, methods, path_of};
use crate::harness::{Caller, Scene, Stack, reason_of};

use matrix::Beyond::{Empty, Missing, Never};
use matrix::{Cell, Row, rows};
use places::{PLACES, Place, World};

/// The row of a method.
fn row(method: &MethodDescriptor) -> Row {
    let path = path_of(method);
    let mut found = rows().into_iter().filter(|row| row.path == path);
    let row = found.next();
    assert!(found.next().is_none(), "{path} has several rows");
    row.unwrap_or_else(|| panic!("{path} has no row"))
}

/// The services that have a method: both have the audit trail, each its own.
fn services(method: &MethodDescriptor) -> &'static [&'static str] {
    match method.parent_service().package_name() {
        "latchkey.keys.v1" => &["keys"],
        "latchkey.enrollment.v1" => &["enrollment"],
        _ => &["keys", "enrollment"],
    }
}

async fn ask(
    service: &str,
    caller: &Caller,
    method: &MethodDescriptor,
    request: DynamicMessage,
) -> Result<DynamicMessage, Status> {
    let connection = if service == "keys" {
        caller.to_keys()
    } else {
        caller.to_enrollment()
    };
    call(connection, method, request).await
}

/// By what an answer shows that it shows the scene's own.
enum Shows {
    /// It is a good answer.
    Answer,
    /// It is a list of something.
    Something,
    /// It is a list with this id in it.
    Id(String),
}

impl Shows {
    fn of(method: &MethodDescriptor, list: bool, scene: &Scene<'_>) -> Self {
        match method.name() {
            _ if !list => Self::Answer,
            "ListClasses" => Self::Id(scene.class.class_id.clone()),
            "ListStudents" | "BatchGetStudents" => Self::Id(scene.student.student_id.clone()),
            "ListKeyPools" => Self::Id(scene.pool_id.clone()),
            "ListSubscriptionProfiles" => Self::Id(scene.profile_id.clone()),
            "ListTrainingKeys" => Self::Id(scene.key.key_id.clone()),
            "ListNotifications" | "ListNotificationPlans" => Self::Id(scene.plan.plan_id.clone()),
            "ListRedemptions" => Self::Id(scene.enrollment.enrollment_id.clone()),
            "ListOrganizations" => Self::Id(scene.child_id.clone()),
            "ListAuditEvents" => Self::Something,
            other => panic!("what {other} lists is not known"),
        }
    }

    fn holds(&self, answer: &DynamicMessage) -> bool {
        if matches!(self, Self::Answer) {
            return true;
        }
        let field = answer
            .descriptor()
            .fields()
            .find(prost_reflect::FieldDescriptor::is_list)
            .expect("a list");
        let Value::List(items) = answer.get_field(&field).into_owned() else {
            panic!("{field:?} is a list")
        };
        match self {
            Self::Id(id) => format!("{items:?}").contains(id),
            _ => !items.is_empty(),
        }
    }
}

/// What a cell says of a call.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Done,
    Refused(ErrorReason),
    NotShown,
}

fn expected(row: &Row, role: Role, place: Place, method: &MethodDescriptor) -> Expected {
    let cell = row.cells[Role::ALL
        .iter()
        .position(|one| *one == role)
        .expect("a role")];
    match row.beyond {
        _ if cell == Cell::No => Expected::Refused(ErrorReason::NotAllowed),
        _ if place.is_reached(role, cell, method) => Expected::Done,
        Missing(reason) => Expected::Refused(reason),
        Empty => Expected::NotShown,
        Never => panic!("{} has a limited reach", path_of(method)),
    }
}

fn judge(
    answer: Result<DynamicMessage, Status>,
    expected: &Expected,
    shows: &Shows,
) -> Result<(), String> {
    match (answer, expected) {
        (Ok(answer), Expected::Done) if shows.holds(&answer) => Ok(()),
        (Ok(answer), Expected::NotShown) if !shows.holds(&answer) => Ok(()),
        (Err(refusal), Expected::Refused(reason)) if reason_of(&refusal) == *reason => Ok(()),
        (Ok(answer), expected) => Err(format!("{expected:?}, but was answered {answer:?}")),
        (Err(refusal), expected) => Err(format!("{expected:?}, but was refused: {refusal}")),
    }
}

/// The scene's request, asking lists for all they have.
async fn request(scene: &Scene<'_>, method: &MethodDescriptor, fresh: bool) -> DynamicMessage {
    let mut request = scene.request(method, fresh).await;
    if let Some(size) = method.input().get_field_by_name("page_size") {
        request.set_field(&size, Value::I32(1000));
    }
    request
}

/// The calls of a method that act on what their callers do not reach, by a role in a place.
fn unreached<'w, 's>(
    world: &'w World<'s>,
    method: &MethodDescriptor,
) -> Vec<(Role, Place, &'w Scene<'s>)> {
    let row = row(method);
    let mut unreached = Vec::new();
    for (role, cell) in Role::ALL.into_iter().zip(&row.cells) {
        if row.beyond == Never || matches!(cell, Cell::No | Cell::Anything) {
            continue;
        }
        for (place, scene) in &world.scenes {
            if !place.is_reached(role, *cell, method) {
                unreached.push((role, *place, scene));
            }
        }
    }
    unreached
}

/// Tries a method's cells; how many there were, and what was wrong.
async fn try_cells(world: &World<'_>, method: &MethodDescriptor) -> (usize, Vec<String>) {
    let row = row(method);
    let (mut tried, mut wrong) = (0, Vec::new());
    for role in Role::ALL {
        let caller = world.caller(role);
        for (place, scene) in &world.scenes {
            let expected = expected(&row, role, *place, method);
            let shows = Shows::of(method, row.beyond == Empty, scene);
            for service in services(method) {
                let request = request(scene, method, expected == Expected::Done).await;
                let answer = ask(service, &caller, method, request).await;
                // The enrollment service signs its own tokens, and does not believe them itself.
                let stranger = Expected::Refused(ErrorReason::TokenInvalid);
                let expected = match (role, *service) {
                    (Role::EnrollmentService, "enrollment") => &stranger,
                    _ => &expected,
                };
                tried += 1;
                if let Err(what) = judge(answer, expected, &shows) {
                    wrong.push(format!(
                        "{} by {role} on {place:?}: {what}",
                        path_of(method)
                    ));
                }
            }
        }
    }
    (tried, wrong)
}

#[tokio::test]
async fn every_cell_is_as_stated() {
    let stack = Stack::own().await;
    let world = World::new(&stack).await;
    let (mut tried, mut wrong) = (0, Vec::new());
    for method in methods() {
        let (cells, findings) = try_cells(&world, &method).await;
        tried += cells;
        wrong.extend(findings);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Each row for each role on each place; that of the audit trail in both services.
    let rows = rows().len() + 1;
    println!(
        "{tried} cells: {rows} rows, {} roles, {} places",
        Role::ALL.len(),
        PLACES.len()
    );
    assert_eq!(tried, rows * Role::ALL.len() * PLACES.len());
    stack.finish().await;
}

#[test]
fn the_matrix_and_the_contract_name_the_same_methods() {
    let contract: Vec<String> = methods().iter().map(path_of).collect();
    for row in rows() {
        let path = row.path;
        assert!(
            contract.iter().any(|known| known == path),
            "{path} is no method"
        );
    }
    assert_eq!(rows().len(), contract.len());
}

#[tokio::test]
async fn nobody_without_a_good_token_gets_anywhere() {
    let stack = Stack::shared().await;
    let scene = Scene::new(&stack, "otto-instructor").await;
    let good = stack.token(Role::Operator, "olga-operator", None);
    // The same claims, one letter of the signature changed.
    let last = if good.ends_with('A') { "B" } else { "A" };
    let forged = format!(
        "{}{last}{}",
        &good[..good.len() - 10],
        &good[good.len() - 9..]
    );
    for method in methods() {
        for service in services(&method) {
            for (token, reason) in [
                (None, ErrorReason::TokenMissing),
                (Some(forged.as_str()), ErrorReason::TokenInvalid),
            ] {
                let request = scene.request(&method, false).await;
                let answer = ask(service, &stack.bearer(token), &method, request).await;
                let refusal = answer.expect_err("no good token");
                assert_eq!(reason_of(&refusal), reason, "{}", path_of(&method));
            }
        }
    }
    stack.finish().await;
}

#[tokio::test]
async fn roles_add_up_and_reach_nothing_without_an_organization() {
    let stack = Stack::shared().await;
    let scene = Scene::new(&stack, "otto-instructor").await;
    let method = |name: &str| {
        methods()
            .into_iter()
            .find(|method| method.name() == name)
            .expect("a method")
    };
    let (reveal, get_class) = (method("RevealTrainingKeys"), method("GetClass"));
    let organization = Some(scene.organization.id.as_str());

    let both = stack.caller_with(
        &[Role::Instructor, Role::OperationsManager],
        "otto-instructor",
        organization,
    );
    ask("keys", &both, &reveal, scene.request(&reveal, true).await)
        .await
        .expect("as an operations manager");
    for roles in [
        &[Role::Administrator, Role::OperationsManager][..],
        &[Role::Student],
    ] {
        let nobody = stack.caller_with(roles, "someone", None);
        let answer = ask(
            "enrollment",
            &nobody,
            &get_class,
            scene.request(&get_class, true).await,
        )
        .await;
        assert_eq!(
            reason_of(&answer.expect_err("reaches nothing")),
            ErrorReason::ClassNotFound
        );
    }
    let nothing = stack.caller_with(&[], "someone", organization);
    let answer = ask(
        "enrollment",
        &nothing,
        &get_class,
        scene.request(&get_class, true).await,
    )
    .await;
    assert_eq!(
        reason_of(&answer.expect_err("has no role")),
        ErrorReason::NotAllowed
    );
    // The platform's issuer speaks for no service.
    let pretender = stack.caller(Role::EnrollmentService, "enrollment", None);
    let resolve = method("ResolveCodes");
    let answer = ask(
        "keys",
        &pretender,
        &resolve,
        scene.request(&resolve, true).await,
    )
    .await;
    assert_eq!(
        reason_of(&answer.expect_err("not the enrollment service")),
        ErrorReason::NotAllowed
    );
    stack.finish().await;
}
