//! The call as use cases see it.

use latchkey_service_kit::context::CallContext;
use latchkey_service_kit::status::ApiError;
use tonic::Request;

use crate::app::Call;
use crate::domain::audit::Actor;

/// What the use case of `request` is told about its call: the caller acts on their own account.
pub(crate) fn call_of<T>(request: &Request<T>) -> Result<Call, ApiError> {
    let context = CallContext::of(request)?;
    let caller = &context.caller;
    Ok(Call {
        actor: Actor {
            subject: caller.subject.clone(),
            issuer: caller.issuer.clone(),
            roles: caller.role_names(),
            organization_id: caller.organization,
        },
        scope: context.scope.clone(),
        peer: context.peer_text(),
        request_id: context.request_id.to_string(),
    })
}
