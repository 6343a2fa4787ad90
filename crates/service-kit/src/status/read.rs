//! Reading a status that another service of ours sent.

use std::collections::HashMap;
use std::time::Duration;

use latchkey_proto::errors::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::DOMAIN;

/// The reason that `status` carries, when it is a failure of Latchkey and the reason is known here.
pub fn reason_of(status: &Status) -> Option<ErrorReason> {
    let info = status.get_details_error_info()?;
    (info.domain == DOMAIN).then(|| reason_with_name(&info.reason))?
}

/// The reason with the name that stands in `google.rpc.ErrorInfo.reason`, for example `CLASS_FULL`.
pub fn reason_with_name(name: &str) -> Option<ErrorReason> {
    ErrorReason::from_str_name(&format!("ERROR_REASON_{name}"))
}

/// The metadata of the `google.rpc.ErrorInfo` that `status` carries; empty without one.
pub fn metadata_of(status: &Status) -> HashMap<String, String> {
    status
        .get_details_error_info()
        .map(|info| info.metadata)
        .unwrap_or_default()
}

/// How long `status` asks its reader to wait before the next call.
pub fn retry_after_of(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

/// Whether `status` leaves open what was done, or says that nothing was for now: the contract says to call again with the same id.
pub fn may_be_repeated(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Aborted
            | Code::ResourceExhausted
    )
}
