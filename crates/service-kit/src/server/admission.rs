//! Who calls, and whether they may.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;
use http::header::AUTHORIZATION;
use tokio::time::Instant;

use super::call_log::shown;
use super::open::Origin;
use crate::access::{Access, AccessTable, Scope};
use crate::context::{CallContext, RequestId};
use crate::identity::{Caller, TokenError, TokenVerifier};
use crate::status::ApiError;

/// Services that need no token and no row in the access table, by name.
pub(super) const EXEMPT_SERVICES: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Whether `path` is a method of an exempt service.
pub(super) fn is_exempt(path: &str) -> bool {
    let service = path
        .strip_prefix('/')
        .and_then(|path| path.split_once('/'))
        .map(|(service, _)| service);
    service.is_some_and(|service| EXEMPT_SERVICES.contains(&service))
}

/// A caller who may call the method.
#[derive(Debug)]
pub(super) struct Admitted {
    caller: Arc<Caller>,
    scope: Scope,
}

/// Admits `request`, or says why not. `seen` is told who calls as soon as that is known.
///
/// A method without a row is unknown, to everybody and before any token is looked at: it cannot be called.
pub(super) fn admit<B>(
    request: &Request<B>,
    access: &AccessTable,
    verifier: &TokenVerifier,
    seen: impl FnOnce(&Arc<Caller>),
) -> Result<Admitted, ApiError> {
    let path = request.uri().path();
    if !access.knows(path) {
        return Err(ApiError::method_unknown(&shown(path)));
    }
    let caller = verifier
        .verify(bearer_token(request)?)
        .map_err(|error| match error {
            TokenError::NoKeys => ApiError::unavailable(error),
            _ => ApiError::token_invalid(error),
        })?;
    seen(&caller);
    match access.check(path, &caller) {
        Access::Allowed(scope) => Ok(Admitted { caller, scope }),
        Access::NotAllowed => Err(ApiError::not_allowed(
            "None of this caller's roles may call this method.",
        )),
        Access::UnknownMethod => Err(ApiError::method_unknown(&shown(path))),
    }
}

impl Admitted {
    /// How far the caller reaches with the method.
    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(super) fn into_context<B>(
        self,
        request: &Request<B>,
        request_id: RequestId,
        deadline: Instant,
    ) -> CallContext {
        CallContext {
            caller: self.caller,
            scope: self.scope,
            request_id,
            peer: peer(request),
            deadline,
        }
    }
}

/// The address a request came from.
pub(super) fn peer<B>(request: &Request<B>) -> Option<SocketAddr> {
    request.extensions().get::<Origin>()?.peer
}

/// The token of the one `authorization` header. Several would leave it open whose call this is.
fn bearer_token<B>(request: &Request<B>) -> Result<&str, ApiError> {
    let mut headers = request.headers().get_all(AUTHORIZATION).iter();
    let header = headers.next().ok_or_else(ApiError::token_missing)?;
    if headers.next().is_some() {
        return Err(ApiError::token_invalid(TokenError::Malformed));
    }
    let text = header
        .to_str()
        .map_err(|_| ApiError::token_invalid(TokenError::Malformed))?;
    let (scheme, token) = text.split_once(' ').ok_or_else(ApiError::token_missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(ApiError::token_missing());
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::ErrorReason;

    #[test]
    fn only_whole_names_are_exempt() {
        assert!(is_exempt("/grpc.health.v1.Health/Check"));
        for path in [
            "/grpc.health.v1.HealthX/Check",
            "/x/grpc.health.v1.Health/Check",
            "/grpc.health.v1.Health",
            "",
            "/",
        ] {
            assert!(!is_exempt(path), "{path:?}");
        }
    }

    #[test]
    fn tokens_are_read_from_one_bearer_header() {
        let read = |headers: &[&str]| {
            let mut request = Request::new(());
            for header in headers {
                request
                    .headers_mut()
                    .append(AUTHORIZATION, header.parse().unwrap());
            }
            bearer_token(&request)
                .map(str::to_owned)
                .map_err(|error| error.reason())
        };
        assert_eq!(read(&["Bearer abc"]), Ok("abc".into()));
        assert_eq!(read(&["bearer abc"]), Ok("abc".into()));
        assert_eq!(read(&[]), Err(ErrorReason::TokenMissing));
        assert_eq!(read(&["Basic abc"]), Err(ErrorReason::TokenMissing));
        assert_eq!(read(&["Bearer"]), Err(ErrorReason::TokenMissing));
        assert_eq!(
            read(&["Bearer a", "Bearer b"]),
            Err(ErrorReason::TokenInvalid)
        );
    }

    #[test]
    fn exempt_services_are_health_and_reflection() {
        use tonic::server::NamedService;
        use tonic_health::pb::health_server::HealthServer;
        use tonic_reflection::server::{v1, v1alpha};

        assert_eq!(
            EXEMPT_SERVICES,
            [
                HealthServer::<()>::NAME,
                v1::ServerReflectionServer::<()>::NAME,
                v1alpha::ServerReflectionServer::<()>::NAME,
            ]
        );
    }
}
