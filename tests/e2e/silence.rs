//! Connections that do not answer any more and do not hang up either: nobody waits for them for long, and the process goes
//! on without a restart.

use std::time::{Duration, Instant};

use latchkey_proto::enrollment::v1::RedemptionOutcome;
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::status::reason_of;
use tonic::{Request, Status};

use crate::harness::world::{come_in, redemption};
use crate::harness::{ClassDraft, Options, Organization, Stack, eventually, new_id};

/// Bounds as short as they are good for: the server ends a statement after half a second.
const SHORT: &str = "
[database]
statement_timeout_ms = 500
acquire_timeout_ms = 1000
";

async fn linked() -> Stack {
    Stack::with(Options {
        links: true,
        keys: SHORT,
        enrollment: SHORT,
        ..Options::default()
    })
    .await
}

/// Why an outcome is not known: what depends on others says so, or the deadline was there first.
fn is_unknown(status: &Status) {
    assert!(
        matches!(
            reason_of(status),
            Some(ErrorReason::DependencyUnavailable | ErrorReason::DeadlineExceeded)
        ),
        "{status:?}"
    );
}

/// Asks with one id until the student is let in; until then nothing but that the outcome is unknown may be said.
async fn is_decided(stack: &Stack, student: &str, code: &str) {
    let id = new_id();
    let answer = eventually("decided", async || {
        let mut request = Request::new(redemption(&id, student, code));
        request.set_timeout(Duration::from_secs(3));
        let answer = stack.platform().redemptions().redeem_key(request).await;
        answer.map_err(|status| {
            is_unknown(&status);
            status.to_string()
        })
    })
    .await;
    assert_eq!(answer.into_inner().outcome(), RedemptionOutcome::Enrolled);
}

#[tokio::test]
async fn forgotten_connections_to_postgres_are_found_out_and_replaced() {
    let stack = linked().await;
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let students = organization.students(3).await;
    come_in(&stack, &students[0], &code).await;
    for (replicas, student) in [
        (&stack.site().enrollment, &students[1]),
        (&stack.site().keys, &students[2]),
    ] {
        for replica in replicas {
            replica.links.as_ref().expect("links").database.forget();
        }
        is_decided(&stack, student, &code).await;
    }
    stack.finish().await;
}

#[tokio::test]
async fn forgotten_connections_to_keys_are_found_out_and_replaced() {
    let stack = linked().await;
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let links = stack.site().enrollment[0].links.as_ref();
    let to_keys = links.expect("links").keys.as_ref().expect("a link");
    to_keys.forget();
    is_decided(&stack, &student, &code).await;
    stack.finish().await;
}

#[tokio::test]
async fn a_process_whose_connections_were_forgotten_goes_on_saying_which_keys_it_has() {
    let stack = linked().await;
    let keys = &stack.site().keys[0];
    keys.links.as_ref().expect("links").database.forget();
    let forgotten = Instant::now();
    eventually("said again", async || {
        let ago: Option<f64> = sqlx::query_scalar(
            "SELECT min(extract(epoch FROM clock_timestamp() - seen_at))::float8 FROM keys.keyring_holders",
        )
        .fetch_one(&mut stack.database().await)
        .await
        .expect("a time");
        let passed = forgotten.elapsed().as_secs_f64();
        match ago {
            Some(ago) if ago < passed => Ok(()),
            ago => Err(format!("last {ago:?} s ago, forgotten {passed} s ago")),
        }
    })
    .await;
    stack.finish().await;
}
