//! A client that knows nothing but reflection does the whole session: it has no generated types and no contract at
//! hand, only what the services tell about themselves.

mod learnt;

use chrono::TimeDelta;
use latchkey::stack::Service;
use latchkey_service_kit::identity::Role;
use prost_reflect::{DynamicMessage, Value};
use tokio_stream::iter;
use tonic_reflection::pb::{v1, v1alpha};

use crate::harness::{Caller, Stack, new_id, now};

use learnt::{Learnt, Mirror, enum_name, look, read, text, texts};
use v1::server_reflection_request::MessageRequest;

const ORGANIZATIONS: &str = "latchkey.enrollment.v1.OrganizationService";
const CLASSES: &str = "latchkey.enrollment.v1.ClassService";
const STUDENTS: &str = "latchkey.enrollment.v1.StudentService";
const REDEMPTIONS: &str = "latchkey.enrollment.v1.RedemptionService";
const ENROLLMENTS: &str = "latchkey.enrollment.v1.EnrollmentService";
const TRAINING_KEYS: &str = "latchkey.keys.v1.TrainingKeyService";

#[tokio::test]
async fn the_whole_session_from_an_organization_to_its_roster() {
    let stack = Stack::shared().await;
    let learnt = Learnt::from(&stack).await;
    let organization = create_organization(&learnt, &stack.operator()).await;
    let admin = stack.caller(Role::Administrator, "ada-admin", Some(&organization));
    let manager = stack.caller(Role::OperationsManager, "mona-manager", Some(&organization));
    let class = create_class(&learnt, &admin, &organization).await;
    let of_class = [("class_id", text(&class))];

    let wish = [
        ("request_id", text(&new_id())),
        ("class_id", text(&class)),
        ("count", Value::I32(2)),
    ];
    let made = learnt
        .call(&admin, TRAINING_KEYS, "GenerateTrainingKeys", &wish)
        .await;
    let key = read(&made, "keys.1.key_id");
    let wish = [("key_ids", texts(&[&key]))];
    let revealed = learnt
        .call(&manager, TRAINING_KEYS, "RevealTrainingKeys", &wish)
        .await;
    let code = read(&revealed, "codes.0.code");
    let revealed = learnt
        .call(&admin, TRAINING_KEYS, "RevealEventKey", &of_class)
        .await;
    let event_code = read(&revealed, "code.code");

    let student = redeem(&learnt, &stack.platform(), &organization, &code).await;
    register(&learnt, &stack.platform(), &organization, &event_code).await;
    let roster = learnt
        .call(&admin, ENROLLMENTS, "GetRoster", &of_class)
        .await;
    assert_eq!(look(&roster, "seats_taken"), Value::I32(2));
    assert_eq!(look(&roster, "seats_left"), Value::I32(10));
    assert_eq!(read(&roster, "entries.0.enrollment.student_id"), student);
    assert_eq!(read(&roster, "entries.0.enrollment.origin.key_id"), key);
    assert_eq!(read(&roster, "entries.1.student.email"), "nora@example.com");
    stack.finish().await;
}

async fn create_organization(learnt: &Learnt, operator: &Caller) -> String {
    let wish = [
        ("request_id", text(&new_id())),
        ("display_name", text("Academy")),
    ];
    let made = learnt
        .call(operator, ORGANIZATIONS, "CreateOrganization", &wish)
        .await;
    let organization = read(&made, "organization.organization_id");
    let wish = [
        ("organization_id", text(&organization)),
        ("enabled", Value::Bool(true)),
    ];
    learnt
        .call(operator, ORGANIZATIONS, "SetSelfRegistration", &wish)
        .await;
    organization
}

async fn create_class(learnt: &Learnt, admin: &Caller, organization: &str) -> String {
    let day = |days: i64| Value::I64((now() + TimeDelta::days(days)).timestamp());
    let generated = learnt
        .pool
        .get_message_by_name("latchkey.keys.v1.EventKeyGenerated");
    let generated = DynamicMessage::new(generated.expect("a message"));
    let wish = [
        ("request_id", text(&new_id())),
        ("organization_id", text(organization)),
        ("course_id", text("linux-101")),
        ("course_name", text("Linux")),
        ("name", text("Linux in a week")),
        ("instructors", texts(&["ines-instructor"])),
        ("start_time.seconds", day(1)),
        ("end_time.seconds", day(6)),
        ("time_zone", text("Europe/Berlin")),
        ("maximum_students", Value::I32(12)),
        ("event_key.generated", Value::Message(generated)),
    ];
    let made = learnt.call(admin, CLASSES, "CreateClass", &wish).await;
    assert_eq!(look(&made, "event_key.enabled"), Value::Bool(true));
    read(&made, "training_class.class_id")
}

/// A student with an account redeems `code`; returns the student's id.
async fn redeem(learnt: &Learnt, platform: &Caller, organization: &str, code: &str) -> String {
    let wish = [
        ("request_id", text(&new_id())),
        ("organization_id", text(organization)),
        ("email", text("sam@example.com")),
        ("given_name", text("Sam")),
        ("family_name", text("Student")),
    ];
    let made = learnt
        .call(platform, STUDENTS, "CreateStudent", &wish)
        .await;
    let student = read(&made, "student.student_id");
    let wish = [("code", text(code)), ("student_id", text(&student))];
    let checked = learnt.call(platform, REDEMPTIONS, "CheckKey", &wish).await;
    assert_eq!(read(&checked, "opened_class.name"), "Linux in a week");
    let wish = [
        ("redemption_id", text(&new_id())),
        ("code", text(code)),
        ("student_id", text(&student)),
    ];
    let redeemed = learnt.call(platform, REDEMPTIONS, "RedeemKey", &wish).await;
    assert_eq!(
        enum_name(&redeemed, "outcome"),
        "REDEMPTION_OUTCOME_ENROLLED"
    );
    student
}

/// Somebody without an account registers with `code`.
async fn register(learnt: &Learnt, platform: &Caller, organization: &str, code: &str) {
    let wish = [
        ("redemption_id", text(&new_id())),
        ("code", text(code)),
        ("organization_id", text(organization)),
        ("email", text("nora@example.com")),
        ("given_name", text("Nora")),
        ("family_name", text("New")),
        (
            "credential.external_identity.issuer",
            text("https://login.example.com"),
        ),
        ("credential.external_identity.subject", text(&new_id())),
    ];
    learnt
        .call(platform, REDEMPTIONS, "RegisterWithKey", &wish)
        .await;
}

#[tokio::test]
async fn what_reflection_tells_is_the_contract() {
    let stack = Stack::shared().await;
    let learnt = Learnt::from(&stack).await;
    let contract = crate::harness::dynamic::pool();
    let told: Vec<String> = learnt
        .pool
        .services()
        .map(|service| service.full_name().to_owned())
        .collect();
    let mut expected: Vec<String> = contract
        .services()
        .map(|service| service.full_name().to_owned())
        .filter(|name| name.starts_with("latchkey."))
        .collect();
    expected.sort();
    let mut sorted = told.clone();
    sorted.sort();
    assert_eq!(sorted, expected);
    for message in contract
        .all_messages()
        .filter(|message| message.full_name().starts_with("latchkey."))
    {
        let same = learnt
            .pool
            .get_message_by_name(message.full_name())
            .unwrap_or_else(|| panic!("{} is not learnt", message.full_name()));
        let shape = |message: &prost_reflect::MessageDescriptor| {
            message
                .fields()
                .map(|field| {
                    (
                        field.number(),
                        field.name().to_owned(),
                        format!("{:?}", field.kind()),
                    )
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(shape(&same), shape(&message), "{}", message.full_name());
    }
    stack.finish().await;
}

#[tokio::test]
async fn the_older_protocol_tells_the_same() {
    use v1alpha::server_reflection_client::ServerReflectionClient;
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;

    let stack = Stack::shared().await;
    for service in [Service::Keys, Service::Enrollment] {
        let mut newer = Mirror::of(&stack, service).services().await;
        let mut client = ServerReflectionClient::new(stack.channel(service));
        let question = Some(MessageRequest::ListServices(String::new()));
        let request = v1alpha::ServerReflectionRequest {
            host: String::new(),
            message_request: question,
        };
        let mut answers = client
            .server_reflection_info(iter([request]))
            .await
            .expect("reflection")
            .into_inner();
        let answer = answers
            .message()
            .await
            .expect("an answer")
            .expect("an answer")
            .message_response;
        let Some(MessageResponse::ListServicesResponse(list)) = answer else {
            panic!("{answer:?}")
        };
        let mut older: Vec<String> = list
            .service
            .into_iter()
            .map(|service| service.name)
            .collect();
        newer.sort();
        older.sort();
        assert_eq!(newer, older);
    }
    stack.finish().await;
}

#[tokio::test]
async fn reflection_can_be_switched_off() {
    let options = crate::harness::Options {
        keys: "[listen]\nreflection = false",
        enrollment: "[listen]\nreflection = false",
        ..crate::harness::Options::default()
    };
    let stack = Stack::with(options).await;
    for service in [Service::Keys, Service::Enrollment] {
        let mut mirror = Mirror::of(&stack, service);
        let question = Some(MessageRequest::ListServices(String::new()));
        let request = v1::ServerReflectionRequest {
            host: String::new(),
            message_request: question,
        };
        let refusal = mirror
            .0
            .server_reflection_info(iter([request]))
            .await
            .expect_err("switched off");
        assert_eq!(refusal.code(), tonic::Code::Unimplemented);
    }
    stack.finish().await;
}
