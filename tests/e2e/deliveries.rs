//! What keys must be told of: it arrives, whatever stood in its way; and who was answered once is answered again without
//! it.

use latchkey::stack::Service;
use latchkey_proto::errors::v1::ErrorReason;

use crate::harness::world::{redeem, redeem_as};
use crate::harness::{ClassDraft, Organization, Stack, new_id, refused};

#[tokio::test]
async fn without_keys_nothing_is_decided_anew_and_everything_decided_is_answered_again() {
    let mut stack = Stack::own().await;
    let code;
    let (student, other, again, first);
    {
        let organization = Organization::new(&stack).await;
        let (_, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
        code = codes[0].code.clone();
        student = organization.student().await.student_id;
        other = organization.student().await.student_id;
        again = new_id();
        first = redeem_as(&stack, &again, &student, &code)
            .await
            .expect("in")
            .into_inner();
    }
    stack.replica(Service::Keys, 0).kill().await;

    let repeated = redeem_as(&stack, &again, &student, &code)
        .await
        .expect("the same answer")
        .into_inner();

    assert!(repeated.replayed);
    assert_eq!(repeated.enrollment, first.enrollment);
    let answer = redeem(&stack, &other, &code).await;
    refused(answer, ErrorReason::DependencyUnavailable);
    stack.replica(Service::Keys, 0).run().await;
    let answer = redeem(&stack, &other, &code).await;
    refused(answer, ErrorReason::KeyAlreadyRedeemed);
    stack.finish().await;
}

#[tokio::test]
async fn a_key_given_up_while_keys_is_away_is_free_at_once_and_released_when_keys_is_back() {
    let mut stack = Stack::own().await;
    let code;
    let other;
    let class_id;
    let admin;
    {
        let organization = Organization::new(&stack).await;
        let (class, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
        code = codes[0].code.clone();
        class_id = class.class_id;
        let student = organization.student().await.student_id;
        other = organization.student().await.student_id;
        admin = organization.admin();
        let enrollment = crate::harness::world::come_in(&stack, &student, &code).await;
        stack_without_keys(&stack, &enrollment.enrollment_id, &organization).await;
    }
    stack.replica(Service::Keys, 0).kill().await;
    drop((class_id, admin));
    stack.replica(Service::Keys, 0).run().await;
    redeem(&stack, &other, &code).await.expect("the key is free");
    stack.finish().await;
}

async fn stack_without_keys(_stack: &Stack, enrollment_id: &str, organization: &Organization<'_>) {
    organization.cancel(enrollment_id, "moved").await;
}
