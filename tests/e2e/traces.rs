//! A caller's trace goes through both services to the collector, and tells nothing that it should not.

use latchkey::stack::Service;
use latchkey::stack::process::{ANY_PORT, claim};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tonic::Request;

use crate::harness::collector::{Collector, text};
use crate::harness::world::{come_in, redemption};
use crate::harness::{ClassDraft, Options, Organization, Stack, eventually, logs, new_id};

/// The caller's span, and its traces: one that is kept, one that is not.
const PARENT: &str = "00f067aa0ba902b7";
const KEPT: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const NOT_KEPT: &str = "a3ce929d0e0e47364bf92f3577b34da6";

/// A stack whose services send traces to `endpoint`.
async fn traced(endpoint: &str, more: &str) -> Stack {
    let settings = format!("[traces]\notlp_endpoint = \"{endpoint}\"\n{more}");
    let settings: &'static str = Box::leak(settings.into_boxed_str());
    let options = Options {
        keys: settings,
        enrollment: settings,
        ..Options::default()
    };
    Stack::with(options).await
}

/// A new student comes in by a call of this trace.
async fn redeem_within(
    organization: &Organization<'_>,
    code: &str,
    trace: &str,
    flags: &str,
    id: &str,
) {
    let student = organization.student().await;
    let mut request = Request::new(redemption(id, &student.student_id, code));
    let header = format!("00-{trace}-{PARENT}-{flags}");
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", header.parse().expect("a header"));
    metadata.insert("x-request-id", id.parse().expect("a header"));
    let mut redemptions = organization.stack.platform().redemptions();
    redemptions.redeem_key(request).await.expect("in");
}

#[tokio::test]
async fn a_callers_trace_goes_through_both_services_and_tells_no_code() {
    let (collector, endpoint) = Collector::start().await;
    // Of the traces that begin here none is kept, so that all that comes is of a caller's.
    let stack = traced(&endpoint, "sample_ratio = 0.0").await;
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let id = new_id();
    redeem_within(&organization, &code, NOT_KEPT, "00", &new_id()).await;
    redeem_within(&organization, &code, KEPT, "01", &id).await;

    let (served, call, resolved) = eventually("all spans have come", async || {
        Ok((
            collector.find("latchkey-enrollment", SpanKind::Server, "/RedeemKey")?,
            collector.find("latchkey-enrollment", SpanKind::Client, "/ResolveCodes")?,
            collector.find("latchkey-keys", SpanKind::Server, "/ResolveCodes")?,
        ))
    })
    .await;
    assert_eq!(hex::encode(&served.parent_span_id), PARENT);
    assert_eq!(call.parent_span_id, served.span_id);
    assert_eq!(resolved.parent_span_id, call.span_id);
    for span in [&served, &call, &resolved] {
        assert_eq!(text(&span.attributes, "rpc.code"), "OK");
    }
    assert_eq!(text(&served.attributes, "request.id"), id);

    let known = ["rpc.method", "request.id", "rpc.code"];
    for (_, span) in collector.spans() {
        assert_eq!(hex::encode(&span.trace_id), KEPT, "{span:?}");
        assert_eq!(span.events, [], "{span:?}");
        for attribute in &span.attributes {
            assert!(known.contains(&attribute.key.as_str()), "{span:?}");
        }
        let shown = format!("{span:?}");
        for secret in [code.clone(), code.replace('-', "")] {
            assert!(!shown.contains(&secret), "{secret} in {shown}");
        }
    }
    stack.finish().await;
}

#[tokio::test]
async fn calls_go_on_while_the_collector_is_away() {
    let nobody = claim(Service::Keys, ANY_PORT).expect("a free port");
    let stack = traced(&format!("http://{nobody}"), "").await;
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let complaints = || {
        let text = logs::all(stack.site());
        text.matches("the collector of traces does not take them")
            .count()
    };
    eventually("both services say it", async || {
        let student = organization.student().await;
        come_in(&stack, &student.student_id, &code).await;
        match complaints() {
            2 => Ok(()),
            other => Err(format!("{other} lines")),
        }
    })
    .await;
    stack.finish().await;
}

#[tokio::test]
async fn a_process_that_ends_sends_what_is_left() {
    let (collector, endpoint) = Collector::start().await;
    let mut stack = traced(&endpoint, "sample_ratio = 0.0").await;
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    redeem_within(&organization, &code, KEPT, "01", &new_id()).await;
    let enrollment = stack.replica(Service::Enrollment, 0);
    enrollment.stop().await;
    let sent = collector.find("latchkey-enrollment", SpanKind::Server, "/RedeemKey");
    sent.expect("it was sent before the process ended");
    enrollment.run().await;
    stack.finish().await;
}
