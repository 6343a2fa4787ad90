//! Calls that need no token, health and reflection, and what they may hold of this process.
//!
//! Nobody knows who makes them, and some never end by themselves. Each connection may have so many of each kind, so that
//! whoever takes too many shuts out nobody but themselves: a watcher takes no place from a probe, nor one client from
//! another. Of reflection, whose answers are large, the whole process has so many places, and each is free again at its
//! call's deadline, whether or not the answer was read.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tonic::body::Body;

use super::admission;
use super::foreign::status_code;
use super::open_body::OpenBody;
use crate::config::LimitsConfig;

/// The largest request, in bytes: what it holds is the name of a service, a file or a symbol.
pub(super) const MAX_REQUEST_BYTES: usize = 1024;

/// What can be called without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Answered at once.
    Check,
    /// Answered as long as the caller wants.
    Watch,
    /// Answers as often as it is asked.
    Reflection,
}

impl Kind {
    /// What the method at `path` is, if it needs no token.
    pub(super) fn of(path: &str) -> Option<Self> {
        if !admission::is_exempt(path) {
            None
        } else if !path.starts_with("/grpc.health.") {
            Some(Self::Reflection)
        } else if path.ends_with("/Watch") {
            Some(Self::Watch)
        } else {
            Some(Self::Check)
        }
    }
}

/// A connection, as the calls that come by it see it.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) peer: Option<SocketAddr>,
    places: Arc<ConnectionPlaces>,
}

/// The places of one connection.
#[derive(Debug)]
struct ConnectionPlaces {
    checks: Arc<Semaphore>,
    watches: Arc<Semaphore>,
    reflections: Arc<Semaphore>,
}

impl Origin {
    /// A new connection of `peer`, with `at_most` places of each kind.
    pub(super) fn new(peer: Option<SocketAddr>, at_most: usize) -> Self {
        let places = || Arc::new(Semaphore::new(at_most.min(Semaphore::MAX_PERMITS)));
        Self {
            peer,
            places: Arc::new(ConnectionPlaces {
                checks: places(),
                watches: places(),
                reflections: places(),
            }),
        }
    }

    fn place(&self, kind: Kind) -> Option<OwnedSemaphorePermit> {
        let places = match kind {
            Kind::Check => &self.places.checks,
            Kind::Watch => &self.places.watches,
            Kind::Reflection => &self.places.reflections,
        };
        Arc::clone(places).try_acquire_owned().ok()
    }
}

/// The places of the process.
#[derive(Debug)]
pub(super) struct OpenPlaces {
    reflections: Arc<Semaphore>,
}

/// The place of one call.
#[derive(Debug)]
pub(super) struct OpenPlace {
    kind: Kind,
    on_connection: Option<OwnedSemaphorePermit>,
    in_process: Option<OwnedSemaphorePermit>,
}

impl OpenPlaces {
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        let reflections = limits.max_reflections.min(Semaphore::MAX_PERMITS);
        Self {
            reflections: Arc::new(Semaphore::new(reflections)),
        }
    }

    /// A place for a call of this kind; `None` when as many as allowed are taken. A request that came by no connection is of
    /// this very process.
    pub(super) fn enter<B>(&self, kind: Kind, request: &Request<B>) -> Option<OpenPlace> {
        let on_connection = match request.extensions().get::<Origin>() {
            Some(origin) => Some(origin.place(kind)?),
            None => None,
        };
        let in_process = match kind {
            Kind::Reflection => Some(Arc::clone(&self.reflections).try_acquire_owned().ok()?),
            Kind::Check | Kind::Watch => None,
        };
        Some(OpenPlace {
            kind,
            on_connection,
            in_process,
        })
    }
}

impl OpenPlace {
    /// Keeps the place until `response` is sent; what is in the process is given back at the `deadline` at the latest.
    pub(super) fn hold(self, response: Response<Body>, deadline: Instant) -> Response<Body> {
        // An error from the start is all headers, which wait for nobody to read them.
        if status_code(response.headers()).is_some() {
            return response;
        }
        let until = (self.kind != Kind::Watch).then_some(deadline);
        response.map(|body| OpenBody::wrap(body, self.on_connection, self.in_process, until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_whole_names() {
        for (path, kind) in [
            ("/grpc.health.v1.Health/Check", Some(Kind::Check)),
            ("/grpc.health.v1.Health/NoMethod", Some(Kind::Check)),
            ("/grpc.health.v1.Health/Watch", Some(Kind::Watch)),
            (
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                Some(Kind::Reflection),
            ),
            ("/grpc.health.v2.Health/Watch", None),
            ("/test.v1.Test/Watch", None),
        ] {
            assert_eq!(Kind::of(path), kind, "{path}");
        }
    }

    #[tokio::test]
    async fn no_kind_takes_places_of_another_nor_a_connection_those_of_another() {
        let limits = LimitsConfig {
            max_open_calls_per_connection: 2,
            max_reflections: 3,
            ..LimitsConfig::default()
        };
        let places = OpenPlaces::new(&limits);
        let by = |origin: &Origin| {
            let mut request = Request::new(());
            request.extensions_mut().insert(origin.clone());
            request
        };
        let at_most = limits.max_open_calls_per_connection;
        let (one, other) = (Origin::new(None, at_most), Origin::new(None, at_most));
        let enter = |kind, origin| places.enter(kind, &by(origin));
        let watching = [
            enter(Kind::Watch, &one).unwrap(),
            enter(Kind::Watch, &one).unwrap(),
        ];
        assert!(enter(Kind::Watch, &one).is_none());
        assert!(enter(Kind::Check, &one).is_some());
        assert!(enter(Kind::Watch, &other).is_some());
        drop(watching);
        assert!(enter(Kind::Watch, &one).is_some());

        let mine = [
            enter(Kind::Reflection, &one).unwrap(),
            enter(Kind::Reflection, &one).unwrap(),
        ];
        assert!(enter(Kind::Reflection, &one).is_none());
        let others = enter(Kind::Reflection, &other).unwrap();
        assert!(
            enter(Kind::Reflection, &other).is_none(),
            "three in the process"
        );
        drop((mine, others));
        assert!(enter(Kind::Reflection, &other).is_some());
    }
}
