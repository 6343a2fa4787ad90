//! What operators watch agrees with what was done, and gives nothing away.

use std::net::SocketAddr;

use latchkey::stack::Service;
use latchkey::stack::process::{ANY_PORT, claim};
use latchkey_proto::errors::v1::ErrorReason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::world::{come_in, redeem, redeem_as};
use crate::harness::{ClassDraft, Options, Organization, Stack, eventually, new_id, refused};
use crate::held_classes::{hold, let_go, somebody_waits};

/// A stack whose services show their metrics at these addresses.
async fn watched(more: &str) -> (Stack, SocketAddr, SocketAddr) {
    let address = |service| claim(service, ANY_PORT).expect("a free port");
    let (keys, enrollment) = (address(Service::Keys), address(Service::Enrollment));
    let settings = |address, more| -> &'static str {
        Box::leak(format!("[metrics]\naddress = \"{address}\"\n{more}").into_boxed_str())
    };
    let options = Options {
        keys: settings(keys, ""),
        enrollment: settings(enrollment, more),
        ..Options::default()
    };
    (Stack::with(options).await, keys, enrollment)
}

/// What a service shows to Prometheus.
pub(crate) async fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("text");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    text
}

/// Fails unless each of these series stands in the answer of `address` with its value, before long: a call is counted
/// when its last part is sent, which its caller may see a moment before.
async fn shows(address: SocketAddr, series: &[&str]) {
    eventually("the metrics agree", async || {
        let text = scrape(address).await;
        let missing = series
            .iter()
            .find(|line| !text.lines().any(|shown| shown == **line));
        missing.map_or(Ok(()), |line| Err(format!("{line} in\n{text}")))
    })
    .await;
}

#[tokio::test]
async fn metrics_agree_with_what_was_done_and_give_nothing_away() {
    let (stack, keys, enrollment) = watched("[guessing]\nstudent_burst = 1").await;
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new().maximum(2)).await;
    let mut students = Vec::new();
    for _ in 0..3 {
        students.push(organization.student().await);
    }
    let [first, second, third] = &students[..] else {
        panic!("three students");
    };
    let id = new_id();
    redeem_as(&stack, &id, &first.student_id, &code)
        .await
        .expect("in");
    redeem_as(&stack, &id, &first.student_id, &code)
        .await
        .expect("in, once");
    come_in(&stack, &second.student_id, &code).await;
    redeem(&stack, &second.student_id, &code)
        .await
        .expect("in already");
    let full = redeem(&stack, &third.student_id, &code).await;
    refused(full, ErrorReason::ClassFull);
    let unknown = redeem(&stack, &third.student_id, "opens-nothing-here").await;
    refused(unknown, ErrorReason::KeyNotFound);
    let another = redeem(&stack, &third.student_id, &code).await;
    refused(another, ErrorReason::TooManyAttempts);

    shows(
        enrollment,
        &[
            r#"latchkey_redemptions_total{outcome="enrolled",reason="",replayed="false"} 2"#,
            r#"latchkey_redemptions_total{outcome="enrolled",reason="",replayed="true"} 1"#,
            r#"latchkey_redemptions_total{outcome="already_in",reason="",replayed="true"} 1"#,
            r#"latchkey_redemptions_total{outcome="refused",reason="CLASS_FULL",replayed="false"} 1"#,
            r#"latchkey_redemptions_total{outcome="refused",reason="KEY_NOT_FOUND",replayed="false"} 1"#,
            "latchkey_seats_refused_total 1",
            r#"latchkey_wrong_codes_total{service="RedemptionService",method="RedeemKey",reason="KEY_NOT_FOUND"} 1"#,
            r#"latchkey_attempts_limited_total{service="RedemptionService",method="RedeemKey",limit="student"} 1"#,
            r#"latchkey_calls_total{service="RedemptionService",method="RedeemKey",code="OK",reason=""} 4"#,
            r#"latchkey_calls_total{service="RedemptionService",method="RedeemKey",code="FAILED_PRECONDITION",reason="CLASS_FULL"} 1"#,
            r#"latchkey_call_duration_seconds_count{service="RedemptionService",method="RedeemKey"} 7"#,
            // One at a time: each was a batch of its own. The second was recalled, the last was one too many: they went no
            // further.
            r#"latchkey_batch_items_bucket{stage="recall",le="1"} 7"#,
            r#"latchkey_batch_items_count{stage="decide"} 5"#,
            r#"latchkey_dependency_calls_total{dependency="keys",method="ResolveCodes",code="OK"} 5"#,
            "latchkey_pool_max_connections 6",
            "latchkey_calls_in_progress 0",
            "latchkey_ready 1",
        ],
    )
    .await;
    shows(
        keys,
        &[
            r#"latchkey_calls_total{service="KeyUsageService",method="ResolveCodes",code="OK",reason=""} 5"#,
            "latchkey_ready 1",
        ],
    )
    .await;
    let text = scrape(enrollment).await + &scrape(keys).await;
    for student in &students {
        for secret in [&student.email, &student.student_id, &code, &organization.id] {
            assert!(!text.contains(secret.as_str()), "{secret} in\n{text}");
        }
    }
    stack.finish().await;
}

#[tokio::test]
async fn a_comparison_shows_of_every_table_that_nothing_is_broken_there() {
    let (stack, _, enrollment) = watched("[sweeper]\ncomparison_interval_s = 1").await;
    // What is not shown as 0 would keep what it showed before it was mended.
    shows(
        enrollment,
        &[
            r#"latchkey_invariant_findings{table="enrollment.assignments"} 0"#,
            r#"latchkey_invariant_findings{table="enrollment.billing_closings"} 0"#,
            r#"latchkey_invariant_findings{table="enrollment.billing_lines"} 0"#,
            r#"latchkey_invariant_findings{table="enrollment.classes"} 0"#,
            r#"latchkey_invariant_findings{table="enrollment.deliveries"} 0"#,
        ],
    )
    .await;
    stack.finish().await;
}

#[tokio::test]
async fn an_overload_shows_in_metrics_while_it_lasts() {
    let more = "[limits]\nmax_calls = 1\n[database]\nlock_timeout_ms = 20000\nstatement_timeout_ms = 25000";
    let (stack, _, enrollment) = watched(more).await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let waiting = organization.student().await.student_id;
    let late = organization.student().await.student_id;
    let mut holder = stack.database().await;
    hold(&mut holder, &class.class_id).await;
    let waiter = redeem(&stack, &waiting, &code);
    let meanwhile = async {
        somebody_waits(&stack, &mut holder).await;
        refused(redeem(&stack, &late, &code).await, ErrorReason::Overloaded);
        let overloaded = r#"latchkey_calls_total{service="RedemptionService",method="RedeemKey",code="RESOURCE_EXHAUSTED",reason="OVERLOADED"} 1"#;
        shows(enrollment, &[overloaded, "latchkey_calls_in_progress 1"]).await;
        let_go(&mut holder).await;
    };
    let (answer, ()) = futures::join!(waiter, meanwhile);
    answer.expect("in");
    shows(enrollment, &["latchkey_calls_in_progress 0"]).await;
    stack.finish().await;
}
