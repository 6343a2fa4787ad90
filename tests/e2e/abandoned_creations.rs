//! What a creation of a class that was given up half-way leaves behind: it opens nothing, and is retired once it is old; and whoever
//! asks again gets what the first try was to make.

use latchkey_proto::audit::v1::{Actor, ListAuditEventsRequest};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::key_usage_service_client::KeyUsageServiceClient;
use latchkey_proto::keys::v1::{
    GetEventKeyRequest, Grant, GrantStatus, PutEventKeyRequest, PutGrantsRequest,
    RetireGrantsRequest,
};
use sqlx::{Connection as _, Row as _};

use crate::harness::world::{own_code, redeem};
use crate::harness::{ClassDraft, Organization, Stack, new_id, refused};
use crate::organization_defaults::{SMALL, create, is_on, lay_down, silent};

async fn is_there(stack: &Stack, class_id: &str) -> bool {
    let mut connection = stack.database().await;
    let counted = sqlx::query("SELECT count(*) FROM keys.grants WHERE grant_id = $1::text::uuid")
        .bind(class_id)
        .fetch_one(&mut connection)
        .await;
    counted.expect("a count").get::<i64, _>(0) == 1
}

/// What the trail of keys has of an event key, the newest first.
async fn trail(organization: &Organization<'_>, key_id: &str) -> Vec<String> {
    let request = ListAuditEventsRequest {
        resource_id: key_id.to_owned(),
        resource_type: "event_key".to_owned(),
        ..ListAuditEventsRequest::default()
    };
    let mut audit = organization.admin().keys_audit();
    let listed = audit.list_audit_events(request).await.expect("events");
    let events = listed.into_inner().events.into_iter();
    events.map(|event| event.action).collect()
}

#[tokio::test]
async fn it_opens_nothing_and_goes_only_once_it_is_old() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    // The organization's copy must be there, as it is when a class is created.
    let class = organization.class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let mut keys = KeyUsageServiceClient::new(stack.enrollment_service().to_keys());
    let class_id = new_id();
    let draft = Grant {
        class_id: class_id.clone(),
        organization_id: organization.id.clone(),
        name: "Given up".to_owned(),
        start_time: class.start_time,
        end_time: class.end_time,
        event_key_until: class.end_time,
        time_zone: class.time_zone,
        status: GrantStatus::Creating.into(),
        maximum_keys: 30,
        ..Grant::default()
    };
    let grants = vec![draft];
    let put = keys.put_grants(PutGrantsRequest { grants }).await;
    put.expect("put");
    let code = format!("given-up-{}", &new_id()[24..]);
    let request = PutEventKeyRequest {
        request_id: new_id(),
        class_id: class_id.clone(),
        change: Some(own_code(&code)),
        actor: Some(Actor {
            subject: "ada-admin".to_owned(),
            issuer: "https://id.example.com".to_owned(),
            ..Actor::default()
        }),
        ..PutEventKeyRequest::default()
    };
    let put = keys.put_event_key(request).await.expect("put").into_inner();
    let key_id = put.event_key.expect("an event key").key_id;
    let answer = redeem(&stack, &student, &code).await;
    refused(answer, ErrorReason::KeyNotFound);

    let retire = || RetireGrantsRequest {
        class_ids: vec![class_id.clone()],
    };
    keys.retire_grants(retire()).await.expect("too young");
    assert!(is_there(&stack, &class_id).await);
    assert_eq!(trail(&organization, &key_id).await, ["event_key.set"]);
    let mut connection = stack.database().await;
    sqlx::query(
        "UPDATE keys.grants SET put_at = put_at - interval '11 minutes' WHERE status = 'creating'",
    )
    .execute(&mut connection)
    .await
    .expect("aged");
    for _ in 0..2 {
        keys.retire_grants(retire()).await.expect("retired");
    }
    assert!(!is_there(&stack, &class_id).await);
    let actions = trail(&organization, &key_id).await;
    assert_eq!(actions, ["event_key.retire", "event_key.set"]);
    let answer = redeem(&stack, &student, &code).await;
    refused(answer, ErrorReason::KeyNotFound);
    stack.finish().await;
}

#[tokio::test]
async fn whoever_asks_again_gets_the_event_key_that_the_first_try_was_to_turn_on_or_not() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    for on in [true, false] {
        let (then, later) = if on {
            (Some(SMALL), None)
        } else {
            (None, Some(SMALL))
        };
        lay_down(&organization, then).await;
        let request = silent(&organization);
        // The class cannot be written: all before that is done, and the try is given up.
        let mut holder = stack.database().await;
        let mut held = holder.begin().await.expect("begun");
        sqlx::query("LOCK TABLE enrollment.classes IN SHARE ROW EXCLUSIVE MODE")
            .execute(&mut *held)
            .await
            .expect("held");
        let mut classes = organization.admin().classes();
        let answer = classes.create_class(request.clone()).await;
        answer.expect_err("held up for too long");
        held.rollback().await.expect("let go");
        lay_down(&organization, later).await;
        let made = create(&organization, request.clone()).await;
        assert_eq!(is_on(made.event_key.as_ref()), on);
        assert_eq!(create(&organization, request).await, made);
        let class_id = made.training_class.expect("a class").class_id;
        let request = GetEventKeyRequest { class_id };
        let mut keys = organization.admin().training_keys();
        let shown = keys.get_event_key(request).await.expect("an event key");
        let shown = shown.into_inner().event_key;
        assert_eq!(is_on(shown.as_ref()), on, "and so it is in keys");
    }
    stack.finish().await;
}
