//! Every role against every method, on what is its own, what lies below and what is foreign.

mod matrix;

use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::identity::Role;
use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage as _, Value};
use tonic::Status;

use crate::harness::dynamic::{call, methods, path_of};
use crate::harness::{Caller, Organization, Scene, Stack, reason_of};

use matrix::Beyond::{self, Empty, Missing, Never};
use matrix::{Cell, Row, rows};

/// The row of a method.
fn row(method: &MethodDescriptor) -> Row {
    let path = path_of(method);
    let mut found = rows().into_iter().filter(|row| row.path == path);
    let row = found.next();
    assert!(found.next().is_none(), "{path} has several rows");
    row.unwrap_or_else(|| panic!("{path} has no row"))
}

/// Where what a call acts on stands, seen from the callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Own,
    Below,
    Foreign,
}

/// Own, below and foreign, and those who call.
struct World<'s> {
    stack: &'s Stack,
    scenes: [(Target, Scene<'s>); 3],
}

impl<'s> World<'s> {
    async fn new(stack: &'s Stack) -> Self {
        let own = Scene::new(stack, "otto-instructor").await;
        let below = Scene::within(own.organization.child().await, "bert-instructor").await;
        let foreign = Scene::within(Organization::new(stack).await, "bert-instructor").await;
        Self {
            stack,
            scenes: [
                (Target::Own, own),
                (Target::Below, below),
                (Target::Foreign, foreign),
            ],
        }
    }

    fn own(&self) -> &Scene<'s> {
        &self.scenes[0].1
    }

    fn caller(&self, role: Role) -> Caller {
        let organization = Some(self.own().organization.id.as_str());
        match role {
            Role::Operator => self.stack.operator(),
            Role::PlatformService => self.stack.platform(),
            Role::Instructor => self.stack.caller(role, "otto-instructor", organization),
            Role::Student => self
                .stack
                .caller(role, &self.own().student.student_id, organization),
            Role::EnrollmentService => self.stack.enrollment_service(),
            Role::Administrator | Role::OperationsManager => {
                self.stack.caller(role, "ada-admin", organization)
            }
        }
    }
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

/// How many things a list shows.
fn shown(answer: &DynamicMessage) -> usize {
    let field = answer
        .descriptor()
        .fields()
        .find(prost_reflect::FieldDescriptor::is_list)
        .expect("a list");
    let Value::List(items) = answer.get_field(&field).into_owned() else {
        panic!("{field:?} is a list")
    };
    items.len()
}

/// What a cell says of a call.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Done,
    Refused(ErrorReason),
    NothingShown,
}

fn expected(cell: Cell, beyond: Beyond, target: Target, method: &MethodDescriptor) -> Expected {
    let reached = match cell {
        Cell::No => return Expected::Refused(ErrorReason::NotAllowed),
        Cell::Anything => true,
        Cell::Organization => target != Target::Foreign,
        Cell::Own => target == Target::Own,
    };
    match beyond {
        _ if reached => Expected::Done,
        Missing(reason) => Expected::Refused(reason),
        Empty => Expected::NothingShown,
        Never => panic!("{} has a limited reach", path_of(method)),
    }
}

fn judge(
    answer: Result<DynamicMessage, Status>,
    expected: &Expected,
    list: bool,
) -> Result<(), String> {
    match (answer, expected) {
        (Ok(answer), Expected::Done) if !list || shown(&answer) > 0 => Ok(()),
        (Ok(answer), Expected::NothingShown) if shown(&answer) == 0 => Ok(()),
        (Err(refusal), Expected::Refused(reason)) if reason_of(&refusal) == *reason => Ok(()),
        (Ok(answer), expected) => Err(format!("{expected:?}, but was answered {answer:?}")),
        (Err(refusal), expected) => Err(format!("{expected:?}, but was refused: {refusal}")),
    }
}

#[tokio::test]
async fn every_cell_is_as_stated() {
    let stack = Stack::own().await;
    let world = World::new(&stack).await;
    let mut wrong = Vec::new();
    for method in methods() {
        let Row { cells, beyond, .. } = row(&method);
        for (role, cell) in Role::ALL.iter().zip(cells) {
            let caller = world.caller(*role);
            for (target, scene) in &world.scenes {
                let expected = expected(cell, beyond, *target, &method);
                for service in services(&method) {
                    let request = scene.request(&method, expected == Expected::Done).await;
                    let answer = ask(service, &caller, &method, request).await;
                    // The enrollment service signs its own tokens, and does not believe them itself.
                    let stranger = Expected::Refused(ErrorReason::TokenInvalid);
                    let expected = match (role, *service) {
                        (Role::EnrollmentService, "enrollment") => &stranger,
                        _ => &expected,
                    };
                    if let Err(what) = judge(answer, expected, beyond == Empty) {
                        wrong.push(format!(
                            "{} by {role} on {target:?}: {what}",
                            path_of(&method)
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

/// What a refusal shows, without the ids that the caller gave.
fn text_of(refusal: &Status) -> String {
    let shown = format!(
        "{:?} {} {:?}",
        refusal.code(),
        refusal.message(),
        refusal_details(refusal)
    );
    let id = regex::Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").expect("a pattern");
    id.replace_all(&shown, "ID").into_owned()
}

fn refusal_details(refusal: &Status) -> tonic_types::ErrorDetails {
    use tonic_types::StatusExt as _;
    refusal.get_error_details()
}

#[tokio::test]
async fn what_is_beyond_reach_looks_like_what_does_not_exist() {
    let stack = Stack::shared().await;
    let world = World::new(&stack).await;
    let (foreign, nowhere) = (&world.scenes[2].1, world.own().nowhere());
    for method in methods() {
        let Row { cells, beyond, .. } = row(&method);
        let Missing(_) = beyond else { continue };
        for (role, cell) in Role::ALL.iter().zip(cells) {
            if matches!(cell, Cell::No | Cell::Anything) {
                continue;
            }
            let caller = world.caller(*role);
            let mut seen = Vec::new();
            for scene in [foreign, &nowhere] {
                let request = scene.request(&method, false).await;
                let answer = ask(services(&method)[0], &caller, &method, request).await;
                seen.push(text_of(&answer.expect_err("beyond reach")));
            }
            assert_eq!(seen[0], seen[1], "{} by {role}", path_of(&method));
        }
    }
    stack.finish().await;
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
