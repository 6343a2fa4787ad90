//! The context of a call, as use cases see it.

use latchkey_service_kit::context::CallContext;
use latchkey_service_kit::status::ApiError;
use tonic::Request;

use crate::app::Call;

/// The context of `request`.
pub(super) fn of<T>(request: &Request<T>) -> Result<Call, ApiError> {
    let context = CallContext::of(request)?;
    Ok(Call {
        caller: context.caller.clone(),
        scope: context.scope.clone(),
        peer: context.peer_text(),
        request_id: context.request_id.to_string(),
        deadline: context.deadline,
    })
}
