//! What hostile requests are made of: a good request for every method, good tokens, page tokens that lists gave out.

use http::{Method, Request};
use latchkey::stack::Service;
use latchkey_service_kit::identity::Role;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};

use super::dice::Dice;
use super::frames::Body;
use super::{bodies, headers, tokens};
use crate::harness::dynamic::{call, methods, path_of};
use crate::harness::{Entrance, Scene, Stack};

/// Of how many requests to sign in one is made: each costs a password hash, and what is tried here is no password.
const SIGN_INS: usize = 20;

/// A good request.
struct Template {
    path: String,
    /// What its message says; none of those outside of our contract.
    message: Option<DynamicMessage>,
    bytes: Vec<u8>,
    token: String,
}

/// A process, and what it is sent.
pub(super) struct Target {
    pub(super) service: Service,
    pub(super) entrance: Entrance,
    templates: Vec<Template>,
    messages: Vec<Vec<u8>>,
    tokens: Vec<String>,
    page_tokens: Vec<String>,
}

/// A request as it is sent.
pub(super) struct Attempt {
    pub(super) head: Request<()>,
    pub(super) body: Vec<u8>,
    /// Whether its deadline is so short that it may pass.
    pub(super) hurried: bool,
    /// Whether the caller goes away without waiting.
    pub(super) leaves: bool,
    /// What is bad about it.
    pub(super) kind: &'static str,
}

/// Which methods are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Methods {
    /// Those that people and the platform call.
    ForCallers,
    /// Those that the enrollment service calls.
    Internal,
}

impl Target {
    /// What `service` is sent, made from the things of a scene.
    pub(super) async fn of(service: Service, which: Methods, scene: &Scene<'_>) -> Self {
        let stack = scene.organization.stack;
        let roles = [
            Role::Operator,
            Role::PlatformService,
            Role::Administrator,
            Role::OperationsManager,
        ];
        let organization = Some(scene.organization.id.as_str());
        let everybody = stack.token_with(&roles, "ada-admin", organization);
        let own = stack.site().service_token.clone();
        let mut templates = Vec::new();
        for method in methods()
            .iter()
            .filter(|method| belongs(method, service, which))
        {
            let message = scene.request(method, true).await;
            let bytes = message.encode_to_vec();
            templates.push(Template {
                path: path_of(method),
                message: Some(message),
                bytes,
                token: match which {
                    Methods::ForCallers => everybody.clone(),
                    Methods::Internal => own.clone(),
                },
            });
        }
        templates.extend(around(&everybody));
        let replica = match service {
            Service::Keys => &stack.site().keys[0],
            Service::Enrollment => &stack.site().enrollment[0],
        };
        Self {
            service,
            entrance: replica.entrance(),
            messages: templates.iter().map(|one| one.bytes.clone()).collect(),
            templates,
            tokens: vec![
                stack.token(Role::Student, &scene.student.student_id, None),
                stack.token(Role::Instructor, "otto", organization),
                everybody,
                own,
            ],
            page_tokens: page_tokens(stack, scene).await,
        }
    }

    /// The request with this number.
    pub(super) fn attempt(&self, seed: u64, number: u64) -> Attempt {
        let mut dice = Dice::of(seed, number);
        let dice = &mut dice;
        let mut template = dice.one(&self.templates);
        while template.path.ends_with("/Authenticate") && dice.below(SIGN_INS) > 0 {
            template = dice.one(&self.templates);
        }
        let mut attempt = Attempt {
            head: head(template),
            body: Body::good(&template.bytes).bytes,
            hurried: false,
            leaves: false,
            kind: "good",
        };
        match dice.below(100) {
            0..40 => self.bad_bytes(dice, template, &mut attempt),
            40..60 => self.bad_field(dice, template, &mut attempt),
            60..72 => {
                attempt.kind = "frame";
                let body = Body::bad(dice, &template.bytes);
                attempt.body = body.bytes;
                if let Some(encoding) = body.encoding {
                    let value = encoding.parse().expect("a value");
                    attempt.head.headers_mut().insert("grpc-encoding", value);
                }
            }
            72..82 => {
                attempt.kind = "token";
                let value = tokens::bad(dice, &self.tokens);
                let value = http::HeaderValue::from_bytes(&value).expect("a value");
                attempt.head.headers_mut().insert("authorization", value);
            }
            82..92 => {
                attempt.kind = "head";
                headers::spoil(dice, &mut attempt.head);
            }
            92..96 => {
                attempt.kind = "hurried";
                attempt.hurried = true;
                let timeout = *dice.one(&["0S", "1n", "900u", "3m", "20m"]);
                let value = timeout.parse().expect("a value");
                attempt.head.headers_mut().insert("grpc-timeout", value);
            }
            96..98 => {
                attempt.kind = "left";
                attempt.leaves = true;
            }
            _ => {}
        }
        attempt.leaves |= template.path == WATCH;
        attempt
    }

    fn bad_bytes(&self, dice: &mut Dice, template: &Template, attempt: &mut Attempt) {
        attempt.kind = "bytes";
        let mut bytes = template.bytes.clone();
        match dice.below(10) {
            0 => bytes = dice.bytes(2_000),
            1 => bytes = bodies::nested(dice),
            _ => bodies::mutate(dice, &mut bytes, &self.messages),
        }
        attempt.body = Body::good(&bytes).bytes;
    }

    fn bad_field(&self, dice: &mut Dice, template: &Template, attempt: &mut Attempt) {
        attempt.kind = "field";
        let Some(mut message) = template.message.clone() else {
            return;
        };
        for _ in 0..=dice.below(2) {
            bodies::disturb(dice, &mut message, &self.page_tokens);
        }
        attempt.body = Body::good(&message.encode_to_vec()).bytes;
    }
}

fn belongs(method: &MethodDescriptor, service: Service, which: Methods) -> bool {
    let internal = method.parent_service().name() == "KeyUsageService";
    let home = match method.parent_service().package_name() {
        "latchkey.keys.v1" => Some(Service::Keys),
        "latchkey.enrollment.v1" => Some(Service::Enrollment),
        _ => None,
    };
    home.is_none_or(|home| home == service) && internal == (which == Methods::Internal)
}

/// The method whose answer has no end: whoever calls it leaves.
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Requests to what stands around the contract.
fn around(token: &str) -> Vec<Template> {
    let template = |path: &str, bytes: &[u8]| Template {
        path: path.to_owned(),
        message: None,
        bytes: bytes.to_vec(),
        token: token.to_owned(),
    };
    vec![
        template("/grpc.health.v1.Health/Check", &[]),
        template(WATCH, &[]),
        // `list_services: "*"`
        template(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            b"\x3a\x01*",
        ),
        template(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            b"\x3a\x01*",
        ),
    ]
}

fn head(template: &Template) -> Request<()> {
    Request::builder()
        .method(Method::POST)
        .uri(format!("http://localhost{}", template.path))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", template.token))
        .body(())
        .expect("a head")
}

/// Tokens of the second page of all lists that have one.
async fn page_tokens(stack: &Stack, scene: &Scene<'_>) -> Vec<String> {
    let organization = Some(scene.organization.id.as_str());
    let roles = [Role::Operator, Role::OperationsManager];
    let caller = stack.caller_with(&roles, "ada-admin", organization);
    let mut found = Vec::new();
    for method in methods() {
        let Some(size) = method.input().get_field_by_name("page_size") else {
            continue;
        };
        let connection = match method.parent_service().full_name() {
            "latchkey.keys.v1.KeyUsageService" => stack.enrollment_service().to_keys(),
            name if name.starts_with("latchkey.keys.v1.") => caller.to_keys(),
            _ => caller.to_enrollment(),
        };
        let mut request = scene.request(&method, false).await;
        request.set_field(&size, Value::I32(1));
        let answer = call(connection, &method, request).await.expect("a page");
        let token = answer
            .get_field_by_name("next_page_token")
            .expect("a field");
        found.extend(
            token
                .as_str()
                .filter(|token| !token.is_empty())
                .map(str::to_owned),
        );
    }
    assert!(!found.is_empty(), "no list has a second page");
    found
}
