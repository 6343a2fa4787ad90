//! Refused access in the trails: who tried what, without telling them anything, and without a row for each try.

use futures::future::join_all;
use latchkey::stack::Service;
use latchkey_proto::audit::v1::{AuditEvent, AuditOutcome, ListAuditEventsRequest};
use latchkey_proto::enrollment::v1::{GetClassRequest, GetStudentRequest};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{GetTrainingKeyRequest, RevealTrainingKeysRequest};
use latchkey_service_kit::identity::Role;
use tonic::Request;

use crate::harness::scene::NO_KEYS_CODE;
use crate::harness::world::redemption;
use crate::harness::{
    Caller, ClassDraft, Options, Organization, Stack, eventually, new_id, refused,
};

const REVEAL: &str = "latchkey.keys.v1.TrainingKeyService/RevealTrainingKeys";
const REDEEM_KEY: &str = "latchkey.enrollment.v1.RedemptionService/RedeemKey";
const GET_CLASS: &str = "latchkey.enrollment.v1.ClassService/GetClass";

async fn keys_trail(caller: &Caller, request: ListAuditEventsRequest) -> Vec<AuditEvent> {
    let answer = caller.keys_audit().list_audit_events(request).await;
    answer.expect("events").into_inner().events
}

async fn enrollment_trail(caller: &Caller, request: ListAuditEventsRequest) -> Vec<AuditEvent> {
    let answer = caller.enrollment_audit().list_audit_events(request).await;
    answer.expect("events").into_inner().events
}

/// Events are written a moment after the answer: waits for the first.
async fn eventually_one(look: impl AsyncFn() -> Vec<AuditEvent>) -> AuditEvent {
    let mut events = eventually("an event", async || {
        let events = look().await;
        if events.is_empty() {
            Err("there is none".to_owned())
        } else {
            Ok(events)
        }
    })
    .await;
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

fn of(outcome: AuditOutcome) -> ListAuditEventsRequest {
    ListAuditEventsRequest {
        outcome: outcome.into(),
        ..ListAuditEventsRequest::default()
    }
}

#[tokio::test]
async fn who_is_not_allowed_leaves_an_event_in_their_own_organization() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (_, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
    let mut request = Request::new(RevealTrainingKeysRequest {
        key_ids: vec![codes[0].key_id.clone()],
        purpose: "curiosity".to_owned(),
    });
    let id = new_id();
    let header = id.parse().expect("text");
    request.metadata_mut().insert("x-request-id", header);
    let mut keys = organization.admin().training_keys();
    let answer = keys.reveal_training_keys(request).await;
    refused(answer, ErrorReason::NotAllowed);

    let manager = organization.manager();
    let by_request = || ListAuditEventsRequest {
        request_id: id.clone(),
        ..of(AuditOutcome::Refused)
    };
    let event = eventually_one(async || keys_trail(&manager, by_request()).await).await;
    assert_eq!(
        (event.action.as_str(), event.reason.as_str()),
        (REVEAL, "NOT_ALLOWED")
    );
    assert_eq!(event.organization_id, organization.id);
    assert_eq!(event.peer, "127.0.0.1");
    assert_eq!(event.details_json, r#"{"calls":1}"#);
    assert_eq!(
        (event.resource_type.as_str(), event.resource_id.as_str()),
        ("", "")
    );
    let actor = event.actor.expect("an actor");
    assert_eq!(
        (actor.subject.as_str(), actor.roles),
        ("ada-admin", vec!["administrator".to_owned()])
    );
    stack.finish().await;
}

#[tokio::test]
async fn a_token_without_an_organization_leaves_its_event_to_operators() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let subject = new_id();
    let nobody = stack.caller(Role::Instructor, &subject, None);
    let request = GetTrainingKeyRequest { key_id: new_id() };
    let answer = nobody.training_keys().get_training_key(request).await;
    refused(answer, ErrorReason::NotAllowed);
    let by_actor = || ListAuditEventsRequest {
        actor_subject: subject.clone(),
        ..ListAuditEventsRequest::default()
    };
    let operator = stack.operator();
    let event = eventually_one(async || keys_trail(&operator, by_actor()).await).await;
    assert_eq!(event.organization_id, "");
    assert!(
        keys_trail(&organization.admin(), by_actor())
            .await
            .is_empty()
    );
    stack.finish().await;
}

#[tokio::test]
async fn what_is_beyond_reach_leaves_an_event_with_its_owner_and_nothing_where_it_was_tried() {
    let stack = Stack::shared().await;
    let (own, foreign) = (
        Organization::new(&stack).await,
        Organization::new(&stack).await,
    );
    let (class, codes) = foreign.keyed_class(ClassDraft::new(), 1).await;
    let class_id = class.class_id;
    let student_id = foreign.student().await.student_id;
    let prober = own.manager();
    for class_id in [&new_id(), &class_id] {
        let request = GetClassRequest {
            class_id: class_id.clone(),
        };
        let answer = prober.classes().get_class(request).await;
        refused(answer, ErrorReason::ClassNotFound);
    }
    let request = GetStudentRequest {
        student_id: student_id.clone(),
    };
    let answer = prober.students().get_student(request).await;
    refused(answer, ErrorReason::StudentNotFound);
    let key_id = codes[0].key_id.clone();
    let request = GetTrainingKeyRequest {
        key_id: key_id.clone(),
    };
    let answer = prober.training_keys().get_training_key(request).await;
    refused(answer, ErrorReason::KeyNotFound);

    let owner = foreign.admin();
    let about = |resource_id: &str| ListAuditEventsRequest {
        resource_id: resource_id.to_owned(),
        ..of(AuditOutcome::BeyondReach)
    };
    let look = async || enrollment_trail(&owner, about(&class_id)).await;
    let event = eventually_one(look).await;
    assert_eq!(
        (event.action.as_str(), event.reason.as_str()),
        (GET_CLASS, "CLASS_NOT_FOUND")
    );
    assert_eq!(event.organization_id, foreign.id);
    assert_eq!(event.actor.expect("an actor").organization_id, own.id);
    let look = async || enrollment_trail(&owner, about(&student_id)).await;
    let event = eventually_one(look).await;
    assert_eq!(event.student_id, student_id);
    let event = eventually_one(async || keys_trail(&owner, about(&key_id)).await).await;
    assert_eq!(event.resource_type, "training_key");

    // Who tried learns nothing here either: not even whether it exists.
    for request in [of(AuditOutcome::BeyondReach), about(&class_id)] {
        assert_eq!(enrollment_trail(&prober, request.clone()).await, []);
        assert_eq!(keys_trail(&prober, request).await, []);
    }
    // What does not exist is no event for anybody: three in all, by this caller.
    let request = ListAuditEventsRequest {
        organization_id: foreign.id.clone(),
        ..of(AuditOutcome::BeyondReach)
    };
    assert_eq!(enrollment_trail(&owner, request.clone()).await.len(), 2);
    assert_eq!(keys_trail(&owner, request).await.len(), 1);
    stack.finish().await;
}

#[tokio::test]
async fn a_flood_of_refusals_is_no_flood_of_events() {
    let mut stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let admin = organization.admin();
    for _ in 0..10 {
        let calls = (0..50).map(async |_| {
            let request = RevealTrainingKeysRequest {
                key_ids: vec![new_id()],
                purpose: String::new(),
            };
            let answer = admin.training_keys().reveal_training_keys(request).await;
            refused(answer, ErrorReason::NotAllowed);
        });
        join_all(calls).await;
    }
    let request = ListAuditEventsRequest {
        action: REVEAL.to_owned(),
        ..of(AuditOutcome::Refused)
    };
    eventually_one(async || keys_trail(&admin, request.clone()).await).await;
    // The others are written when their minute is over, or the process ends: then in one row.
    stack.replica(Service::Keys, 0).stop().await;
    let mut database = stack.database().await;
    let calls: Vec<i64> = sqlx::query_scalar(
        "SELECT (details->>'calls')::bigint FROM keys.audit_events WHERE outcome = 'refused' ORDER BY event_id",
    )
    .fetch_all(&mut database)
    .await
    .expect("rows");
    assert_eq!(calls, [1, 499]);
    stack.replica(Service::Keys, 0).run().await;
    stack.finish().await;
}

#[tokio::test]
async fn who_trips_a_limit_leaves_an_event_in_their_own_organization() {
    let stack = Stack::with(Options {
        enrollment: "[guessing]\nstudent_burst = 1\nstudent_refill_ms = 3600000",
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let student = organization.student().await.student_id;
    let admin = organization.admin();
    let guess = async || {
        let request = redemption(&new_id(), &student, NO_KEYS_CODE);
        admin.redemptions().redeem_key(request).await
    };
    refused(guess().await, ErrorReason::KeyNotFound);
    // A wrong guess is not worth an event.
    let limited = || of(AuditOutcome::Limited);
    let manager = organization.manager();
    assert_eq!(enrollment_trail(&manager, limited()).await, []);
    refused(guess().await, ErrorReason::TooManyAttempts);
    let event = eventually_one(async || enrollment_trail(&manager, limited()).await).await;
    assert_eq!(
        (event.action.as_str(), event.reason.as_str()),
        (REDEEM_KEY, "TOO_MANY_ATTEMPTS")
    );
    assert_eq!(event.organization_id, organization.id);
    assert_eq!(event.actor.expect("an actor").subject, "ada-admin");
    stack.finish().await;
}
