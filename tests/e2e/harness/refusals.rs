//! Reading refusals.

use std::fmt::Debug;

use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::status;
use tonic::{Response, Status};

/// The reason of a refusal. Every refusal has one, and its code.
#[track_caller]
pub(crate) fn reason_of(refusal: &Status) -> ErrorReason {
    let reason = status::reason_of(refusal)
        .unwrap_or_else(|| panic!("a refusal without a reason: {refusal:?}"));
    assert_eq!(refusal.code(), status::code(reason), "{refusal:?}");
    reason
}

/// Fails unless the call was refused for this reason; returns the refusal.
#[track_caller]
pub(crate) fn refused<T: Debug>(
    answer: Result<Response<T>, Status>,
    expected: ErrorReason,
) -> Status {
    match answer {
        Ok(answer) => panic!(
            "expected {}, was answered {:?}",
            expected.as_str_name(),
            answer.into_inner()
        ),
        Err(refusal) => {
            let reason = reason_of(&refusal);
            assert_eq!(
                reason.as_str_name(),
                expected.as_str_name(),
                "{}",
                refusal.message()
            );
            refusal
        }
    }
}
