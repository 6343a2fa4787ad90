//! The lines as a file: the same lines, the same bytes whenever closed time is asked for, whole or failed, in bounded memory.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use latchkey_proto::audit::v1::ListAuditEventsRequest;
use latchkey_proto::enrollment::v1::{
    BillingExportSummary, CancelEnrollmentRequest, ClosePeriodRequest, ClosePeriodResponse,
    ExportBillingLinesRequest, ExportBillingLinesResponse,
};
use latchkey_service_kit::rows::Contents;
use serde_json::{Value, json};
use tonic::{Request, Status, Streaming};
use uuid::Uuid;

use super::{enroll, lines, now};
use crate::harness::memory::peak_kib;
use crate::harness::{Caller, ClassDraft, Organization, Stack, at, eventually, insist, new_id};

const HEADER: &str = r#""organization_id","booked_at","kind","reason","occurred_at","enrollment_id","student_id","course_id","course_name","class_id","class_name","key_kind","key_id","assignment_id","pool_id","profile_id","profile_name""#;

/// A name that a spreadsheet takes for a formula.
const NAME: &str = "=1+1";

/// How many lines no page holds, and no chunk of a closing.
const FEW: i64 = 10_000;

/// What many classes and pools come to in a month.
const MANY: i64 = 100_000;

/// How much more memory ten times as many may take at their peak: what the allocator keeps here and there.
const MORE_KIB: u64 = 12 * 1024;

pub(super) struct Exported {
    pub(super) text: String,
    summary: BillingExportSummary,
}

async fn begun(
    caller: &Caller,
    request: &ExportBillingLinesRequest,
) -> Streaming<ExportBillingLinesResponse> {
    let billing = caller.billing();
    insist(async || billing.clone().export_billing_lines(request.clone()).await).await
}

async fn all_of(mut stream: Streaming<ExportBillingLinesResponse>) -> Result<Exported, Status> {
    let (mut bytes, mut summary) = (Vec::new(), None);
    while let Some(message) = stream.message().await? {
        assert_eq!(summary, None, "the summary is the end");
        assert!(
            message.rows.is_empty() != message.summary.is_none(),
            "one of them"
        );
        assert!(
            message.rows.len() <= 64 * 1024,
            "{} bytes",
            message.rows.len()
        );
        assert!(
            message.rows.is_empty() || message.rows.ends_with(b"\r\n"),
            "whole rows"
        );
        bytes.extend_from_slice(&message.rows);
        summary = message.summary;
    }
    Ok(Exported {
        text: String::from_utf8(bytes).expect("text"),
        summary: summary.expect("a summary"),
    })
}

/// Exports, and compares what came with what was sent.
pub(super) async fn export(caller: &Caller, request: &ExportBillingLinesRequest) -> Exported {
    let exported = all_of(begun(caller, request).await)
        .await
        .expect("it is whole");
    let rows = exported.text.lines().count() - 1;
    let mut contents = Contents::default();
    contents.add(exported.text.as_bytes(), rows as u64);
    let expected = BillingExportSummary {
        row_count: i64::try_from(rows).expect("a number"),
        byte_count: i64::try_from(contents.bytes()).expect("a number"),
        sha256: contents.sha256(),
    };
    assert_eq!(exported.summary, expected);
    exported
}

pub(super) fn of(organization: &Organization<'_>) -> ExportBillingLinesRequest {
    ExportBillingLinesRequest {
        organization_id: organization.id.clone(),
        ..ExportBillingLinesRequest::default()
    }
}

/// What the trail says of exports of an organization, the oldest first.
async fn trail(organization: &Organization<'_>) -> Vec<(String, String, Value)> {
    let request = ListAuditEventsRequest {
        resource_id: organization.id.clone(),
        resource_type: "billing".to_owned(),
        ..ListAuditEventsRequest::default()
    };
    let mut trail = organization.stack.operator().enrollment_audit();
    let events = trail.list_audit_events(request).await.expect("events");
    let read = |event: latchkey_proto::audit::v1::AuditEvent| {
        let details = serde_json::from_str(&event.details_json).expect("JSON");
        (event.action, event.event_id, details)
    };
    events
        .into_inner()
        .events
        .into_iter()
        .rev()
        .map(read)
        .collect()
}

#[tokio::test]
async fn it_holds_the_lines_and_of_closed_time_the_same_bytes_whenever_it_is_asked_for() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().change(|class| NAME.clone_into(&mut class.name));
    let class = organization.class(draft).await;
    let (stays, leaves) = (
        enroll(&organization, &class.class_id).await,
        enroll(&organization, &class.class_id).await,
    );
    let manager = organization.manager();
    let open = export(&manager, &of(&organization)).await;
    let end = now();
    organization.close_period(end).await;
    let closed = ExportBillingLinesRequest {
        until: at(end),
        ..of(&organization)
    };
    let first = export(&manager, &closed).await;
    assert_eq!(first.text, open.text, "nothing came in between");
    let request = CancelEnrollmentRequest {
        enrollment_id: leaves.clone(),
        ..CancelEnrollmentRequest::default()
    };
    let answer = organization
        .admin()
        .enrollments()
        .cancel_enrollment(request)
        .await;
    answer.expect("cancelled");
    assert_eq!(export(&manager, &closed).await.text, first.text);

    let all = export(&manager, &of(&organization)).await;
    assert_eq!(all.text.split("\r\n").next(), Some(HEADER));
    let mut reader = csv::Reader::from_reader(all.text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    let listed = lines(&organization).await;
    assert_eq!(rows.len(), 3);
    for (row, line) in rows.iter().zip(&listed) {
        assert_eq!(&row[5], line.enrollment_id);
        assert_eq!(&row[6], line.student_id);
        assert_eq!(&row[10], "'=1+1", "it is no formula");
        assert_eq!((&row[11], &row[12]), ("", ""), "enrolled directly");
    }
    let told: Vec<_> = rows.iter().map(|row| (&row[5], &row[2], &row[3])).collect();
    let expected = [
        (stays.as_str(), "charge", "enrolled"),
        (leaves.as_str(), "charge", "enrolled"),
        (leaves.as_str(), "credit", "cancelled_by_staff"),
    ];
    assert_eq!(told, expected);

    let trail = trail(&organization).await;
    let (begin, end) = (&trail[2], &trail[3]);
    assert_eq!(
        (begin.0.as_str(), end.0.as_str()),
        ("billing.export", "billing.export_end")
    );
    let came = json!({
        "export_id": begin.1, "complete": true, "because": null, "lines": 2,
        "bytes": first.summary.byte_count, "sha256": first.summary.sha256,
    });
    assert_eq!(end.2, came);
    stack.finish().await;
}

/// Puts so many enrollments and assignments into the database, as many of the one as of the other, past all rules. Of their
/// keys, which are none, keys is told nothing: that was long ago.
async fn fill(organization: &Organization<'_>, many: i64) {
    let class = organization.class(ClassDraft::new()).await;
    let parse = |id: &str| id.parse::<Uuid>().expect("an id");
    let mut database = organization.stack.database().await;
    for statement in [
        "INSERT INTO enrollment.enrollments (enrollment_id, class_id, organization_id, student_id, status, status_since, holds_key,
            enrolled_at)
         SELECT gen_random_uuid(), $1, $2, gen_random_uuid(), 'enrolled', now() - make_interval(secs => n), false, now()
         FROM generate_series(1, $3 / 2) AS n",
        "INSERT INTO enrollment.assignments (assignment_id, pool_id, organization_id, student_id, course_id, course_name, status,
            key_id, generation, slot, holds_key, assigned_at, expires_at, changed_xid)
         SELECT gen_random_uuid(), $1, $2, gen_random_uuid(), 'sec-201', 'Security at Your Pace', 'assigned',
            gen_random_uuid(), 1, 0, true, now() - make_interval(secs => n), now() + interval '1 day', '3'
         FROM generate_series(1, $3 / 2) AS n",
    ] {
        sqlx::query(statement)
            .bind(parse(&class.class_id))
            .bind(parse(&organization.id))
            .bind(many)
            .execute(&mut database)
            .await
            .expect("rows");
    }
}

/// A minute is the longest that a call may take, unless it streams.
async fn close_within_a_minute(organization: &Organization<'_>) -> ClosePeriodResponse {
    let mut request = Request::new(ClosePeriodRequest {
        request_id: new_id(),
        organization_id: organization.id.clone(),
        end_time: at(now()),
    });
    request.set_timeout(Duration::from_mins(1));
    let closed = organization.manager().billing().close_period(request).await;
    closed.expect("closed").into_inner()
}

/// Exports so many lines of a new organization, closes them, and exports them again; the most memory that the service has had.
async fn export_and_close(stack: &Stack, many: i64) -> u64 {
    let organization = Organization::new(stack).await;
    fill(&organization, many).await;
    let manager = organization.manager();
    let began = Instant::now();
    let open = export(&manager, &of(&organization)).await;
    let exported = began.elapsed();
    let began = Instant::now();
    let closed = close_within_a_minute(&organization).await;
    let closing = began.elapsed();
    assert_eq!(closed.charge_count, many);
    assert_eq!(open.summary.row_count, many);
    let again = export(&manager, &of(&organization)).await;
    assert_eq!(again.summary, open.summary, "the same bytes");
    let different: BTreeSet<&str> = open.text.lines().collect();
    assert_eq!(different.len(), open.text.lines().count(), "each once");
    let peak = peak_kib(&stack.site().enrollment[0]);
    println!(
        "{many} lines, {} bytes, exported in {exported:?}, closed in {closing:?}; peak {peak} KiB",
        open.summary.byte_count
    );
    peak
}

#[tokio::test]
async fn many_lines_are_closed_and_come_in_bounded_memory_all_of_them_once() {
    let stack = Stack::own().await;
    let few = export_and_close(&stack, FEW).await;
    let many = export_and_close(&stack, MANY).await;
    assert!(many <= few + MORE_KIB, "{few} KiB, then {many} KiB");
    stack.finish_after_untruths().await;
}

#[tokio::test]
async fn a_reader_who_leaves_ends_it_and_the_trail_says_so() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    fill(&organization, 6 * FEW).await;
    let mut stream = begun(&organization.manager(), &of(&organization)).await;
    stream.message().await.expect("a message").expect("rows");
    drop(stream);
    let end = eventually("the end is told", async || {
        let mut events = trail(&organization).await;
        match events.pop() {
            Some((action, _, details)) if action == "billing.export_end" => Ok(details),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(
        (&end["complete"], &end["because"]),
        (&false.into(), &"reader_gone".into())
    );
    stack.finish_after_untruths().await;
}
