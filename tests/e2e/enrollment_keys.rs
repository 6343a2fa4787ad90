//! Enrollment keys: generated on demand, one per student, never more live ones than the class has seats.

use chrono::TimeDelta;
use futures::future::join_all;
use latchkey::generation::{Generated, whole};
use latchkey_proto::enrollment::v1::UpdateClassRequest;
use latchkey_proto::errors::v1::{ErrorReason, WarningReason};
use latchkey_proto::keys::v1::{
    GenerateTrainingKeysRequest, KeyState, ListTrainingKeysRequest, LookUpTrainingKeyRequest,
};
use latchkey_service_kit::status::metadata_of;
use tonic::{Response, Status};

use crate::harness::world::{come_in, mask};
use crate::harness::{ClassDraft, Organization, Stack, eventually, new_id, now, refused};

async fn generate(
    organization: &Organization<'_>,
    request_id: &str,
    class_id: &str,
    count: i32,
) -> Result<Response<Generated>, Status> {
    let request = GenerateTrainingKeysRequest {
        request_id: request_id.to_owned(),
        class_id: class_id.to_owned(),
        count,
        omit_keys: false,
    };
    let mut keys = organization.admin().training_keys();
    whole(keys.generate_training_keys(request).await).await
}

#[tokio::test]
async fn live_keys_never_exceed_the_maximum_however_many_generate_at_once() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new().maximum(10)).await;
    let calls =
        (0..8).map(|_| async { generate(&organization, &new_id(), &class.class_id, 3).await });
    let mut made = Vec::new();
    for answer in join_all(calls).await {
        match answer {
            Ok(answer) => made.extend(answer.into_inner().keys),
            refusal => {
                let refusal = refused(refusal, ErrorReason::KeyLimitExceeded);
                assert_eq!(metadata_of(&refusal)["maximum_keys"], "10");
            }
        }
    }
    assert_eq!(made.len(), 9);
    organization
        .revoke(&[&made[0].key_id, &made[1].key_id])
        .await;
    let more = generate(&organization, &new_id(), &class.class_id, 3).await;
    assert_eq!(
        more.expect("revoked keys make room")
            .into_inner()
            .summary
            .live_keys,
        10
    );
    let one_more = generate(&organization, &new_id(), &class.class_id, 1).await;
    refused(one_more, ErrorReason::KeyLimitExceeded);
    stack.finish().await;
}

#[tokio::test]
async fn the_same_request_gives_the_same_keys_and_other_content_is_refused() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    let id = new_id();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let answer = generate(&organization, &id, &class.class_id, 4).await;
        let keys = answer.expect("generated").into_inner().keys;
        seen.push(keys.into_iter().map(|key| key.key_id).collect::<Vec<_>>());
    }
    assert_eq!(seen[0].len(), 4);
    assert_eq!(seen[0], seen[1]);
    let other = generate(&organization, &id, &class.class_id, 5).await;
    refused(other, ErrorReason::RequestIdReused);
    stack.finish().await;
}

#[tokio::test]
async fn lowering_the_maximum_under_the_keys_handed_out_says_how_many_have_no_seat() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().maximum(8);
    let (class, _) = organization.keyed_class(draft, 8).await;
    let request = UpdateClassRequest {
        class_id: class.class_id,
        update_mask: mask(&["maximum_students"]),
        maximum_students: 5,
        ..UpdateClassRequest::default()
    };
    let lowered = organization.admin().classes().update_class(request).await;
    let warnings = lowered.expect("allowed").into_inner().warnings;
    assert_eq!(warnings[0].reason(), WarningReason::KeysExceedSeats);
    assert_eq!(warnings[0].metadata["keys_without_seat"], "3");
    stack.finish().await;
}

#[tokio::test]
async fn generating_near_the_end_warns_and_after_it_is_refused() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new().running()).await;
    let answer = generate(&organization, &new_id(), &class.class_id, 1).await;
    let warnings = answer.expect("generated").into_inner().summary.warnings;
    assert_eq!(warnings[0].reason(), WarningReason::ClassNearEnd);
    let hours = TimeDelta::hours;
    let far = ClassDraft::new().dates(now() + hours(24), now() + hours(96));
    let class = organization.class(far).await;
    let answer = generate(&organization, &new_id(), &class.class_id, 1).await;
    let told = answer.expect("generated").into_inner().summary;
    assert!(told.warnings.is_empty());
    let class = organization.class(ClassDraft::new().ended()).await;
    let answer = generate(&organization, &new_id(), &class.class_id, 1).await;
    refused(answer, ErrorReason::WindowClosed);
    stack.finish().await;
}

#[tokio::test]
async fn staff_see_which_keys_are_redeemed_by_whom_and_find_one_by_its_code() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization.keyed_class(ClassDraft::new(), 3).await;
    let student = organization.student().await.student_id;
    come_in(&stack, &student, &codes[0].code).await;
    organization.revoke(&[&codes[1].key_id]).await;
    let list = async |state: KeyState, student_id: &str| {
        let request = ListTrainingKeysRequest {
            class_id: class.class_id.clone(),
            student_id: student_id.to_owned(),
            state: state.into(),
            ..ListTrainingKeysRequest::default()
        };
        let listed = organization
            .admin()
            .training_keys()
            .list_training_keys(request)
            .await;
        listed.expect("a list").into_inner().keys
    };
    let used = eventually("marked", async || {
        let used = list(KeyState::Redeemed, "").await;
        if used.len() == 1 {
            Ok(used)
        } else {
            Err(format!("{used:?}"))
        }
    })
    .await;
    assert_eq!(used[0].key_id, codes[0].key_id);
    assert_eq!(used[0].uses[0].student_id, student);
    assert!(used[0].uses[0].redeem_time.is_some());
    assert_eq!(list(KeyState::Unspecified, &student).await, used);
    for (state, key) in [(KeyState::Revoked, 1), (KeyState::Available, 2)] {
        let found = list(state, "").await;
        assert_eq!(found.len(), 1, "{state:?}");
        assert_eq!(found[0].key_id, codes[key].key_id);
    }
    // As a student reads it out on the phone.
    let spoken = codes[0].code.to_lowercase().replace('-', " ");
    let request = LookUpTrainingKeyRequest { code: spoken };
    let found = organization
        .manager()
        .training_keys()
        .look_up_training_key(request)
        .await;
    let found = found.expect("found").into_inner().key.expect("a key");
    assert_eq!(
        (found.key_id.as_str(), found.state()),
        (codes[0].key_id.as_str(), KeyState::Redeemed)
    );
    assert!(!found.masked_code.is_empty() && found.masked_code != codes[0].code);
    stack.finish().await;
}
