//! Every role against every method, on what is its own, what lies below and what is foreign.

use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::identity::Role;
use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage as _, Value};
use tonic::Status;

use crate::harness::dynamic::{call, methods, path_of};
use crate::harness::{Caller, Organization, Scene, Stack, reason_of};

/// What one role may do with a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// `*`: everywhere.
    Anything,
    /// `o`: in its own organization and below.
    Organization,
    /// `c`: in classes that name it as an instructor; `s`: for itself, a student.
    Own,
    /// `-`: not at all.
    No,
}

/// How a method answers a caller beyond whose reach its target lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beyond {
    /// As if it were not there.
    Missing(ErrorReason),
    /// With nothing, as lists do.
    Empty,
    /// Not at all: whoever may call the method reaches everything.
    Never,
}

use Beyond::{Empty, Missing, Never};
use ErrorReason::{
    ClassNotFound, CredentialsInvalid, EnrollmentNotFound, KeyNotFound, OrganizationNotFound, RedemptionNotFound,
    StudentNotFound,
};

/// The callers, in the order of the columns.
const COLUMNS: [Role; 7] = Role::ALL;

/// Every method with a cell for each role: operator, platform service, administrator, operations manager, instructor,
/// student, enrollment service.
const MATRIX: &[(&str, &str, Beyond)] = &[
    ("/latchkey.enrollment.v1.OrganizationService/CreateOrganization", "* - - - - - -", Never),
    ("/latchkey.enrollment.v1.OrganizationService/GetOrganization", "* - o o - - -", Missing(OrganizationNotFound)),
    ("/latchkey.enrollment.v1.OrganizationService/ListOrganizations", "* - o o - - -", Empty),
    ("/latchkey.enrollment.v1.OrganizationService/UpdateOrganization", "* - o o - - -", Missing(OrganizationNotFound)),
    ("/latchkey.enrollment.v1.OrganizationService/SetSelfRegistration", "* - - - - - -", Never),
    ("/latchkey.enrollment.v1.ClassService/CreateClass", "- - o o - - -", Missing(OrganizationNotFound)),
    ("/latchkey.enrollment.v1.ClassService/GetClass", "* * o o c s -", Missing(ClassNotFound)),
    ("/latchkey.enrollment.v1.ClassService/ListClasses", "* * o o c s -", Empty),
    ("/latchkey.enrollment.v1.ClassService/UpdateClass", "- - o o - - -", Missing(ClassNotFound)),
    ("/latchkey.enrollment.v1.ClassService/CancelClass", "- - o o - - -", Missing(ClassNotFound)),
    ("/latchkey.enrollment.v1.StudentService/CreateStudent", "- * o o - - -", Missing(OrganizationNotFound)),
    ("/latchkey.enrollment.v1.StudentService/GetStudent", "* * o o c s -", Missing(StudentNotFound)),
    ("/latchkey.enrollment.v1.StudentService/BatchGetStudents", "* * o o c s -", Empty),
    ("/latchkey.enrollment.v1.StudentService/ListStudents", "* * o o c s -", Empty),
    ("/latchkey.enrollment.v1.StudentService/UpdateStudent", "- * o o - - -", Missing(StudentNotFound)),
    ("/latchkey.enrollment.v1.StudentService/DeactivateStudent", "- * o o - - -", Missing(StudentNotFound)),
    ("/latchkey.enrollment.v1.StudentService/ActivateStudent", "- * o o - - -", Missing(StudentNotFound)),
    ("/latchkey.enrollment.v1.StudentService/Authenticate", "- * o o - - -", Missing(CredentialsInvalid)),
    ("/latchkey.enrollment.v1.RedemptionService/CheckKey", "- * o o - s -", Missing(StudentNotFound)),
    ("/latchkey.enrollment.v1.RedemptionService/RedeemKey", "- * o o - s -", Missing(StudentNotFound)),
    ("/latchkey.enrollment.v1.RedemptionService/RegisterWithKey", "- * o o - - -", Missing(OrganizationNotFound)),
    ("/latchkey.enrollment.v1.RedemptionService/GetRedemption", "* - o o - - -", Missing(RedemptionNotFound)),
    ("/latchkey.enrollment.v1.RedemptionService/ListRedemptions", "* - o o - - -", Empty),
    ("/latchkey.enrollment.v1.EnrollmentService/EnrollStudent", "- - o o - - -", Missing(ClassNotFound)),
    ("/latchkey.enrollment.v1.EnrollmentService/CancelEnrollment", "- - o o - s -", Missing(EnrollmentNotFound)),
    ("/latchkey.enrollment.v1.EnrollmentService/GetEnrollment", "* * o o c s -", Missing(EnrollmentNotFound)),
    ("/latchkey.enrollment.v1.EnrollmentService/ListEnrollments", "* * o o c s -", Missing(ClassNotFound)),
    ("/latchkey.enrollment.v1.EnrollmentService/GetRoster", "* * o o c s -", Missing(ClassNotFound)),
    ("/latchkey.enrollment.v1.EnrollmentService/GetAccess", "* * o o c s -", Missing(StudentNotFound)),
    ("/latchkey.keys.v1.TrainingKeyService/GenerateTrainingKeys", "- - o o - - -", Missing(ClassNotFound)),
    ("/latchkey.keys.v1.TrainingKeyService/ListTrainingKeys", "- - o o - - -", Empty),
    ("/latchkey.keys.v1.TrainingKeyService/GetTrainingKey", "- - o o - - -", Missing(KeyNotFound)),
    ("/latchkey.keys.v1.TrainingKeyService/RevealTrainingKeys", "- - - o - - -", Missing(KeyNotFound)),
    ("/latchkey.keys.v1.TrainingKeyService/LookUpTrainingKey", "- - - o - - -", Missing(KeyNotFound)),
    ("/latchkey.keys.v1.TrainingKeyService/RevokeTrainingKeys", "- - - o - - -", Missing(KeyNotFound)),
    ("/latchkey.keys.v1.TrainingKeyService/SetEventKey", "- - o o - - -", Missing(ClassNotFound)),
    ("/latchkey.keys.v1.TrainingKeyService/GetEventKey", "- - o o c - -", Missing(ClassNotFound)),
    ("/latchkey.keys.v1.TrainingKeyService/RevealEventKey", "- - o o c - -", Missing(ClassNotFound)),
    ("/latchkey.keys.v1.KeyUsageService/ResolveCodes", "- - - - - - *", Never),
    ("/latchkey.keys.v1.KeyUsageService/MarkKeys", "- - - - - - *", Never),
    ("/latchkey.keys.v1.KeyUsageService/ReleaseKeys", "- - - - - - *", Never),
    ("/latchkey.keys.v1.KeyUsageService/ListMarks", "- - - - - - *", Never),
    ("/latchkey.keys.v1.KeyUsageService/CountKeys", "- - - - - - *", Never),
    ("/latchkey.keys.v1.KeyUsageService/PutOrganizations", "- - - - - - *", Never),
    ("/latchkey.keys.v1.KeyUsageService/PutGrants", "- - - - - - *", Never),
    ("/latchkey.keys.v1.KeyUsageService/PutEventKey", "- - - - - - *", Never),
    ("/latchkey.keys.v1.KeyUsageService/RetireGrants", "- - - - - - *", Never),
    ("/latchkey.audit.v1.AuditService/ListAuditEvents", "* - o o - - -", Empty),
];

fn cells(text: &str) -> Vec<Cell> {
    let cell = |letter| match letter {
        "*" => Cell::Anything,
        "o" => Cell::Organization,
        "c" | "s" => Cell::Own,
        "-" => Cell::No,
        other => panic!("`{other}` is no cell"),
    };
    text.split_whitespace().map(cell).collect()
}

fn row(method: &MethodDescriptor) -> (Vec<Cell>, Beyond) {
    let path = path_of(method);
    let rows: Vec<_> = MATRIX.iter().filter(|row| row.0 == path).collect();
    let [(_, text, beyond)] = rows.as_slice() else {
        panic!("{path} has {} rows", rows.len());
    };
    let cells = cells(text);
    assert_eq!(cells.len(), COLUMNS.len(), "{path}");
    (cells, *beyond)
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
        let own = Scene::new(stack, "ines-instructor").await;
        let below = Scene::within(own.organization.child().await, "bert-instructor").await;
        let foreign = Scene::within(Organization::new(stack).await, "bert-instructor").await;
        Self { stack, scenes: [(Target::Own, own), (Target::Below, below), (Target::Foreign, foreign)] }
    }

    fn own(&self) -> &Scene<'s> {
        &self.scenes[0].1
    }

    fn caller(&self, role: Role) -> Caller {
        let organization = Some(self.own().organization.id.as_str());
        match role {
            Role::Operator => self.stack.operator(),
            Role::PlatformService => self.stack.platform(),
            Role::Instructor => self.stack.caller(role, "ines-instructor", organization),
            Role::Student => self.stack.caller(role, &self.own().student.student_id, organization),
            Role::EnrollmentService => self.stack.enrollment_service(),
            Role::Administrator | Role::OperationsManager => self.stack.caller(role, "ada-admin", organization),
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
    let connection = if service == "keys" { caller.to_keys() } else { caller.to_enrollment() };
    call(connection, method, request).await
}

/// How many things a list shows.
fn shown(answer: &DynamicMessage) -> usize {
    let field = answer.descriptor().fields().find(prost_reflect::FieldDescriptor::is_list).expect("a list");
    let Value::List(items) = answer.get_field(&field).into_owned() else { panic!("{field:?} is a list") };
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

fn judge(answer: Result<DynamicMessage, Status>, expected: &Expected, list: bool) -> Result<(), String> {
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
        let (cells, beyond) = row(&method);
        for (role, cell) in COLUMNS.iter().zip(cells) {
            let caller = world.caller(*role);
            for (target, scene) in &world.scenes {
                let expected = expected(cell, beyond, *target, &method);
                for service in services(&method) {
                    let request = scene.request(&method, expected == Expected::Done).await;
                    let answer = ask(service, &caller, &method, request).await;
                    if let Err(what) = judge(answer, &expected, beyond == Empty) {
                        wrong.push(format!("{} by {role} on {target:?}: {what}", path_of(&method)));
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
    for (path, _, _) in MATRIX {
        assert!(contract.iter().any(|known| known == path), "{path} is no method");
    }
    assert_eq!(MATRIX.len(), contract.len());
}

/// What a refusal shows, without the ids that the caller gave.
fn text_of(refusal: &Status) -> String {
    let shown = format!("{:?} {} {:?}", refusal.code(), refusal.message(), refusal_details(refusal));
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
        let (cells, beyond) = row(&method);
        let Missing(_) = beyond else { continue };
        for (role, cell) in COLUMNS.iter().zip(cells) {
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
    let scene = Scene::new(&stack, "ines-instructor").await;
    let good = stack.token(Role::Operator, "olga-operator", None);
    // The same claims, one letter of the signature changed.
    let last = if good.ends_with('A') { "B" } else { "A" };
    let forged = format!("{}{last}{}", &good[..good.len() - 10], &good[good.len() - 9..]);
    for method in methods() {
        for service in services(&method) {
            for (token, reason) in
                [(None, ErrorReason::TokenMissing), (Some(forged.as_str()), ErrorReason::TokenInvalid)]
            {
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
    let scene = Scene::new(&stack, "ines-instructor").await;
    let method = |name: &str| methods().into_iter().find(|method| method.name() == name).expect("a method");
    let (reveal, get_class) = (method("RevealTrainingKeys"), method("GetClass"));
    let organization = Some(scene.organization.id.as_str());

    let both = stack.caller_with(&[Role::Instructor, Role::OperationsManager], "ines-instructor", organization);
    ask("keys", &both, &reveal, scene.request(&reveal, true).await).await.expect("as an operations manager");
    for roles in [&[Role::Administrator, Role::OperationsManager][..], &[Role::Student]] {
        let nobody = stack.caller_with(roles, "someone", None);
        let answer = ask("enrollment", &nobody, &get_class, scene.request(&get_class, true).await).await;
        assert_eq!(reason_of(&answer.expect_err("reaches nothing")), ClassNotFound);
    }
    let nothing = stack.caller_with(&[], "someone", organization);
    let answer = ask("enrollment", &nothing, &get_class, scene.request(&get_class, true).await).await;
    assert_eq!(reason_of(&answer.expect_err("has no role")), ErrorReason::NotAllowed);
    // The platform's issuer speaks for no service.
    let pretender = stack.caller(Role::EnrollmentService, "enrollment", None);
    let resolve = method("ResolveCodes");
    let answer = ask("keys", &pretender, &resolve, scene.request(&resolve, true).await).await;
    assert_eq!(reason_of(&answer.expect_err("not the enrollment service")), ErrorReason::NotAllowed);
    stack.finish().await;
}
