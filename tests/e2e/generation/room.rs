//! The room of a class: what is admitted and not made yet is kept free for whoever was admitted, for a while.

use futures::future::join_all;
use latchkey_proto::enrollment::v1::UpdateClassRequest;
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::status::metadata_of;
use tonic::Status;

use super::{
    CHUNK, MANY, are_distinct, begun, class_of, cut_off, generate, is_whole, persist, request,
    state,
};
use crate::harness::{Stack, reason_of, refused};

/// The figures of a limit that was exceeded.
fn figures(refusal: &Status) -> [i32; 3] {
    let told = metadata_of(refusal);
    ["live_keys", "reserved_keys", "can_generate"].map(|name| told[name].parse().expect("a number"))
}

#[tokio::test]
async fn two_that_race_for_the_room_of_a_class_never_exceed_it_together() {
    let stack = Stack::shared().await;
    let (_, admin, class_id) = class_of(&stack, 7_000).await;
    let wishes: Vec<_> = (0..3).map(|_| request(&class_id, 3_001)).collect();
    let calls = wishes.iter().map(|wish| generate(&admin, wish));
    let mut made = 0;
    for answer in join_all(calls).await {
        match answer {
            Ok(answer) => made += answer.into_inner().generated,
            refusal => {
                let refusal = refused(refusal, ErrorReason::KeyLimitExceeded);
                let [live, reserved, can] = figures(&refusal);
                assert_eq!((live + reserved, can), (6_002, 998));
            }
        }
    }
    assert_eq!(made, 6_002);
    stack.finish().await;
}

#[tokio::test]
async fn what_was_cut_off_keeps_its_room_and_others_are_told_of_it() {
    let stack = Stack::shared().await;
    let (_, admin, class_id) = class_of(&stack, MANY + 10).await;
    let wish = request(&class_id, MANY);
    let left = cut_off(&stack, &admin, &wish).await;
    let answer = generate(&admin, &request(&class_id, 11)).await;
    let refusal = refused(answer, ErrorReason::KeyLimitExceeded);
    assert_eq!(figures(&refusal), [left.made, MANY - left.made, 10]);
    let told = format!("{} more are being generated", MANY - left.made);
    assert!(refusal.message().contains(&told), "{}", refusal.message());
    let more = generate(&admin, &request(&class_id, 10)).await;
    let more = more.expect("there is room").into_inner();
    assert_eq!(more.summary.live_keys, MANY + 10);
    are_distinct(&persist(&admin, &wish).await, MANY);
    is_whole(&stack, &wish).await;
    stack.finish().await;
}

#[tokio::test]
async fn abandoned_room_is_given_back_and_the_rest_is_made_only_where_there_is_some() {
    let stack = Stack::shared().await;
    let (organization, admin, class_id) = class_of(&stack, MANY).await;
    let wish = request(&class_id, MANY);
    let left = cut_off(&stack, &admin, &wish).await;
    // A day later.
    let batch: uuid::Uuid = wish.request_id.parse().expect("an id");
    let later = "UPDATE keys.batches SET reserved_until = reserved_until - interval '24 hours' WHERE batch_id = $1";
    sqlx::query(later)
        .bind(batch)
        .execute(&mut stack.database().await)
        .await
        .expect("later");
    let other = generate(&admin, &request(&class_id, 2)).await;
    let key = other.expect("there is room").into_inner().keys.remove(0);
    let refusal = refused(generate(&admin, &wish).await, ErrorReason::KeyLimitExceeded);
    assert_eq!(figures(&refusal), [left.made + 2, 0, MANY - left.made - 2]);
    assert_eq!(state(&stack, &wish).await.made, left.made);
    organization.revoke(&[&key.key_id]).await;
    refused(generate(&admin, &wish).await, ErrorReason::KeyLimitExceeded);
    let roomier = UpdateClassRequest {
        maximum_students: MANY + 1,
        ..UpdateClassRequest::default()
    };
    organization
        .update_class(&class_id, &["maximum_students"], roomier)
        .await;
    let all = persist(&admin, &wish).await;
    are_distinct(&all, MANY);
    assert_eq!(all.summary.live_keys, MANY + 1);
    is_whole(&stack, &wish).await;
    stack.finish().await;
}

#[tokio::test]
async fn of_a_class_that_is_cancelled_in_the_middle_what_was_made_stays_and_no_more_is_made() {
    let stack = Stack::shared().await;
    let (organization, admin, class_id) = class_of(&stack, MANY).await;
    let wish = request(&class_id, MANY);
    let mut stream = begun(&admin, &wish).await;
    organization.cancel_class(&class_id).await;
    let (mut told, mut generated) = (0, 0);
    let refusal = loop {
        match stream.message().await {
            Ok(message) => {
                let message = message.expect("it cannot be whole");
                told += i32::try_from(message.keys.len()).expect("few");
                generated = message.generated;
            }
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(reason_of(&refusal), ErrorReason::ClassCancelled);
    assert_eq!(told, generated, "what was made was told");
    let left = state(&stack, &wish).await;
    assert!((CHUNK..MANY).contains(&left.made), "{left:?}");
    assert_eq!((left.made, left.reserved), (generated, false));
    refused(generate(&admin, &wish).await, ErrorReason::ClassCancelled);
    assert_eq!(state(&stack, &wish).await, left);
    stack.finish().await;
}

#[tokio::test]
async fn of_a_class_whose_maximum_is_lowered_in_the_middle_the_rest_is_given_back() {
    let stack = Stack::shared().await;
    let (organization, admin, class_id) = class_of(&stack, MANY).await;
    let wish = request(&class_id, MANY);
    let left = cut_off(&stack, &admin, &wish).await;
    let of = |maximum_students| UpdateClassRequest {
        maximum_students,
        ..UpdateClassRequest::default()
    };
    let update = async |maximum: i32| {
        organization
            .update_class(&class_id, &["maximum_students"], of(maximum))
            .await;
    };
    update(MANY - 1).await;
    let refusal = refused(generate(&admin, &wish).await, ErrorReason::KeyLimitExceeded);
    assert_eq!(figures(&refusal), [left.made, 0, MANY - 1 - left.made]);
    assert!(!state(&stack, &wish).await.reserved, "it is given back");
    let more = generate(&admin, &request(&class_id, 1)).await;
    more.expect("there is room for others");
    update(MANY + 1).await;
    are_distinct(&persist(&admin, &wish).await, MANY);
    is_whole(&stack, &wish).await;
    stack.finish().await;
}
