//! Request headers that no client of ours sends.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request};

use super::dice::Dice;

/// Names that mean something to some server, and some that mean nothing.
const NAMES: [&str; 14] = [
    "grpc-encoding",
    "grpc-accept-encoding",
    "content-type",
    "content-length",
    "x-request-id",
    "traceparent",
    "tracestate",
    "te",
    "cookie",
    "host",
    "authorization",
    "grpc-status",
    "x-forwarded-for",
    "x-bin",
];

/// Time-outs that are none.
const TIMEOUTS: [&str; 10] = [
    "",
    "1",
    "S",
    "-1S",
    "999999999S",
    "1.5S",
    "1x",
    "٣S",
    "0x10S",
    "1 S",
];

/// Paths of no method.
const PATHS: [&str; 9] = [
    "/",
    "//",
    "/latchkey.keys.v1.TrainingKeyService",
    "/latchkey.keys.v1.TrainingKeyService/",
    "/latchkey.keys.v1.TrainingKeyService/getTrainingKey",
    "/latchkey.keys.v1.TrainingKeyService/GetTrainingKey/..",
    "/latchkey.keys.v1.TrainingKeyService%2FGetTrainingKey",
    "/grpc.health.v1.Health/Watch/x",
    "/../../etc/passwd",
];

/// Spoils the head of a good request.
pub(super) fn spoil(dice: &mut Dice, request: &mut Request<()>) {
    match dice.below(8) {
        0 => {
            let timeout = HeaderValue::from_bytes(dice.one(&TIMEOUTS).as_bytes());
            put(request.headers_mut(), "grpc-timeout", timeout.ok());
        }
        1 => {
            let methods = [Method::GET, Method::PUT, Method::OPTIONS];
            *request.method_mut() = dice.one(&methods).clone();
        }
        2 => {
            let path = format!("http://localhost{}", dice.one(&PATHS));
            *request.uri_mut() = path.parse().expect("a URI");
        }
        3 => {
            for number in 0..dice.below(200) {
                let name = HeaderName::from_bytes(format!("x-{number}").as_bytes()).ok();
                request
                    .headers_mut()
                    .append(name.expect("a name"), value(dice, 40));
            }
        }
        4 => {
            let most = 30_000;
            let large = value(dice, most);
            request.headers_mut().append("x-large", large);
        }
        5 => {
            let again = request.headers().get("authorization").cloned();
            put(request.headers_mut(), "authorization", again);
        }
        _ => {
            let name = *dice.one(&NAMES);
            let value = value(dice, 300);
            if dice.chance(50) {
                request.headers_mut().remove(name);
            }
            put(request.headers_mut(), name, Some(value));
        }
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.append(name, value);
    }
}

/// Any value that a header can have: bytes that are not ASCII too.
fn value(dice: &mut Dice, most: usize) -> HeaderValue {
    let bytes = dice.bytes(most).into_iter();
    let bytes: Vec<u8> = bytes
        .filter(|byte| *byte >= 0x20 && *byte != 0x7f)
        .collect();
    HeaderValue::from_bytes(&bytes).expect("a value")
}
