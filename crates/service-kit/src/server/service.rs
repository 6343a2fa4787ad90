//! An assembled server without a socket.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tower::Service;

use super::dispatch::Dispatch;
use super::gate::Gate;

/// All services of a server behind its gate, to be called in the same process. Clones are the same service.
///
/// Made by [`super::GrpcServer::into_service`]. Needs a tokio runtime when it is called.
#[derive(Clone)]
pub struct GrpcService {
    gate: Gate<Dispatch>,
}

impl std::fmt::Debug for GrpcService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrpcService")
            .field("in_progress", &self.in_progress())
            .finish_non_exhaustive()
    }
}

impl GrpcService {
    pub(super) fn new(gate: Gate<Dispatch>) -> Self {
        Self { gate }
    }

    /// How many calls are in progress: their handler has not ended, or their place in the limit of calls was not given
    /// back, whether or not their caller is still there.
    pub fn in_progress(&self) -> usize {
        self.gate.in_progress()
    }
}

impl Service<Request<Body>> for GrpcService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.gate.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.gate.call(request)
    }
}
