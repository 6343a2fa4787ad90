//! Invitations: the text to send, with a key in it, for those who may reveal that kind of key.

use latchkey_proto::enrollment::v1::{RenderInvitationRequest, RenderInvitationResponse};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::identity::Role;
use tonic::{Response, Status};

use crate::harness::world::{come_in, off};
use crate::harness::{
    Caller, ClassDraft, Options, Organization, Stack, eventually, new_id, reason_of, refused,
};

const LOGIN_PAGE: &str = "[mail]\nlogin_page = 'https://learn.example.com/keys'";

async fn invite(
    caller: &Caller,
    class_id: &str,
    key_id: &str,
    student_id: &str,
) -> Result<Response<RenderInvitationResponse>, Status> {
    let request = RenderInvitationRequest {
        class_id: class_id.to_owned(),
        key_id: key_id.to_owned(),
        student_id: student_id.to_owned(),
    };
    caller.notifications().render_invitation(request).await
}

#[tokio::test]
async fn it_names_the_page_the_key_and_the_steps_and_its_key_lets_in() {
    let stack = Stack::with(Options {
        enrollment: LOGIN_PAGE,
        ..Options::default()
    })
    .await;
    let organization = Organization::new(&stack).await;
    let (class, event_code) = organization.event_class(ClassDraft::new()).await;
    let class_id = class.class_id.as_str();
    let student = organization.student().await;
    let keys = organization.generate(class_id, 1).await;
    let manager = organization.manager();
    let letter = invite(&manager, class_id, &keys[0].key_id, &student.student_id).await;
    let letter = letter.expect("an invitation").into_inner();
    assert_eq!(letter.code, keys[0].code);
    assert_eq!(letter.redeemable_until, class.end_time);
    for part in [
        format!("Hello {},", student.given_name),
        keys[0].code.clone(),
        "https://learn.example.com/keys".to_owned(),
        class.name.clone(),
        "Academy".to_owned(),
    ] {
        assert!(letter.text.contains(&part), "{part}: {}", letter.text);
    }
    assert!(letter.subject.contains(&class.name));
    come_in(&stack, &student.student_id, &letter.code).await;
    let letter = invite(&organization.admin(), class_id, "", "").await;
    assert_eq!(letter.expect("an invitation").into_inner().code, event_code);
    stack.finish().await;
}

#[tokio::test]
async fn enrollment_keys_are_for_operations_managers_and_event_keys_for_instructors_too() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().change(|request| request.instructors = vec!["ines".to_owned()]);
    let (class, _) = organization.event_class(draft).await;
    let class_id = class.class_id.as_str();
    let key = organization.generate(class_id, 1).await.remove(0).key_id;
    let (admin, instructor) = (organization.admin(), organization.instructor("ines"));
    for caller in [&admin, &instructor] {
        invite(caller, class_id, "", "")
            .await
            .expect("an event key");
        let answer = invite(caller, class_id, &key, "").await;
        refused(answer, ErrorReason::NotAllowed);
    }
    // An operations manager elsewhere, who teaches here.
    let elsewhere = Organization::new(&stack).await;
    let both = stack.caller_with(
        &[Role::Instructor, Role::OperationsManager],
        "ines",
        Some(&elsewhere.id),
    );
    invite(&both, class_id, "", "").await.expect("an event key");
    refused(
        invite(&both, class_id, &key, "").await,
        ErrorReason::NotAllowed,
    );
    let stranger = elsewhere.manager();
    refused(
        invite(&stranger, class_id, &key, "").await,
        ErrorReason::ClassNotFound,
    );
    stack.finish().await;
}

#[tokio::test]
async fn nobody_is_invited_by_a_key_that_lets_nobody_in() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, _) = organization.event_class(ClassDraft::new()).await;
    let class_id = class.class_id.as_str();
    let keys = organization.generate(class_id, 2).await;
    let student = organization.student().await.student_id;
    let manager = organization.manager();
    let ask = async |key: &str, student: &str| invite(&manager, class_id, key, student).await;
    organization.revoke(&[&keys[0].key_id]).await;
    refused(ask(&keys[0].key_id, "").await, ErrorReason::KeyRevoked);
    come_in(&stack, &student, &keys[1].code).await;
    eventually("known to keys as used", async || {
        match ask(&keys[1].key_id, "").await {
            Err(refusal) if reason_of(&refusal) == ErrorReason::KeyAlreadyRedeemed => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    refused(ask(&new_id(), "").await, ErrorReason::KeyNotFound);
    let other = organization.class(ClassDraft::new()).await.class_id;
    let elsewhere = organization.generate(&other, 1).await.remove(0).key_id;
    refused(ask(&elsewhere, "").await, ErrorReason::KeyNotFound);
    refused(
        invite(&manager, &other, "", "").await,
        ErrorReason::KeyNotFound,
    );
    refused(ask("", &new_id()).await, ErrorReason::StudentNotFound);
    organization.set_event_key(class_id, off()).await;
    refused(ask("", "").await, ErrorReason::KeyNotFound);
    organization.cancel_class(class_id).await;
    refused(ask("", "").await, ErrorReason::ClassCancelled);
    stack.finish().await;
}
