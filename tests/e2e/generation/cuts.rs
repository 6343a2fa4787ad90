//! A generation that is cut off goes on where it stopped, wherever it is asked again.

use futures::future::join;
use latchkey::stack::Service;

use super::{
    CHUNK, MANY, are_distinct, at_rest, begun, class_of, cut_off, is_whole, persist, request, state,
};
use crate::harness::{ClassDraft, Options, Organization, Stack};

/// More transactions than the test's generation has, with those that the process makes beside it.
const PLACES: usize = 40;

async fn two_replicas() -> Stack {
    Stack::with(Options {
        replicas: 2,
        ..Options::default()
    })
    .await
}

#[tokio::test]
async fn a_client_that_goes_away_stops_it_and_the_same_request_goes_on_at_another_process() {
    let stack = two_replicas().await;
    let (_, admin, class_id) = class_of(&stack, MANY).await;
    let wish = request(&class_id, MANY);
    let left = cut_off(&stack, &admin.on(0), &wish).await;
    assert!(left.reserved, "{left:?}");
    let all = persist(&admin.on(1), &wish).await;
    are_distinct(&all, MANY);
    is_whole(&stack, &wish).await;
    stack.finish().await;
}

#[tokio::test]
async fn a_process_that_is_killed_leaves_what_it_made_and_another_makes_the_rest() {
    let mut stack = two_replicas().await;
    let (_, admin, class_id) = class_of(&stack, MANY).await;
    let wish = request(&class_id, MANY);
    let mut stream = begun(&admin.on(0), &wish).await;
    stream.message().await.expect("a message").expect("keys");
    stack.replica(Service::Keys, 0).kill().await;
    while let Ok(Some(message)) = stream.message().await {
        assert_eq!(message.summary, None, "it is cut off");
    }
    at_rest(&stack, &wish).await;
    let all = persist(&admin.on(1), &wish).await;
    are_distinct(&all, MANY);
    is_whole(&stack, &wish).await;
    stack.replica(Service::Keys, 0).run().await;
    assert_eq!(persist(&admin.on(0), &wish).await.keys, all.keys);
    stack.finish().await;
}

#[tokio::test]
async fn it_survives_a_crash_before_and_after_every_commit() {
    let mut stack = Stack::own().await;
    let mut victim = stack.take(Service::Keys, 0);
    let organization = Organization::new(&stack).await;
    let admin = organization.admin();
    let count = 2 * CHUNK + 1;
    let mut crashes = 0;
    for place in 0..PLACES {
        let class = organization.class(ClassDraft::new().maximum(count)).await;
        let wish = request(&class.class_id, count);
        victim
            .set_faults(&format!("crash::any={place}*off->return"))
            .await;
        let first = super::generate(&admin, &wish).await;
        let died = first.is_err();
        if died {
            while !victim.is_down() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            crashes += 1;
        } else {
            victim.set_faults("").await;
        }
        victim.revive().await;
        let all = persist(&admin, &wish).await;
        are_distinct(&all, count);
        is_whole(&stack, &wish).await;
        if !died {
            break;
        }
    }
    assert!((6..PLACES).contains(&crashes), "{crashes} crashes");
    stack.give_back(victim);
    stack.finish_after_crashes().await;
}

#[tokio::test]
async fn the_same_request_twice_at_once_tells_both_the_same_keys() {
    let stack = two_replicas().await;
    let (_, admin, class_id) = class_of(&stack, MANY).await;
    let wish = request(&class_id, MANY / 2);
    let (here, there) = (admin.on(0), admin.on(1));
    let (one, other) = join(persist(&here, &wish), persist(&there, &wish)).await;
    are_distinct(&one, wish.count);
    assert_eq!(one.keys, other.keys);
    assert_eq!(one.summary, other.summary);
    is_whole(&stack, &wish).await;
    stack.finish().await;
}

#[tokio::test]
async fn a_process_that_lacks_a_key_of_a_rotation_says_so_and_goes_on_once_it_has_it() {
    let stack = Stack::own().await;
    let (_, admin, class_id) = class_of(&stack, MANY).await;
    let wish = request(&class_id, MANY / 2);
    let left = cut_off(&stack, &admin, &wish).await;
    // As it stands once a rotation is under way that this process does not know of: it does not guess.
    let mut database = stack.database().await;
    let rotate = "UPDATE keys.keyring_versions SET current_version = 2, versions = '{1,2}' WHERE purpose = 'seal'";
    sqlx::raw_sql(rotate)
        .execute(&mut database)
        .await
        .expect("rotated");
    let refused = super::generate(&admin, &wish)
        .await
        .expect_err("it lacks the key");
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert_eq!(state(&stack, &wish).await, left);
    let back = "UPDATE keys.keyring_versions SET current_version = 1, versions = '{1}' WHERE purpose = 'seal'";
    sqlx::raw_sql(back)
        .execute(&mut database)
        .await
        .expect("as before");
    are_distinct(&persist(&admin, &wish).await, wish.count);
    is_whole(&stack, &wish).await;
    stack.finish().await;
}
