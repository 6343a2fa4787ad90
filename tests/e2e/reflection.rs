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

#[tokio::test]
async fn the_whole_session_from_an_organization_to_its_roster() {
    let stack = Stack::shared().await;
    let learnt = Learnt::from(&stack).await;
    let created = learnt
        .call(
            &stack.operator(),
            "latchkey.enrollment.v1.OrganizationService/CreateOrganization",
            &[
                ("request_id", text(&new_id())),
                ("display_name", text("Academy")),
            ],
        )
        .await;
    let organization = read(&created, "organization.organization_id");
    let switch = [
        ("organization_id", text(&organization)),
        ("enabled", Value::Bool(true)),
    ];
    learnt
        .call(
            &stack.operator(),
            "latchkey.enrollment.v1.OrganizationService/SetSelfRegistration",
            &switch,
        )
        .await;

    let admin = stack.caller(Role::Administrator, "ada-admin", Some(&organization));
    let class = create_class(&learnt, &admin, &organization).await;
    let generate = [
        ("request_id", text(&new_id())),
        ("class_id", text(&class)),
        ("count", Value::I32(2)),
    ];
    let made = learnt
        .call(
            &admin,
            "latchkey.keys.v1.TrainingKeyService/GenerateTrainingKeys",
            &generate,
        )
        .await;
    let key = read(&made, "keys.1.key_id");
    let manager = stack.caller(Role::OperationsManager, "mona-manager", Some(&organization));
    let reveal = [("key_ids", texts(&[&key]))];
    let revealed = learnt
        .call(
            &manager,
            "latchkey.keys.v1.TrainingKeyService/RevealTrainingKeys",
            &reveal,
        )
        .await;
    let code = read(&revealed, "codes.0.code");
    let reveal = [("class_id", text(&class))];
    let revealed = learnt
        .call(
            &admin,
            "latchkey.keys.v1.TrainingKeyService/RevealEventKey",
            &reveal,
        )
        .await;
    let event_code = read(&revealed, "code.code");

    let student = come_in(&learnt, &stack, &organization, &code, &event_code).await;
    let ask = [("class_id", text(&class))];
    let roster = learnt
        .call(
            &admin,
            "latchkey.enrollment.v1.EnrollmentService/GetRoster",
            &ask,
        )
        .await;
    assert_eq!(look(&roster, "seats_taken"), Value::I32(2));
    assert_eq!(look(&roster, "seats_left"), Value::I32(10));
    assert_eq!(read(&roster, "entries.0.enrollment.student_id"), student);
    assert_eq!(read(&roster, "entries.0.enrollment.origin.key_id"), key);
    assert_eq!(
        read(&roster, "entries.1.student.email")
            .split_once('@')
            .map(|(_, host)| host),
        Some("example.com")
    );
    stack.finish().await;
}

async fn create_class(learnt: &Learnt, admin: &Caller, organization: &str) -> String {
    let day = |days: i64| Value::I64((now() + TimeDelta::days(days)).timestamp());
    let generated = learnt
        .pool
        .get_message_by_name("latchkey.keys.v1.EventKeyGenerated")
        .expect("a message");
    let fields = [
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
        (
            "event_key.generated",
            Value::Message(DynamicMessage::new(generated)),
        ),
    ];
    let made = learnt
        .call(
            admin,
            "latchkey.enrollment.v1.ClassService/CreateClass",
            &fields,
        )
        .await;
    assert_eq!(look(&made, "event_key.enabled"), Value::Bool(true));
    read(&made, "training_class.class_id")
}

/// One student redeems `code` with an account, one registers with `event_code`; returns the first one's id.
async fn come_in(
    learnt: &Learnt,
    stack: &Stack,
    organization: &str,
    code: &str,
    event_code: &str,
) -> String {
    let platform = stack.platform();
    let account = [
        ("request_id", text(&new_id())),
        ("organization_id", text(organization)),
        ("email", text("sam@example.com")),
        ("given_name", text("Sam")),
        ("family_name", text("Student")),
    ];
    let made = learnt
        .call(
            &platform,
            "latchkey.enrollment.v1.StudentService/CreateStudent",
            &account,
        )
        .await;
    let student = read(&made, "student.student_id");
    let check = [("code", text(code)), ("student_id", text(&student))];
    let checked = learnt
        .call(
            &platform,
            "latchkey.enrollment.v1.RedemptionService/CheckKey",
            &check,
        )
        .await;
    assert_eq!(read(&checked, "opened_class.name"), "Linux in a week");
    let redeem = [
        ("redemption_id", text(&new_id())),
        ("code", text(code)),
        ("student_id", text(&student)),
    ];
    let redeemed = learnt
        .call(
            &platform,
            "latchkey.enrollment.v1.RedemptionService/RedeemKey",
            &redeem,
        )
        .await;
    assert_eq!(
        enum_name(&redeemed, "outcome"),
        "REDEMPTION_OUTCOME_ENROLLED"
    );

    let register = [
        ("redemption_id", text(&new_id())),
        ("code", text(event_code)),
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
        .call(
            &platform,
            "latchkey.enrollment.v1.RedemptionService/RegisterWithKey",
            &register,
        )
        .await;
    student
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
            .expect(message.full_name());
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
