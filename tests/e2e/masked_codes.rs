//! A code stands in clear in the answers that reveal codes, and in no other: what lists and gets show of one is masked.

use latchkey_service_kit::identity::Role;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};

use crate::harness::dynamic::{call, methods};
use crate::harness::{Scene, Stack};
use crate::secrets_stay_secret::spellings;

/// The methods that are there to reveal codes.
const REVEALING: [&str; 4] = [
    "RevealTrainingKeys",
    "RevealEventKey",
    "RevealCode",
    "RenderInvitation",
];

/// What every masked code has in the place of what is not shown.
const MASK: &str = "••••";

/// Whether messages of this kind have a place for a code in clear, however deep.
fn can_hold_a_code(message: &MessageDescriptor) -> bool {
    message.fields().any(|field| match field.kind() {
        Kind::String => ["code", "codes"].contains(&field.name()),
        Kind::Message(inner) if inner != *message => can_hold_a_code(&inner),
        _ => false,
    })
}

/// All texts in `message`, each with the name of its field.
fn texts(message: &DynamicMessage) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (field, value) in message.fields() {
        let items = match value {
            Value::List(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        for item in items {
            match item {
                Value::String(text) => found.push((field.name().to_owned(), text.clone())),
                Value::Message(inner) => found.extend(texts(inner)),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn only_what_reveals_codes_has_a_place_for_them() {
    for method in methods() {
        let reveals = REVEALING.contains(&method.name());
        assert_eq!(
            can_hold_a_code(&method.output()),
            reveals,
            "{}",
            method.full_name()
        );
    }
}

#[tokio::test]
async fn no_other_answer_holds_a_code_and_masks_show_too_little_to_redeem() {
    let stack = Stack::own().await;
    let scene = Scene::new(&stack, "ines-instructor").await;
    let roles = [
        Role::Operator,
        Role::PlatformService,
        Role::Administrator,
        Role::OperationsManager,
    ];
    let everybody = stack.caller_with(&roles, "ada-admin", Some(&scene.organization.id));
    let service = stack.enrollment_service();
    let codes = [&scene.event_code, &scene.key.code, &scene.spare.code];
    let codes: Vec<String> = codes.into_iter().flat_map(|code| spellings(code)).collect();
    let mut masked = 0;
    for method in methods() {
        let connection = match method.parent_service().full_name() {
            "latchkey.keys.v1.KeyUsageService" => service.to_keys(),
            name if name.starts_with("latchkey.keys.v1.") => everybody.to_keys(),
            _ => everybody.to_enrollment(),
        };
        let request = scene.request(&method, true).await;
        let answer = call(connection, &method, request).await;
        let answer = answer.unwrap_or_else(|refusal| panic!("{}: {refusal}", method.full_name()));
        let mut revealed = 0;
        for (field, text) in texts(&answer) {
            let upper = text.to_uppercase();
            revealed += usize::from(codes.iter().any(|code| upper.contains(code)));
            if field == "masked_code" {
                masked += 1;
                assert!(text.contains(MASK), "{}: {text}", method.full_name());
            }
        }
        let reveals = REVEALING.contains(&method.name());
        assert_eq!(revealed > 0, reveals, "{}", method.full_name());
    }
    assert!(masked > 5, "only {masked} masked codes were looked at");
    stack.finish().await;
}
