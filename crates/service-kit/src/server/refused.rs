//! Calls of known callers that end with a refusal which belongs into the audit trail.

use std::net::SocketAddr;
use std::sync::Arc;

use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::access::Scope;
use crate::context::RequestId;
use crate::identity::Caller;
use crate::refusals::{Refusals, RefusedCall, Resource, Verdict};
use crate::status::{ErrorReason, code};

/// What the trail must know of a call, should it be refused.
pub(super) struct Watched {
    refusals: Refusals,
    caller: Arc<Caller>,
    scope: Scope,
}

impl Watched {
    pub(super) fn new(refusals: &Refusals, caller: &Arc<Caller>) -> Self {
        Self {
            refusals: refusals.clone(),
            caller: Arc::clone(caller),
            scope: Scope::default(),
        }
    }

    /// Notes how far the caller reaches.
    pub(super) fn reaches(&mut self, scope: &Scope) {
        self.scope = scope.clone();
    }

    /// The call ended with `status`. Whatever follows from it happens after the answer, and takes nothing of its time.
    pub(super) fn ended(
        self,
        reason: ErrorReason,
        status: &Status,
        path: &str,
        peer: Option<SocketAddr>,
        request_id: &RequestId,
    ) {
        let Some(verdict) = verdict(reason, &self.scope) else {
            return;
        };
        let resource = resource(status);
        if verdict == Verdict::BeyondReach && resource.is_none() {
            return;
        }
        self.refusals.leave(RefusedCall {
            verdict,
            caller: self.caller,
            scope: self.scope,
            method: path.trim_start_matches('/').to_owned(),
            reason,
            resource,
            peer: peer.map(|peer| peer.ip().to_string()).unwrap_or_default(),
            request_id: request_id.clone(),
        });
    }
}

/// What a refusal means for the trail, if anything. That something exists beyond reach is found out later: here it is only
/// possible.
fn verdict(reason: ErrorReason, scope: &Scope) -> Option<Verdict> {
    match reason {
        ErrorReason::NotAllowed => Some(Verdict::Refused),
        ErrorReason::TooManyAttempts => Some(Verdict::Limited),
        _ if code(reason) == Code::NotFound && !scope.everything => Some(Verdict::BeyondReach),
        _ => None,
    }
}

/// What the status says it is about, if it has an id.
fn resource(status: &Status) -> Option<Resource> {
    let info = status.get_details_resource_info()?;
    Some(Resource {
        kind: info.resource_type,
        id: Uuid::parse_str(&info.resource_name).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_access_is_left() {
        let (some, all) = (
            Scope::default(),
            Scope {
                everything: true,
                ..Scope::default()
            },
        );
        for (reason, of_some, of_all) in [
            (
                ErrorReason::NotAllowed,
                Some(Verdict::Refused),
                Some(Verdict::Refused),
            ),
            (
                ErrorReason::TooManyAttempts,
                Some(Verdict::Limited),
                Some(Verdict::Limited),
            ),
            (ErrorReason::ClassNotFound, Some(Verdict::BeyondReach), None),
            (ErrorReason::Overloaded, None, None),
            (ErrorReason::ClassFull, None, None),
            (ErrorReason::EtagMismatch, None, None),
        ] {
            assert_eq!(verdict(reason, &some), of_some, "{reason:?}");
            assert_eq!(verdict(reason, &all), of_all, "{reason:?}");
        }
    }
}
