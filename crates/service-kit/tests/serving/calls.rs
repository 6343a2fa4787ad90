//! Single calls: who is let in, in which order refusals come, and how failures look.

use latchkey_service_kit::config::LimitsConfig;
use latchkey_service_kit::status::{ErrorReason, metadata_of, reason_of};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_types::StatusExt;

use crate::world::{LogLines, World, soon};

const ECHO: &str = "/test.v1.Test/Echo";

fn refused(result: Result<impl std::fmt::Debug, Status>) -> (Code, Option<ErrorReason>) {
    let status = result.unwrap_err();
    (status.code(), reason_of(&status))
}

fn empty() -> HealthCheckRequest {
    HealthCheckRequest::default()
}

#[tokio::test]
async fn a_good_call_is_answered_and_leaves_one_line() {
    let (log, _guard) = LogLines::capture();
    let mut world = World::plain().await;
    let token = format!("Bearer {}", world.signer.token().unwrap());
    let headers = [
        ("authorization", token.as_str()),
        ("x-request-id", "my-call"),
    ];
    let answer = world.call_with(ECHO, &headers, empty()).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "my-call");
    let context = soon(world.entered.recv()).await.unwrap();
    assert_eq!(context.caller.subject, "olga");
    assert_eq!(context.peer_text(), "127.0.0.1");

    let calls = log.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0]["request.id"], "my-call");
    assert_eq!(calls[0]["rpc.method"], ECHO);
    assert_eq!(calls[0]["rpc.code"], "Ok");
    assert_eq!(calls[0]["caller.subject"], "olga");
    assert!(calls[0]["duration_ms"].is_u64());
    assert!(!format!("{calls:?}").contains(token.split_once(' ').unwrap().1));
}

#[tokio::test]
async fn a_path_that_somebody_made_up_is_cut_in_the_log() {
    let (log, _guard) = LogLines::capture();
    let world = World::plain().await;
    let path = format!("/test.v1.Test/{}", "x".repeat(8_000));
    let unknown = refused(world.call_with(&path, &[], empty()).await);
    let reason = Some(ErrorReason::MethodUnknown);
    assert_eq!(unknown, (Code::Unimplemented, reason));
    let lines = log.calls();
    let shown = lines[0]["rpc.method"].as_str().unwrap();
    assert!(shown.starts_with("/test.v1.Test/xxx"), "{shown}");
    assert!(shown.ends_with("xx…") && shown.len() < 140, "{shown}");
    assert!(lines[0].to_string().len() < 1_000, "{}", lines[0]);
}

#[tokio::test]
async fn nobody_gets_past_the_gate_without_a_row_a_token_and_a_role() {
    let world = World::plain().await;
    // The service has these methods, or does not: without a row nobody can call them.
    let unknown = (Code::Unimplemented, Some(ErrorReason::MethodUnknown));
    assert_eq!(refused(world.call("NoRow").await), unknown);
    assert_eq!(
        refused(world.call_with("/test.v1.Other/Echo", &[], empty()).await),
        unknown
    );
    assert_eq!(
        refused(
            world
                .call_with("/grpc.health.v1.HealthX/Check", &[], empty())
                .await
        ),
        unknown
    );

    let missing = (Code::Unauthenticated, Some(ErrorReason::TokenMissing));
    assert_eq!(refused(world.call_with(ECHO, &[], empty()).await), missing);
    let bad = [("authorization", "Bearer not.a.token")];
    let invalid = (Code::Unauthenticated, Some(ErrorReason::TokenInvalid));
    assert_eq!(refused(world.call_with(ECHO, &bad, empty()).await), invalid);
    let not_allowed = (Code::PermissionDenied, Some(ErrorReason::NotAllowed));
    assert_eq!(refused(world.call("Forbidden").await), not_allowed);
}

/// The order of the steps, as it shows: each refusal comes from the first step that refuses.
#[tokio::test]
async fn the_steps_come_in_the_stated_order() {
    let (log, _guard) = LogLines::capture();
    let mut world = World::with_limits(LimitsConfig {
        max_calls: 1,
        ..LimitsConfig::default()
    })
    .await;
    let waiting = tokio::spawn(world.call("Wait"));
    soon(world.entered.recv()).await.unwrap();

    // Steps 1 and 2 before 3: a call that is shed has a request id and leaves a line. Step 3 before 4: it is shed
    // although it has no token.
    let shed = world
        .call_with(ECHO, &[("x-request-id", "shed")], empty())
        .await
        .unwrap_err();
    assert_eq!(reason_of(&shed), Some(ErrorReason::Overloaded));
    assert!(shed.get_details_retry_info().unwrap().retry_delay.is_some());
    assert_eq!(shed.metadata().get("x-request-id").unwrap(), "shed");
    let lines: Vec<_> = log
        .calls()
        .into_iter()
        .filter(|line| line["request.id"] == "shed")
        .collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["error.reason"], "OVERLOADED");

    world.switchboard.release.add_permits(1);
    soon(waiting).await.unwrap().unwrap();

    // Step 4 before 5: without a token nobody learns that the deadline makes no sense.
    let no_token = world
        .call_with(ECHO, &[("grpc-timeout", "soon")], empty())
        .await;
    assert_eq!(
        refused(no_token),
        (Code::Unauthenticated, Some(ErrorReason::TokenMissing))
    );
    let token = format!("Bearer {}", world.signer.token().unwrap());
    let headers = [("authorization", token.as_str()), ("grpc-timeout", "soon")];
    let bad_timeout = world.call_with(ECHO, &headers, empty()).await;
    assert_eq!(
        refused(bad_timeout),
        (Code::InvalidArgument, Some(ErrorReason::FieldInvalid))
    );
    assert!(
        world.entered.try_recv().is_err(),
        "no refused call reached the service"
    );
}

/// Step 6 is the innermost: the deadline answers the caller, and the handler goes on, still counted as work.
#[tokio::test]
async fn a_deadline_does_not_stop_the_handler() {
    let limits = LimitsConfig {
        max_calls: 1,
        default_deadline_ms: 100,
        ..LimitsConfig::default()
    };
    let mut world = World::with_limits(limits).await;
    let late = world.call("Wait").await;
    assert_eq!(
        refused(late),
        (Code::DeadlineExceeded, Some(ErrorReason::DeadlineExceeded))
    );
    let id = soon(world.entered.recv()).await.unwrap().request_id;
    assert_eq!(
        refused(world.call("Echo").await).1,
        Some(ErrorReason::Overloaded),
        "the handler is still at work"
    );

    world.switchboard.release.add_permits(1);
    assert_eq!(soon(world.finished.recv()).await.unwrap(), id.to_string());
    soon(async { while world.call("Echo").await.is_err() {} }).await;
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_stop_the_handler() {
    let (log, _guard) = LogLines::capture();
    let mut world = World::plain().await;
    let call = tokio::spawn(world.call("Wait"));
    let id = soon(world.entered.recv())
        .await
        .unwrap()
        .request_id
        .to_string();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    soon(async {
        while !log
            .calls()
            .iter()
            .any(|line| line["request.id"] == id && line["rpc.code"] == "Cancelled")
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.switchboard.release.add_permits(1);
    assert_eq!(soon(world.finished.recv()).await.unwrap(), id);
}

#[tokio::test]
async fn a_panic_and_a_fault_are_internal_and_say_nothing_but_the_request_id() {
    let (log, _guard) = LogLines::capture();
    let world = World::plain().await;
    for method in ["Panic", "Fail"] {
        let status = world.call(method).await.unwrap_err();
        assert_eq!(
            (status.code(), reason_of(&status)),
            (Code::Internal, Some(ErrorReason::Internal)),
            "{method}"
        );
        let id = status
            .metadata()
            .get("x-request-id")
            .unwrap()
            .to_str()
            .unwrap();
        assert_eq!(metadata_of(&status)["request_id"], id, "{method}");
        assert!(!format!("{status:?}").contains("hunter2"), "{status:?}");
        let calls = log.calls();
        let line = calls.iter().find(|line| line["request.id"] == id).unwrap();
        assert_eq!(line["level"], "ERROR");
        assert!(
            line["error.cause"].as_str().unwrap().contains("hunter2"),
            "{line}"
        );
    }
    world.call("Echo").await.unwrap();
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_the_callers_fault() {
    let world = World::plain().await;
    let token = format!("Bearer {}", world.signer.token().unwrap());
    let headers = [("authorization", token.as_str())];
    let invalid = (Code::InvalidArgument, Some(ErrorReason::FieldInvalid));
    let other_type = prost_types::Duration {
        seconds: 1,
        nanos: 0,
    };
    assert_eq!(
        refused(world.call_with(ECHO, &headers, other_type).await),
        invalid
    );
    let large = HealthCheckRequest {
        service: "x".repeat(2_000),
    };
    assert_eq!(
        refused(world.call_with(ECHO, &headers, large).await),
        invalid
    );
}
