//! What each filter of keys and of redemptions lets through, and in which order.

use latchkey_proto::enrollment::v1::RedemptionOutcome;
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{GetTrainingKeyRequest, KeyKind, KeyState};

use super::{List, choice, moment, text};
use crate::harness::world::{come_in, redeem_as};
use crate::harness::{ClassDraft, Organization, Stack, ids, invariants, now, refused};

#[tokio::test]
async fn keys_by_class_state_student_batch_and_kind_the_newest_first() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, event_code) = organization.event_class(ClassDraft::new()).await;
    let students = organization.students(2).await;
    let codes = organization.generate(&class.class_id, 3).await;
    organization.keyed_class(ClassDraft::new(), 2).await;
    come_in(&stack, &students[0], &codes[0].code).await;
    come_in(&stack, &students[1], &event_code).await;
    organization.revoke(&[&codes[1].key_id]).await;
    invariants::hold(&stack).await;

    let mut newest_first: Vec<String> = codes.iter().map(|code| code.key_id.clone()).collect();
    newest_first.sort_unstable_by(|one, other| other.cmp(one));
    let one = |index: usize| [codes[index].key_id.clone()];
    let filters = [("class_id", text(&class.class_id))];
    let list = List::of_keys("ListTrainingKeys", organization.admin(), &filters);
    let state = |state: KeyState| ("state", choice(state));
    let (event, enrollment) = (
        ("kind", choice(KeyKind::Event)),
        ("kind", choice(KeyKind::Enrollment)),
    );
    assert_eq!(list.show([enrollment.clone()]).await, newest_first);
    assert_eq!(list.show([event.clone()]).await.len(), 1);
    assert_eq!(list.show([]).await.len(), 4);
    assert_eq!(list.show([state(KeyState::Redeemed)]).await, one(0));
    assert_eq!(list.show([state(KeyState::Revoked)]).await, one(1));
    assert_eq!(
        list.show([state(KeyState::Available), enrollment]).await,
        one(2)
    );
    assert!(list.show([state(KeyState::Expired)]).await.is_empty());
    let used = ("student_id", text(&students[0]));
    assert_eq!(list.show([used.clone()]).await, one(0));
    assert!(list.show([used, event]).await.is_empty());

    let request = GetTrainingKeyRequest {
        key_id: codes[2].key_id.clone(),
    };
    let key = organization
        .admin()
        .training_keys()
        .get_training_key(request)
        .await
        .expect("the key");
    let batch_id = key.into_inner().key.expect("a key").batch_id;
    let all = List::of_keys("ListTrainingKeys", organization.admin(), &[]);
    assert_eq!(
        all.show([("batch_id", text(&batch_id))]).await,
        newest_first
    );
    stack.finish().await;
}

#[tokio::test]
async fn redemptions_by_student_key_class_outcome_and_time_the_newest_first() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization.keyed_class(ClassDraft::new(), 2).await;
    let (_, elsewhere) = organization.event_class(ClassDraft::new()).await;
    let students = organization.students(2).await;
    let wishes = ids(4);
    redeem_as(&stack, &wishes[0], &students[0], &codes[0].code)
        .await
        .expect("in");
    let between = moment(now());
    let answer = redeem_as(&stack, &wishes[1], &students[1], &codes[0].code).await;
    refused(answer, ErrorReason::KeyAlreadyRedeemed);
    redeem_as(&stack, &wishes[2], &students[0], &codes[1].code)
        .await
        .expect("in already");
    redeem_as(&stack, &wishes[3], &students[1], &elsewhere)
        .await
        .expect("in");

    let shown = |which: &[usize]| {
        which
            .iter()
            .map(|index| wishes[*index].clone())
            .collect::<Vec<_>>()
    };
    let filters = [("organization_id", text(&organization.id))];
    let list = List::of_enrollment("ListRedemptions", organization.admin(), &filters);
    let of_class = ("class_id", text(&class.class_id));
    let outcome = |outcome: RedemptionOutcome| ("outcome", choice(outcome));
    assert_eq!(list.show([]).await, shown(&[3, 2, 1, 0]));
    assert_eq!(
        list.show([("student_id", text(&students[0]))]).await,
        shown(&[2, 0])
    );
    assert_eq!(
        list.show([("key_id", text(&codes[0].key_id))]).await,
        shown(&[1, 0])
    );
    assert_eq!(list.show([of_class.clone()]).await, shown(&[2, 1, 0]));
    assert_eq!(
        list.show([outcome(RedemptionOutcome::Refused)]).await,
        shown(&[1])
    );
    assert_eq!(
        list.show([outcome(RedemptionOutcome::AlreadyIn)]).await,
        shown(&[2])
    );
    assert_eq!(
        list.show([outcome(RedemptionOutcome::Enrolled), of_class])
            .await,
        shown(&[0])
    );
    assert_eq!(
        list.show([("from", between.clone())]).await,
        shown(&[3, 2, 1])
    );
    assert_eq!(list.show([("until", between)]).await, shown(&[0]));
    stack.finish().await;
}
