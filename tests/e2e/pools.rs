//! Pools: keys for one course, as many as are wanted, between a start and an expiry.

use chrono::TimeDelta;
use latchkey_proto::audit::v1::{AuditEvent, ListAuditEventsRequest};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    AddOwnPoolKeysRequest, AddOwnPoolKeysResponse, ExportFormat, ExportTrainingKeysRequest,
    GeneratePoolKeysRequest, GenerateTrainingKeysRequest, GetKeyPoolRequest, KeyKind, KeyPool,
    KeyPoolCount, KeyState, ListKeyPoolsRequest, ListTrainingKeysRequest, LookUpTrainingKeyRequest,
    OwnCodeFault, RevealEventKeyRequest, TrainingKey, UpdateKeyPoolRequest,
};
use prost_types::Duration;

use crate::export::rows;
use crate::harness::pools::told;
use crate::harness::world::{mask, redeem};
use crate::harness::{ClassDraft, Organization, PoolDraft, Stack, at, new_id, now, refused};

fn more(pool_id: &str, count: i32) -> GeneratePoolKeysRequest {
    GeneratePoolKeysRequest {
        request_id: new_id(),
        pool_id: pool_id.to_owned(),
        count,
        omit_keys: false,
    }
}

async fn read(organization: &Organization<'_>, pool_id: &str) -> (KeyPool, KeyPoolCount) {
    let request = GetKeyPoolRequest {
        pool_id: pool_id.to_owned(),
    };
    let answer = organization.admin().key_pools().get_key_pool(request).await;
    let answer = answer.expect("the pool").into_inner();
    (
        answer.key_pool.expect("a pool"),
        answer.count.expect("a count"),
    )
}

async fn keys_of(organization: &Organization<'_>, pool_id: &str) -> Vec<TrainingKey> {
    let request = ListTrainingKeysRequest {
        pool_id: pool_id.to_owned(),
        ..ListTrainingKeysRequest::default()
    };
    let mut keys = organization.admin().training_keys();
    let listed = keys.list_training_keys(request).await;
    listed.expect("keys").into_inner().keys
}

fn rename(pool: &KeyPool, name: &str, etag: &str) -> UpdateKeyPoolRequest {
    UpdateKeyPoolRequest {
        pool_id: pool.pool_id.clone(),
        update_mask: mask(&["name"]),
        name: name.to_owned(),
        etag: etag.to_owned(),
        ..UpdateKeyPoolRequest::default()
    }
}

#[tokio::test]
async fn a_pool_is_made_once_and_changed_by_who_has_read_it() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pools = || organization.admin().key_pools();
    let request = PoolDraft::new().request(&organization.id);
    let made = pools().create_key_pool(request.clone()).await;
    let made = made.expect("made").into_inner().key_pool.expect("a pool");
    assert_eq!(made.course_id, request.course_id);
    assert_eq!(made.availability, request.availability);

    let renamed = pools()
        .update_key_pool(rename(&made, "Winter", &made.etag))
        .await;
    let renamed = renamed.expect("renamed").into_inner().key_pool;
    let renamed = renamed.expect("a pool");
    assert_eq!(renamed.name, "Winter");
    assert_ne!(renamed.etag, made.etag);
    let late = pools()
        .update_key_pool(rename(&made, "Spring", &made.etag))
        .await;
    refused(late, ErrorReason::EtagMismatch);
    let same = pools().update_key_pool(rename(&made, "Winter", "")).await;
    let same = same.expect("unchanged").into_inner().key_pool;
    assert_eq!(same.as_ref(), Some(&renamed));

    let again = pools().create_key_pool(request.clone()).await;
    let again = again.expect("the same").into_inner().key_pool;
    assert_eq!(again.as_ref(), Some(&renamed), "as it is now");
    let mut other = request;
    other.course_id = "sec-202".to_owned();
    let reused = pools().create_key_pool(other).await;
    refused(reused, ErrorReason::RequestIdReused);

    let second = organization.pool(PoolDraft::new()).await;
    let request = ListKeyPoolsRequest {
        organization_id: organization.id.clone(),
        page_size: 1,
        page_token: String::new(),
    };
    let first_page = pools().list_key_pools(request.clone()).await;
    let first_page = first_page.expect("a page").into_inner();
    assert_eq!(first_page.key_pools, [second]);
    let next = ListKeyPoolsRequest {
        page_token: first_page.next_page_token,
        ..request
    };
    let last_page = pools().list_key_pools(next).await;
    let last_page = last_page.expect("a page").into_inner();
    assert_eq!(last_page.key_pools, [renamed]);
    assert!(last_page.next_page_token.is_empty());
    stack.finish().await;
}

#[tokio::test]
async fn without_a_word_content_is_available_for_180_days_and_never_for_longer() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let days = |days: i64| {
        Some(Duration {
            seconds: days * 24 * 60 * 60,
            nanos: 0,
        })
    };
    let draft = PoolDraft::new().change(|request| request.availability = None);
    assert_eq!(organization.pool(draft).await.availability, days(180));
    let half = Some(Duration {
        seconds: 1,
        nanos: 500_000_000,
    });
    for (availability, expiry) in [
        (days(181), TimeDelta::days(1)),
        (half, TimeDelta::days(1)),
        (days(1), TimeDelta::days(-2)),
    ] {
        let request = PoolDraft::new()
            .change(|request| request.availability = availability)
            .dates(now() - TimeDelta::days(1), now() + expiry)
            .request(&organization.id);
        let mut pools = organization.admin().key_pools();
        let answer = pools.create_key_pool(request).await;
        refused(answer, ErrorReason::FieldInvalid);
    }
    stack.finish().await;
}

#[tokio::test]
async fn it_gets_any_number_of_keys_and_more_later() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await;
    let pools = || organization.admin().key_pools();
    let first = more(&pool.pool_id, 40);
    let (keys, live) = told(pools().generate_pool_keys(first.clone()).await)
        .await
        .expect("keys");
    assert_eq!((keys.len(), live), (40, 40));
    for key in &keys {
        assert_eq!(key.kind(), KeyKind::Pool);
        assert_eq!((&key.pool_id, &key.pool_name), (&pool.pool_id, &pool.name));
        assert!(key.class_id.is_empty() && key.masked_code.starts_with("PK-"));
        assert_eq!(key.redeemable_from, pool.start_time);
        assert_eq!(key.redeemable_until, pool.expire_time);
    }
    let again = told(pools().generate_pool_keys(first.clone()).await).await;
    assert_eq!(again.expect("the same").0, keys);
    let other = GeneratePoolKeysRequest { count: 41, ..first };
    refused(
        pools().generate_pool_keys(other).await,
        ErrorReason::RequestIdReused,
    );
    let topped_up = told(pools().generate_pool_keys(more(&pool.pool_id, 3_000)).await).await;
    assert_eq!(topped_up.expect("more").1, 3_040);
    let count = read(&organization, &pool.pool_id).await.1;
    assert_eq!((count.generated, count.available), (3_040, 3_040));
    stack.finish().await;
}

#[tokio::test]
async fn its_keys_are_revealed_found_exported_and_revoked_as_those_of_classes() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await;
    let codes = organization.pool_keys(&pool.pool_id, 2).await;
    let mut keys = organization.manager().training_keys();
    let found = keys
        .look_up_training_key(LookUpTrainingKeyRequest {
            code: codes[0].code.to_lowercase(),
        })
        .await;
    let found = found.expect("found").into_inner().key.expect("a key");
    assert_eq!(found.key_id, codes[0].key_id);
    organization.revoke(&[&codes[0].key_id]).await;
    let states: Vec<(String, KeyState)> = keys_of(&organization, &pool.pool_id)
        .await
        .into_iter()
        .map(|key| (key.key_id.clone(), key.state()))
        .collect();
    let expected = [
        (codes[1].key_id.clone(), KeyState::Available),
        (codes[0].key_id.clone(), KeyState::Revoked),
    ];
    assert_eq!(states, expected);
    let count = read(&organization, &pool.pool_id).await.1;
    assert_eq!((count.generated, count.revoked, count.available), (2, 1, 1));

    let request = ExportTrainingKeysRequest {
        pool_id: pool.pool_id.clone(),
        format: ExportFormat::JsonLines.into(),
        reason: "printing".to_owned(),
        ..ExportTrainingKeysRequest::default()
    };
    let rows = rows(&organization.manager(), request).await;
    for (row, code) in rows.iter().zip(codes.iter().rev()) {
        assert_eq!(row["code"], code.code.as_str());
        assert_eq!(
            (&row["kind"], &row["class_id"]),
            (&"pool".into(), &serde_json::Value::Null)
        );
        assert_eq!(row["pool_id"], pool.pool_id.as_str());
        assert_eq!(row["pool_name"], pool.name.as_str());
    }
    assert_eq!(rows.len(), 2);
    stack.finish().await;
}

async fn add(
    organization: &Organization<'_>,
    request_id: &str,
    pool_id: &str,
    codes: &[&str],
    only_good: bool,
) -> AddOwnPoolKeysResponse {
    let request = AddOwnPoolKeysRequest {
        request_id: request_id.to_owned(),
        pool_id: pool_id.to_owned(),
        codes: codes.iter().map(ToString::to_string).collect(),
        only_good,
    };
    let mut pools = organization.admin().key_pools();
    let answer = pools.add_own_pool_keys(request).await;
    answer.expect("an answer").into_inner()
}

#[tokio::test]
async fn codes_of_ones_own_are_added_all_or_the_good_ones_and_bad_lines_are_named() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
    let own = |text: &str| format!("{text}-{}", &new_id()[24..]);
    let [first, second, third] = [own("autumn"), own("winter"), own("spring")];
    let made = add(&organization, &new_id(), &pool_id, &[&first], false).await;
    assert_eq!((made.added.len(), made.problems.len()), (1, 0));

    let upper = second.to_uppercase();
    let lines = [&*second, "a", &*upper, &*first, &*third];
    let id = new_id();
    let refused = add(&organization, &id, &pool_id, &lines, false).await;
    assert!(refused.added.is_empty(), "all or none");
    // None is looked up: whether others have the fourth is not told.
    let named: Vec<(i32, OwnCodeFault, i32)> = refused
        .problems
        .iter()
        .map(|one| (one.line, one.fault(), one.first_line))
        .collect();
    let expected = [
        (2, OwnCodeFault::Unusable, 0),
        (3, OwnCodeFault::Repeated, 1),
    ];
    assert_eq!(named, expected);
    let id = new_id();
    let good = add(&organization, &id, &pool_id, &lines, true).await;
    let added: Vec<i32> = good.added.iter().map(|one| one.line).collect();
    assert_eq!((added, good.problems.len()), (vec![1, 5], 3));
    assert_eq!(good.problems[2].fault(), OwnCodeFault::Taken);
    let again = add(&organization, &id, &pool_id, &lines, true).await;
    assert_eq!(again.added, good.added, "the same keys");
    assert_eq!(keys_of(&organization, &pool_id).await.len(), 3);

    let key = good.added[1].key.clone().expect("a key");
    assert_eq!(key.kind(), KeyKind::Pool);
    assert!(!key.masked_code.contains(&third[3..]));
    organization.revoke(&[&key.key_id]).await;
    let freed = add(&organization, &new_id(), &pool_id, &[&third], false).await;
    assert_eq!(freed.added.len(), 1, "a revoked key gives its code up");
    let student = organization.student().await.student_id;
    let redeemed = redeem(&stack, &student, &second.to_uppercase()).await;
    assert!(
        redeemed
            .expect("assigned")
            .into_inner()
            .course_assignment
            .is_some()
    );
    stack.finish().await;
}

#[tokio::test]
async fn once_expired_its_keys_are_so_and_no_more_are_made_until_its_dates_move() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await;
    organization.pool_keys(&pool.pool_id, 1).await;
    let pools = || organization.admin().key_pools();
    let expire = |hours| UpdateKeyPoolRequest {
        pool_id: pool.pool_id.clone(),
        update_mask: mask(&["expire_time"]),
        expire_time: at(now() + TimeDelta::hours(hours)),
        ..UpdateKeyPoolRequest::default()
    };
    pools().update_key_pool(expire(-1)).await.expect("expired");
    assert_eq!(
        keys_of(&organization, &pool.pool_id).await[0].state(),
        KeyState::Expired
    );
    let answer = pools().generate_pool_keys(more(&pool.pool_id, 1)).await;
    refused(answer, ErrorReason::WindowClosed);
    pools()
        .update_key_pool(expire(1))
        .await
        .expect("open again");
    let answer = pools().generate_pool_keys(more(&pool.pool_id, 1)).await;
    told(answer).await.expect("a key");
    let unfit = pools().update_key_pool(expire(-48)).await;
    refused(unfit, ErrorReason::FieldInvalid);
    stack.finish().await;
}

#[tokio::test]
async fn a_pool_is_no_class_and_a_class_is_no_pool() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
    let class_id = organization.class(ClassDraft::new()).await.class_id;
    let mut keys = organization.admin().training_keys();
    let of_class = GenerateTrainingKeysRequest {
        request_id: new_id(),
        class_id: pool_id.clone(),
        count: 1,
        omit_keys: false,
    };
    refused(
        keys.generate_training_keys(of_class).await,
        ErrorReason::ClassNotFound,
    );
    let event = RevealEventKeyRequest {
        class_id: pool_id.clone(),
    };
    refused(
        keys.reveal_event_key(event).await,
        ErrorReason::ClassNotFound,
    );
    let mut pools = organization.admin().key_pools();
    let request = GetKeyPoolRequest {
        pool_id: class_id.clone(),
    };
    refused(
        pools.get_key_pool(request).await,
        ErrorReason::KeyPoolNotFound,
    );
    let request = more(&class_id, 1);
    refused(
        pools.generate_pool_keys(request).await,
        ErrorReason::KeyPoolNotFound,
    );
    organization.pool_keys(&pool_id, 1).await;
    let request = ListTrainingKeysRequest {
        class_id: pool_id,
        ..ListTrainingKeysRequest::default()
    };
    let listed = keys.list_training_keys(request).await.expect("none");
    assert!(listed.into_inner().keys.is_empty());
    stack.finish().await;
}

#[tokio::test]
async fn each_change_and_each_hand_out_leaves_a_row() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await;
    let code = organization.pool_keys(&pool.pool_id, 1).await.remove(0);
    let change = rename(&pool, "Winter", "");
    let mut pools = organization.admin().key_pools();
    pools.update_key_pool(change).await.expect("renamed");
    let trail = async |resource_id: &str| -> Vec<AuditEvent> {
        let request = ListAuditEventsRequest {
            resource_id: resource_id.to_owned(),
            ..ListAuditEventsRequest::default()
        };
        let mut audit = organization.admin().keys_audit();
        let listed = audit.list_audit_events(request).await;
        let mut events = listed.expect("events").into_inner().events;
        events.reverse();
        events
    };
    let events = trail(&pool.pool_id).await;
    let actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "key_pool.create",
            "training_key.generate",
            "key_pool.update"
        ]
    );
    assert!(events.iter().all(|event| event.resource_type == "key_pool"));
    assert_eq!(
        events[2].details_json,
        r#"{"name":{"from":"Self-paced, autumn","to":"Winter"}}"#
    );
    let shown = trail(&code.key_id).await;
    assert_eq!(shown[0].action, "training_key.reveal");
    assert!(shown[0].details_json.contains(&pool.pool_id));
    stack.finish().await;
}
