//! What each filter of keys and redemptions lets through, and in which order.

use latchkey_proto::enrollment::v1::{ListRedemptionsRequest, RedemptionOutcome};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    KeyKind, KeyState, ListTrainingKeysRequest, RevokeTrainingKeysRequest,
};

use crate::harness::world::redeem;
use crate::harness::{ClassDraft, Organization, Stack, at, eventually, now, refused};

#[tokio::test]
async fn keys_by_class_state_student_batch_and_kind() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, event_code) = organization.event_class(ClassDraft::new()).await;
    let (class_id, student) = (
        class.class_id.clone(),
        organization.student().await.student_id,
    );
    let codes = organization.generate(&class_id, 3).await;
    let (_, others) = organization.keyed_class(ClassDraft::new(), 2).await;
    redeem(&stack, &student, &codes[0].code).await.expect("in");
    let by_event_key = organization.student().await.student_id;
    redeem(&stack, &by_event_key, &event_code)
        .await
        .expect("in");
    let revoke = RevokeTrainingKeysRequest {
        key_ids: vec![codes[1].key_id.clone()],
        reason: String::new(),
    };
    organization
        .manager()
        .training_keys()
        .revoke_training_keys(revoke)
        .await
        .expect("revoked");

    let base = ListTrainingKeysRequest {
        class_id,
        ..ListTrainingKeysRequest::default()
    };
    let list = async |request: ListTrainingKeysRequest| {
        let answer = organization
            .admin()
            .training_keys()
            .list_training_keys(request)
            .await
            .expect("keys");
        answer.into_inner().keys
    };
    let ids = async |request: ListTrainingKeysRequest| -> Vec<String> {
        list(request)
            .await
            .into_iter()
            .map(|key| key.key_id)
            .collect()
    };
    let state = |state: KeyState| ListTrainingKeysRequest {
        state: state.into(),
        ..base.clone()
    };
    let one = |index: usize| vec![codes[index].key_id.clone()];
    eventually("marked", async || {
        if ids(state(KeyState::Redeemed)).await == one(0) {
            Ok(())
        } else {
            Err("not marked".to_owned())
        }
    })
    .await;
    assert_eq!(ids(state(KeyState::Revoked)).await, one(1));
    assert!(ids(state(KeyState::Expired)).await.is_empty());
    let kind = |kind: KeyKind| ListTrainingKeysRequest {
        kind: kind.into(),
        ..base.clone()
    };
    assert_eq!(ids(kind(KeyKind::Event)).await.len(), 1);
    assert_eq!(
        ids(kind(KeyKind::Enrollment)).await,
        [one(2), one(1), one(0)].concat(),
        "newest first"
    );
    let used = ListTrainingKeysRequest {
        student_id: student,
        ..base.clone()
    };
    assert_eq!(ids(used.clone()).await, one(0));
    assert!(
        ids(ListTrainingKeysRequest {
            kind: KeyKind::Event.into(),
            ..used
        })
        .await
        .is_empty(),
        "AND"
    );
    let key = list(base.clone())
        .await
        .into_iter()
        .find(|key| key.key_id == codes[2].key_id)
        .expect("the key");
    let batch = ListTrainingKeysRequest {
        batch_id: key.batch_id,
        ..ListTrainingKeysRequest::default()
    };
    assert_eq!(ids(batch).await.len(), 3);
    assert!(!ids(base).await.contains(&others[0].key_id));
    stack.finish().await;
}

#[tokio::test]
async fn redemptions_by_student_key_class_outcome_and_time_the_newest_first() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization.keyed_class(ClassDraft::new(), 2).await;
    let (first, second) = (
        organization.student().await.student_id,
        organization.student().await.student_id,
    );
    redeem(&stack, &first, &codes[0].code).await.expect("in");
    let between = now();
    refused(
        redeem(&stack, &second, &codes[0].code).await,
        ErrorReason::KeyAlreadyRedeemed,
    );
    redeem(&stack, &first, &codes[1].code)
        .await
        .expect("already in");
    let (_, other) = organization.event_class(ClassDraft::new()).await;
    redeem(&stack, &second, &other).await.expect("in");

    let base = ListRedemptionsRequest {
        organization_id: organization.id.clone(),
        ..ListRedemptionsRequest::default()
    };
    let list = async |request: ListRedemptionsRequest| -> Vec<(String, RedemptionOutcome)> {
        let answer = organization
            .admin()
            .redemptions()
            .list_redemptions(request)
            .await
            .expect("redemptions");
        let all = answer.into_inner().redemptions.into_iter();
        all.map(|redemption| (redemption.student_id.clone(), redemption.outcome()))
            .collect()
    };
    let enrolled = |student: &String| (student.clone(), RedemptionOutcome::Enrolled);
    let refusal = (second.clone(), RedemptionOutcome::Refused);
    let already = (first.clone(), RedemptionOutcome::AlreadyIn);
    let all = [
        enrolled(&second),
        already.clone(),
        refusal.clone(),
        enrolled(&first),
    ];
    assert_eq!(list(base.clone()).await, all);
    let of_first = ListRedemptionsRequest {
        student_id: first.clone(),
        ..base.clone()
    };
    assert_eq!(list(of_first).await, [already.clone(), enrolled(&first)]);
    let of_key = ListRedemptionsRequest {
        key_id: codes[0].key_id.clone(),
        ..base.clone()
    };
    assert_eq!(list(of_key).await, [refusal.clone(), enrolled(&first)]);
    let of_class = ListRedemptionsRequest {
        class_id: class.class_id.clone(),
        ..base.clone()
    };
    assert_eq!(list(of_class.clone()).await, all[1..]);
    let refusals = ListRedemptionsRequest {
        outcome: RedemptionOutcome::Refused.into(),
        ..of_class.clone()
    };
    assert_eq!(list(refusals).await, [refusal.clone()]);
    assert_eq!(
        list(ListRedemptionsRequest {
            from: at(between),
            ..of_class.clone()
        })
        .await,
        [already, refusal]
    );
    assert_eq!(
        list(ListRedemptionsRequest {
            until: at(between),
            ..of_class
        })
        .await,
        [enrolled(&first)]
    );
    stack.finish().await;
}
