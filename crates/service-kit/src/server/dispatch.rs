//! Which service a call is for.
//!
//! A path of gRPC is `/package.Service/Method` and nothing else: one look into a table finds the service. tonic's own
//! `Routes` goes through a router of web pages, which takes paths apart, decodes them and wraps both ways.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::Either;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::util::{BoxCloneSyncService, Oneshot};
use tower::{Service, ServiceExt};

type Boxed = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;
type Answer = Result<Response<Body>, Infallible>;

/// Services by their names. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Dispatch {
    services: Arc<HashMap<&'static str, Boxed>>,
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.services.keys()).finish()
    }
}

impl Dispatch {
    /// The same with one more service. To be called before it is shared.
    pub(super) fn with<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let services = Arc::make_mut(&mut self.services);
        services.insert(S::NAME, BoxCloneSyncService::new(service));
        self
    }

    fn service_at(&self, path: &str) -> Option<&Boxed> {
        let (service, _method) = path.strip_prefix('/')?.split_once('/')?;
        self.services.get(service)
    }
}

impl Service<Request<Body>> for Dispatch {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Oneshot<Boxed, Request<Body>>, Ready<Answer>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.service_at(request.uri().path()) {
            Some(service) => Either::Left(service.clone().oneshot(request)),
            None => Either::Right(ready(Ok(Status::unimplemented("").into_http()))),
        }
    }
}
