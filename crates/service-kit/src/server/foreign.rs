//! Statuses that the transport makes by itself, put into our own form.

use http::{HeaderMap, Response};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::status::{ApiError, ErrorReason};

/// The field that a request is refused for when it cannot be read at all.
const WHOLE_MESSAGE: &str = "(message)";

/// How the transport's texts about an unreadable request begin. It calls them INTERNAL, but the fault is the caller's.
const UNREADABLE: [&str; 5] = [
    "failed to decode Protobuf message",
    "Missing request message",
    "protocol error",
    "Unexpected EOF decoding stream",
    "Error decompressing",
];

/// Gives `response` a reason and details if it is an error that has none: it did not come through the one funnel of
/// failures, so it is one of the transport's own (a message that cannot be decoded or is too large, an unknown method).
pub(super) fn adopt(response: Response<Body>) -> Response<Body> {
    adopt_by(response, ours)
}

/// The same for a service whose protocol is not ours, such as health: what it answers is left as it is, but what the
/// transport could not read is the caller's fault here too.
pub(super) fn adopt_unreadable(response: Response<Body>) -> Response<Body> {
    adopt_by(response, |code, text| match code {
        Code::Internal | Code::OutOfRange | Code::Unimplemented => ours(code, text),
        _ => None,
    })
}

fn adopt_by(
    response: Response<Body>,
    ours: impl FnOnce(Code, String) -> Option<ApiError>,
) -> Response<Body> {
    let Some(code) = status_code(response.headers()).filter(|code| *code != Code::Ok) else {
        return response;
    };
    if response.headers().contains_key(Status::GRPC_STATUS_DETAILS) {
        return response;
    }
    let text = response
        .extensions()
        .get::<Status>()
        .map(|status| status.message().to_owned())
        .unwrap_or_default();
    match ours(code, text) {
        Some(error) => Status::from(error).into_http(),
        None => response,
    }
}

fn ours(code: Code, text: String) -> Option<ApiError> {
    match code {
        Code::Unimplemented => Some(ApiError::new(
            ErrorReason::MethodUnknown,
            if text.is_empty() {
                "This service has no such method.".to_owned()
            } else {
                text
            },
        )),
        Code::OutOfRange | Code::ResourceExhausted => Some(ApiError::invalid_field(
            WHOLE_MESSAGE,
            "is larger than this service accepts",
        )),
        Code::Internal if UNREADABLE.iter().any(|start| text.starts_with(start)) => {
            Some(ApiError::invalid_field(
                WHOLE_MESSAGE,
                "is not a message of this method's request type",
            ))
        }
        Code::DeadlineExceeded => Some(ApiError::deadline_exceeded()),
        // The caller went away, or a body broke off while it was read: nobody will read the answer.
        Code::Cancelled | Code::Unknown | Code::Unavailable => None,
        _ => Some(ApiError::bug(format!(
            "a handler answered {code:?} past the funnel: {text}"
        ))),
    }
}

/// The gRPC code in `headers`, which an answer has when it is an error from the start.
pub(crate) fn status_code(headers: &HeaderMap) -> Option<Code> {
    headers
        .get(Status::GRPC_STATUS)
        .map(|value| Code::from_bytes(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::reason_of;

    fn adopted(status: Status) -> (Code, Option<ErrorReason>) {
        let response = adopt(status.into_http());
        let status = Status::from_header_map(response.headers()).unwrap();
        (status.code(), reason_of(&status))
    }

    #[test]
    fn the_transports_own_errors_get_a_reason() {
        let decode = Status::internal("failed to decode Protobuf message: invalid wire type");
        assert_eq!(
            adopted(decode),
            (Code::InvalidArgument, Some(ErrorReason::FieldInvalid))
        );
        let large = Status::out_of_range("Error, decoded message length too large");
        assert_eq!(
            adopted(large),
            (Code::InvalidArgument, Some(ErrorReason::FieldInvalid))
        );
        assert_eq!(
            adopted(Status::unimplemented("")),
            (Code::Unimplemented, Some(ErrorReason::MethodUnknown))
        );
    }

    #[test]
    fn a_handlers_bare_status_is_a_fault_of_ours() {
        for status in [
            Status::internal("secret"),
            Status::not_found("x"),
            Status::permission_denied("x"),
        ] {
            assert_eq!(
                adopted(status),
                (Code::Internal, Some(ErrorReason::Internal))
            );
        }
    }

    #[test]
    fn what_other_protocols_answer_stays_and_what_nobody_could_read_does_not() {
        let adopted = |status: Status| {
            let response = adopt_unreadable(status.into_http());
            let status = Status::from_header_map(response.headers()).unwrap();
            (status.code(), reason_of(&status))
        };
        let decode = Status::internal("failed to decode Protobuf message: invalid wire type");
        assert_eq!(
            adopted(decode),
            (Code::InvalidArgument, Some(ErrorReason::FieldInvalid))
        );
        for status in [
            Status::not_found("unknown service"),
            Status::invalid_argument("invalid MessageRequest"),
        ] {
            assert_eq!(adopted(status.clone()), (status.code(), None));
        }
    }

    #[test]
    fn our_own_and_good_answers_pass_unchanged() {
        let status = Status::from(ApiError::overloaded());
        assert_eq!(
            adopted(status),
            (Code::ResourceExhausted, Some(ErrorReason::Overloaded))
        );
        assert!(status_code(adopt(Response::new(Body::empty())).headers()).is_none());
    }
}
