use std::time::Duration;

use tower::service_fn;

use super::*;
use crate::access::{Reach, Row};
use crate::clock::SystemClock;
use crate::context::CallContext;
use crate::identity::{Claims, KeyPair, Role, SignerOptions, TokenSigner, Trusts, jwks_document};
use crate::ids::{CountingIds, os_random};
use crate::status::{ErrorReason, reason_of};

const METHOD: &str = "/test.v1.Test/Get";

fn shared() -> (Shared, TokenSigner) {
    let clock = Arc::new(SystemClock);
    let pair = KeyPair::generate(&mut os_random()).unwrap();
    let verifier = TokenVerifier::new(
        Trusts::new(&jwks_document([&pair]), vec!["i".into()]).unwrap(),
        "a",
        Arc::clone(&clock) as _,
    );
    let options = SignerOptions {
        issuer: "i".into(),
        audience: "a".into(),
        subject: "someone".into(),
        roles: vec![Role::Operator],
        organization: None,
        lifetime: chrono::TimeDelta::minutes(5),
    };
    let signer = TokenSigner::new(pair.private_pem(), options, clock).unwrap();
    let access = AccessTable::new(&[Row {
        method: METHOD,
        grants: &[(Role::Operator, Reach::Anything)],
    }]);
    let limits = LimitsConfig::default();
    (
        Shared::new(
            access,
            Arc::new(verifier),
            Arc::new(CountingIds::default()),
            None,
            &limits,
        ),
        signer,
    )
}

fn request(signer: &TokenSigner, headers: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = METHOD.parse().unwrap();
    let token = format!("Bearer {}", signer.token().unwrap());
    request
        .headers_mut()
        .insert("authorization", token.parse().unwrap());
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

fn status(response: &Response<Body>) -> Status {
    Status::from_header_map(response.headers()).unwrap()
}

#[tokio::test]
async fn a_callers_deadline_is_honoured_as_deadline_exceeded() {
    let (shared, signer) = shared();
    let never = service_fn(|_| std::future::pending::<Result<Response<Body>, Infallible>>());
    let response = Gate::new(never, shared)
        .call(request(&signer, &[("grpc-timeout", "20m")]))
        .await
        .unwrap();
    assert_eq!(
        reason_of(&status(&response)),
        Some(ErrorReason::DeadlineExceeded)
    );
}

#[tokio::test]
async fn a_handler_sees_its_context_and_the_request_id_comes_back() {
    let (shared, signer) = shared();
    let handler = service_fn(|request: Request<Body>| async move {
        let context = request.extensions().get::<CallContext>().unwrap();
        assert_eq!(context.caller.subject, "someone");
        assert!(context.scope.everything);
        assert_eq!(RequestId::current().as_ref(), Some(&context.request_id));
        assert!(context.deadline <= Instant::now() + Duration::from_secs(5));
        Ok::<_, Infallible>(Response::new(Body::empty()))
    });
    let mut gate = Gate::new(handler, shared);
    let given = [("x-request-id", "abc"), ("grpc-timeout", "5S")];
    let response = gate.call(request(&signer, &given)).await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "abc");

    let insane = [("x-request-id", "a b"), ("grpc-timeout", "5S")];
    let response = gate.call(request(&signer, &insane)).await.unwrap();
    assert_ne!(response.headers()["x-request-id"], "a b");
}

#[tokio::test]
async fn a_request_body_that_never_ends_is_given_up_at_the_deadline() {
    use http_body::Body as _;

    let (shared, signer) = shared();
    let (seen, told) = tokio::sync::oneshot::channel();
    let seen = Arc::new(std::sync::Mutex::new(Some(seen)));
    let handler = service_fn(move |request: Request<Body>| {
        let seen = seen.lock().unwrap().take().unwrap();
        async move {
            let mut body = request.into_body();
            let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
            seen.send(frame.unwrap().unwrap_err().code()).unwrap();
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }
    });
    let endless = request(&signer, &[("grpc-timeout", "20m")]).map(|_| Body::new(Endless));
    Gate::new(handler, shared).call(endless).await.unwrap();
    assert_eq!(told.await.unwrap(), tonic::Code::DeadlineExceeded);
}

/// A body whose next part never comes.
struct Endless;

impl http_body::Body for Endless {
    type Data = tokio_util::bytes::Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_signer_of_another_key_is_refused() {
    let (shared, _) = shared();
    let (_, stranger) = self::shared();
    let claims = Claims::new(
        "i",
        "a",
        "x",
        crate::clock::Clock::now(&SystemClock),
        chrono::TimeDelta::minutes(1),
    );
    let mut forged = request(&stranger, &[]);
    let token = format!("Bearer {}", stranger.sign(&claims).unwrap());
    forged
        .headers_mut()
        .insert("authorization", token.parse().unwrap());
    let handler = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let response = Gate::new(handler, shared).call(forged).await.unwrap();
    assert_eq!(
        reason_of(&status(&response)),
        Some(ErrorReason::TokenInvalid)
    );
}
