//! Exports of keys with their codes: what is in them, who may have them, what is known of them afterwards, and that they
//! are whole or fail, however long they are and however they are read.

mod bulk;
pub(crate) mod command;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use latchkey_proto::audit::v1::{AuditEvent, ListAuditEventsRequest};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    ExportFormat, ExportSummary, ExportTrainingKeysRequest, ExportTrainingKeysResponse, KeyKind,
    KeyState,
};
use latchkey_service_kit::rows::Contents;
use serde_json::Value;
use sqlx::PgPool;
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::harness::memory::peak_kib;
use crate::harness::time::read;
use crate::harness::world::{come_in, own_code};
use crate::harness::{
    Caller, ClassDraft, Options, Organization, Stack, eventually, insist, new_id, reason_of,
    refused,
};

use bulk::{Bulk, fill};

const CSV_HEADER: &str = r#""code","kind","class_id","class_name","status","redeemed_by","redeemed_at","pool_id","pool_name","profile_id","profile_name","max_uses","use_count""#;

/// A name that a spreadsheet takes for a formula, in a file that has to quote it.
const NAME: &str = "=HYPERLINK(\"http://example.com\",\"Linux\")";

/// How much more memory an export may take at its peak, whatever its length: a page of keys, the pieces ahead of the
/// reader, and what the allocator keeps of both.
const MORE_KIB: u64 = 16 * 1024;

/// An export, read to its end.
struct Exported {
    text: String,
    pieces: Vec<usize>,
    summary: ExportSummary,
}

fn of_class(class_id: &str) -> ExportTrainingKeysRequest {
    ExportTrainingKeysRequest {
        class_id: class_id.to_owned(),
        format: ExportFormat::JsonLines.into(),
        reason: "printing".to_owned(),
        ..ExportTrainingKeysRequest::default()
    }
}

async fn begin(
    caller: &Caller,
    request: impl tonic::IntoRequest<ExportTrainingKeysRequest>,
) -> Result<Response<Streaming<ExportTrainingKeysResponse>>, Status> {
    caller.training_keys().export_training_keys(request).await
}

/// An export that begins, though at first the service may have no time for it.
async fn begun(
    caller: &Caller,
    request: ExportTrainingKeysRequest,
) -> Streaming<ExportTrainingKeysResponse> {
    insist(async || begin(caller, request.clone()).await).await
}

/// Reads an export to its end, which must be a summary of what came.
async fn all_of(mut stream: Streaming<ExportTrainingKeysResponse>) -> Result<Exported, Status> {
    let (mut bytes, mut pieces, mut summary) = (Vec::new(), Vec::new(), None);
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
        if !message.rows.is_empty() {
            assert!(message.rows.ends_with(b"\n"), "whole rows");
            pieces.push(message.rows.len());
            bytes.extend_from_slice(&message.rows);
        }
        summary = message.summary;
    }
    Ok(Exported {
        text: String::from_utf8(bytes).expect("text"),
        pieces,
        summary: summary.expect("a summary"),
    })
}

/// Exports, and compares what came with what was sent.
async fn export(caller: &Caller, request: ExportTrainingKeysRequest) -> Exported {
    let csv = request.format() == ExportFormat::Csv;
    let stream = begun(caller, request).await;
    let exported = all_of(stream).await.expect("it is whole");
    let rows = exported.text.lines().count() - usize::from(csv);
    let mut contents = Contents::default();
    contents.add(exported.text.as_bytes(), rows as u64);
    let expected = ExportSummary {
        row_count: i64::try_from(rows).expect("a number"),
        byte_count: i64::try_from(contents.bytes()).expect("a number"),
        sha256: contents.sha256(),
    };
    assert_eq!(exported.summary, expected);
    exported
}

/// The rows of an export as JSON Lines.
pub(crate) async fn rows(caller: &Caller, request: ExportTrainingKeysRequest) -> Vec<Value> {
    let exported = export(caller, request).await;
    let lines = exported.text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn codes(rows: &[Value]) -> BTreeSet<&str> {
    rows.iter()
        .map(|row| row["code"].as_str().expect("a code"))
        .collect()
}

/// The audit events of exports of a class or an organization, the oldest first.
async fn trail(organization: &Organization<'_>, resource_id: &str) -> Vec<AuditEvent> {
    let request = ListAuditEventsRequest {
        resource_id: resource_id.to_owned(),
        ..ListAuditEventsRequest::default()
    };
    let mut trail = organization.stack.operator().keys_audit();
    let events = trail.list_audit_events(request).await.expect("events");
    let mut events = events.into_inner().events;
    events.retain(|event| event.action.starts_with("training_key.export"));
    events.reverse();
    events
}

fn details(event: &AuditEvent) -> Value {
    serde_json::from_str(&event.details_json).expect("JSON")
}

#[tokio::test]
async fn every_key_is_in_it_with_its_code_its_state_and_who_uses_it() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().change(|class| {
        NAME.clone_into(&mut class.name);
        class.event_key = Some(own_code("-own-code-1234"));
    });
    let (class, keys) = organization.keyed_class(draft, 4).await;
    let student = organization.student().await.student_id;
    let enrollment = come_in(&stack, &student, &keys[1].code).await;
    organization.revoke(&[&keys[2].key_id]).await;
    let manager = organization.manager();

    let rows = eventually("the use is told", async || {
        let rows = rows(&manager, of_class(&class.class_id)).await;
        let told = rows.iter().any(|row| row["status"] == "redeemed");
        if told {
            Ok(rows)
        } else {
            Err(format!("{} rows", rows.len()))
        }
    })
    .await;
    let mut expected = codes_of(&keys);
    expected.insert("-own-code-1234");
    assert_eq!(codes(&rows), expected);
    assert_eq!(rows.len(), 5);
    for row in &rows {
        let code = row["code"].as_str().expect("a code");
        let is_event = code.starts_with('-');
        assert_eq!(row["kind"], if is_event { "event" } else { "enrollment" });
        assert_eq!(row["class_id"], class.class_id.as_str());
        assert_eq!(row["class_name"], NAME);
        let redeemed = code == keys[1].code;
        let status = match code {
            _ if redeemed => "redeemed",
            _ if code == keys[2].code => "revoked",
            _ => "available",
        };
        assert_eq!(row["status"], status, "{row}");
        assert_eq!(
            row["redeemed_by"].as_str(),
            redeemed.then_some(student.as_str())
        );
        let at = row["redeemed_at"].as_str();
        let at = at.map(|at| at.parse::<DateTime<Utc>>().expect("a time"));
        let came = read(enrollment.enroll_time.as_ref());
        assert_eq!(at, redeemed.then_some(came), "{row}");
    }
    the_csv_holds_the_same(&manager, &class.class_id, &rows).await;
    stack.finish().await;
}

fn codes_of(keys: &[latchkey_proto::keys::v1::RevealedCode]) -> BTreeSet<&str> {
    keys.iter().map(|key| key.code.as_str()).collect()
}

async fn the_csv_holds_the_same(manager: &Caller, class_id: &str, rows: &[Value]) {
    let request = ExportTrainingKeysRequest {
        format: ExportFormat::Csv.into(),
        ..of_class(class_id)
    };
    let exported = export(manager, request).await;
    assert_eq!(exported.text.split("\r\n").next(), Some(CSV_HEADER));
    let mut reader = csv::Reader::from_reader(exported.text.as_bytes());
    let names = reader.headers().expect("names").clone();
    let read: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
    assert_eq!(read.len(), rows.len());
    for (row, same) in read.iter().zip(rows) {
        for (name, field) in names.iter().zip(row) {
            let text = same[name].as_str().unwrap_or_default();
            let marked = text.starts_with(['=', '-']);
            let expected = if marked {
                format!("'{text}")
            } else {
                text.to_owned()
            };
            assert_eq!(field, expected, "{name}");
        }
    }
}

#[tokio::test]
async fn filters_choose_and_one_organization_is_not_another() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let branch = organization.child().await;
    let (class, keys) = organization
        .keyed_class(ClassDraft::new().with_event_key(), 3)
        .await;
    let (other, _) = organization.keyed_class(ClassDraft::new(), 2).await;
    let (below, _) = branch.keyed_class(ClassDraft::new(), 1).await;
    organization.revoke(&[&keys[0].key_id]).await;
    let manager = organization.manager();
    let of = |change: fn(&mut ExportTrainingKeysRequest)| {
        let mut request = of_class(&class.class_id);
        change(&mut request);
        request
    };

    let revoked = rows(&manager, of(|r| r.set_state(KeyState::Revoked))).await;
    assert_eq!(codes(&revoked), codes_of(&keys[..1]));
    let events = rows(&manager, of(|r| r.set_kind(KeyKind::Event))).await;
    assert_eq!(events.len(), 1);
    let nobodys = rows(&manager, of(|r| r.student_id = new_id())).await;
    assert!(nobodys.is_empty());
    let nobodys = rows(&manager, of(|r| r.batch_id = new_id())).await;
    assert!(nobodys.is_empty());

    let of_organization = |id: &str| ExportTrainingKeysRequest {
        class_id: String::new(),
        organization_id: id.to_owned(),
        ..of_class("")
    };
    let all = rows(&manager, of_organization(&organization.id)).await;
    let classes: BTreeSet<_> = all.iter().map(|row| row["class_id"].to_string()).collect();
    let expected = [&class, &other].map(|class| format!("\"{}\"", class.class_id));
    assert_eq!((all.len(), classes), (6, BTreeSet::from(expected)));
    let events = trail(&organization, &organization.id).await;
    assert_eq!(events[0].resource_type, "organization");

    let its = rows(&manager, of_organization(&branch.id)).await;
    assert_eq!(its.len(), 1, "what is below is within reach");
    let above = begin(&branch.manager(), of_organization(&organization.id)).await;
    assert_eq!(reason(above), ErrorReason::OrganizationNotFound);
    let above = begin(&branch.manager(), of_class(&class.class_id)).await;
    assert_eq!(reason(above), ErrorReason::ClassNotFound);
    organization.cancel_class(&class.class_id).await;
    let expired = rows(&manager, of(|r| r.set_state(KeyState::Expired))).await;
    assert_eq!(expired.len(), 3, "all but the revoked one");
    assert_ne!(below.class_id, class.class_id);
    stack.finish().await;
}

fn reason<T>(answer: Result<T, Status>) -> ErrorReason {
    match answer {
        Ok(_) => panic!("it was not refused"),
        Err(refusal) => reason_of(&refusal),
    }
}

#[tokio::test]
async fn the_trail_tells_who_exported_what_and_why_and_how_it_ended() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, keys) = organization.keyed_class(ClassDraft::new(), 2).await;
    let mut request = Request::new(ExportTrainingKeysRequest {
        reason: "printing the cards".to_owned(),
        state: KeyState::Available.into(),
        ..of_class(&class.class_id)
    });
    let id = "ticket-0815".parse().expect("text");
    request.metadata_mut().insert("x-request-id", id);
    let stream = begin(&organization.manager(), request)
        .await
        .expect("it begins")
        .into_inner();
    let exported = all_of(stream).await.expect("it is whole");

    let events = trail(&organization, &class.class_id).await;
    let [first, last] = &events[..] else {
        panic!("two events, not {events:?}")
    };
    for event in [first, last] {
        let actor = event.actor.as_ref().expect("an actor");
        assert_eq!(actor.subject, "mona-manager");
        assert_eq!(event.organization_id, organization.id);
        assert_eq!(event.resource_type, "class");
        assert_eq!(event.request_id, "ticket-0815");
        for key in &keys {
            assert!(!event.details_json.contains(&key.code), "a code is told");
        }
    }
    assert_eq!(first.action, "training_key.export");
    let asked = serde_json::json!({
        "reason": "printing the cards", "format": "jsonl", "state": "available", "keys": 2,
    });
    assert_eq!(details(first), asked);
    assert_eq!(last.action, "training_key.export_end");
    let came = serde_json::json!({
        "export_id": first.event_id, "complete": true, "because": null, "keys": 2,
        "bytes": exported.summary.byte_count, "sha256": exported.summary.sha256,
    });
    assert_eq!(details(last), came);

    // What is refused is no export.
    let refusal = begin(&organization.admin(), of_class(&class.class_id)).await;
    assert_eq!(reason(refusal), ErrorReason::NotAllowed);
    let answer = organization
        .manager()
        .training_keys()
        .export_training_keys(ExportTrainingKeysRequest {
            reason: String::new(),
            ..of_class(&class.class_id)
        })
        .await;
    refused(answer, ErrorReason::FieldInvalid);
    assert_eq!(trail(&organization, &class.class_id).await.len(), 2);
    stack.finish().await;
}

/// The end that the trail tells of: whether it was complete, and why not.
async fn end_of(organization: &Organization<'_>, class_id: &str) -> Value {
    eventually("the end is told", async || {
        let events = trail(organization, class_id).await;
        match &events[..] {
            [_, last] => Ok(details(last)),
            _ => Err(format!("{} events", events.len())),
        }
    })
    .await
}

#[tokio::test]
async fn many_keys_come_in_bounded_memory_all_of_them_once() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let bulk = Bulk::usual();
    let class = fill(&organization, &bulk).await;
    let manager = organization.manager();
    let small = ExportTrainingKeysRequest {
        state: KeyState::Revoked.into(),
        ..of_class(&class)
    };
    export(&manager, small).await;
    let keys = &stack.site().keys[0];
    let before = peak_kib(keys);
    let began = Instant::now();
    let exported = export(&manager, of_class(&class)).await;
    let after = peak_kib(keys);
    println!(
        "{} keys, {} bytes in {} pieces in {} ms; peak {before} KiB, then {after} KiB",
        exported.summary.row_count,
        exported.summary.byte_count,
        exported.pieces.len(),
        began.elapsed().as_millis(),
    );
    let different: BTreeSet<&str> = exported.text.lines().collect();
    assert_eq!(different.len(), bulk.keys, "each once");
    let large = u64::try_from(exported.text.len()).expect("a number") / 1024;
    assert!(large > 2 * MORE_KIB, "{large} KiB would show");
    assert!(after - before <= MORE_KIB, "{before} KiB, then {after} KiB");
    let end = trail(&organization, &class).await;
    assert_eq!(details(&end[2])["keys_at_least"], 2000);
    assert_eq!(details(&end[3])["keys"], bulk.keys);
    stack.finish_after_untruths().await;
}

#[tokio::test]
async fn a_reader_who_stops_holds_no_transaction_and_one_who_leaves_ends_it() {
    let stack = Stack::with(Options {
        keys: "[export]\nmax_at_once = 1",
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let class = fill(&organization, &Bulk::usual()).await;
    let manager = organization.manager();
    let mut stream = begun(&manager, of_class(&class)).await;
    stream.message().await.expect("a message").expect("rows");
    let second = begin(&manager, of_class(&class)).await;
    assert_eq!(reason(second), ErrorReason::Overloaded);
    let database = PgPool::connect_lazy_with(stack.site().database.admin.clone());
    eventually("no statement and no transaction", async || {
        let busy: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
             AND application_name = 'latchkey-keys' AND state <> 'idle'",
        )
        .fetch_one(&database)
        .await
        .expect("a number");
        if busy == 0 {
            Ok(())
        } else {
            Err(format!("{busy} connections"))
        }
    })
    .await;

    database.close().await;
    drop(stream);
    let end = end_of(&organization, &class).await;
    assert_eq!(
        (&end["complete"], &end["because"]),
        (&false.into(), &"reader_gone".into())
    );
    let given = end["keys"].as_u64().expect("a number");
    assert!(given > 0 && given < Bulk::usual().keys as u64, "{end}");
    // Its place is free again.
    let stream = eventually("another may begin", async || {
        let begun = begin(&manager, of_class(&class)).await;
        begun.map_err(|refusal| refusal.to_string())
    })
    .await;
    drop(stream);
    stack.finish_after_untruths().await;
}

#[tokio::test]
async fn an_export_that_is_read_too_slowly_fails_at_its_deadline() {
    let stack = Stack::with(Options {
        keys: "[export]\nmax_duration_ms = 5000",
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let class = fill(&organization, &Bulk::usual()).await;
    let manager = organization.manager();
    let stream = begun(&manager, of_class(&class)).await;
    let end = end_of(&organization, &class).await;
    assert_eq!(end["because"], "too_slow");
    let Err(status) = all_of(stream).await else {
        panic!("it looks whole")
    };
    assert_eq!(status.code(), Code::DeadlineExceeded);
    stack.finish_after_untruths().await;
}

#[tokio::test]
async fn a_code_that_does_not_open_fails_the_export() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let (class, keys) = organization.keyed_class(ClassDraft::new(), 3).await;
    let damaged: uuid::Uuid = keys[0].key_id.parse().expect("an id");
    let mut database = stack.database().await;
    sqlx::query("UPDATE keys.codes SET sealed_code = set_byte(sealed_code, 30, 255 - get_byte(sealed_code, 30)) WHERE key_id = $1")
        .bind(damaged)
        .execute(&mut database)
        .await
        .expect("damaged");
    let stream = begun(&organization.manager(), of_class(&class.class_id)).await;
    let Err(status) = all_of(stream).await else {
        panic!("it looks whole")
    };
    assert_eq!(reason_of(&status), ErrorReason::Internal);
    let end = end_of(&organization, &class.class_id).await;
    assert_eq!(
        (&end["complete"], &end["because"]),
        (&false.into(), &"failed".into())
    );
    stack.finish_after_faults(1).await;
}
