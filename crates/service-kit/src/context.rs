//! What a handler is told about its call.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;
use tonic::Request;

use crate::access::Scope;
use crate::identity::Caller;
use crate::ids::Ids;
use crate::status::ApiError;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// The header that carries the request id, in both directions.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

/// Names one call in logs, audit rows and answers. Passed along when a service calls another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The longest request id that is accepted from a caller; enough for a UUID or a trace id with a prefix.
    pub const MAX_LEN: usize = 128;

    /// Takes a caller's own id if it is sane: 1 to 128 letters, digits, `-`, `_`, `.` or `:`.
    pub fn accept(text: &str) -> Option<Self> {
        let sane = !text.is_empty()
            && text.len() <= Self::MAX_LEN
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
        sane.then(|| Self(text.into()))
    }

    /// A new one.
    pub fn generate(ids: &dyn Ids) -> Self {
        Self(ids.new_id().to_string().into())
    }

    /// The id of the call that the present task serves, if it serves one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs `work` as part of the call with this id.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the server found out about a call before it reached its handler.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// Who calls.
    pub caller: Arc<Caller>,
    /// How far the caller reaches with this method.
    pub scope: Scope,
    /// The name of the call in logs and audit rows.
    pub request_id: RequestId,
    /// The address the call came from.
    pub peer: Option<SocketAddr>,
    /// When the answer must be there. Work that has not begun by then need not begin.
    pub deadline: Instant,
}

impl CallContext {
    /// The context of `request`. Fails (INTERNAL) only when the request did not come through [`crate::server`].
    pub fn of<T>(request: &Request<T>) -> Result<&Self, ApiError> {
        request.extensions().get::<Self>().ok_or_else(|| {
            ApiError::bug("the request carries no call context: it did not pass the access check")
        })
    }

    /// The peer as audit rows keep it: the address without the port, empty when unknown.
    pub fn peer_text(&self) -> String {
        self.peer
            .map(|peer| peer.ip().to_string())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CountingIds;

    #[test]
    fn only_sane_request_ids_are_accepted() {
        for good in ["a", "0190a-b_c.d:e", &"x".repeat(128)] {
            assert_eq!(RequestId::accept(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\nb", "é", "<script>", &"x".repeat(129)] {
            assert_eq!(RequestId::accept(bad), None, "{bad:?}");
        }
        assert!(RequestId::accept(RequestId::generate(&CountingIds::default()).as_str()).is_some());
    }

    #[tokio::test]
    async fn the_current_id_holds_inside_its_scope_only() {
        let id = RequestId::accept("one").unwrap();
        assert_eq!(RequestId::current(), None);
        assert_eq!(
            id.clone().scope(async { RequestId::current() }).await,
            Some(id)
        );
        assert_eq!(RequestId::current(), None);
    }

    #[test]
    fn a_request_from_elsewhere_has_no_context() {
        let error = CallContext::of(&Request::new(())).unwrap_err();
        assert_eq!(error.code(), tonic::Code::Internal);
    }
}
