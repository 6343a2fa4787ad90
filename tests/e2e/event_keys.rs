//! A class's event key: one code that everybody shares, which can be changed, and remembers who came by which.

use latchkey_proto::errors::v1::{ErrorReason, Warning, WarningReason};
use latchkey_proto::keys::v1::{
    EventKeyChange, GetEventKeyRequest, RevealEventKeyRequest, SetEventKeyRequest,
};

use crate::harness::time::read;
use crate::harness::world::{
    check, come_in, generated, generated_with_grace, off, own_code, redeem,
};
use crate::harness::{
    ClassDraft, Organization, Stack, eventually, new_id, now, reason_of, refused,
};

fn warned(warnings: &[Warning]) -> Vec<WarningReason> {
    warnings.iter().map(Warning::reason).collect()
}

#[tokio::test]
async fn a_new_code_ends_the_old_one_at_once_or_after_its_grace() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, first) = organization.event_class(ClassDraft::new()).await;
    let class_id = class.class_id.as_str();
    let students = organization.students(4).await;
    assert_eq!(
        come_in(&stack, &students[0], &first)
            .await
            .origin
            .expect("an origin")
            .generation,
        1
    );

    let set = organization
        .set_event_key(class_id, generated_with_grace(600))
        .await;
    let key = set.event_key.expect("an event key");
    assert_eq!(key.generation, 2);
    assert!(key.previous_code_valid_until.is_some());
    let second = organization.event_code(class_id).await;
    for (student, code, generation) in [(&students[1], &first, 1), (&students[2], &second, 2)] {
        let origin = come_in(&stack, student, code).await.origin;
        assert_eq!(origin.expect("an origin").generation, generation);
    }
    organization.set_event_key(class_id, generated()).await;
    let answer = redeem(&stack, &students[3], &second).await;
    refused(answer, ErrorReason::CodeReplaced);
    let third = organization.event_code(class_id).await;
    let origin = come_in(&stack, &students[3], &third).await.origin;
    assert_eq!(origin.expect("an origin").generation, 3);
    stack.finish().await;
}

#[tokio::test]
async fn a_code_replaced_at_once_takes_the_graces_of_older_ones_with_it() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, first) = organization.event_class(ClassDraft::new()).await;
    let class_id = class.class_id.as_str();
    let student = organization.student().await.student_id;
    organization
        .set_event_key(class_id, generated_with_grace(86_400))
        .await;
    let second = organization.event_code(class_id).await;
    organization
        .set_event_key(class_id, generated_with_grace(3_600))
        .await;
    let third = organization.event_code(class_id).await;
    // Both older codes open for an hour; then the class's staff learn that they are on the internet.
    let set = organization.set_event_key(class_id, generated()).await;
    let key = set.event_key.expect("an event key");
    assert_eq!(key.previous_code_valid_until, None);
    for code in [&first, &second, &third] {
        let answer = redeem(&stack, &student, code).await;
        refused(answer, ErrorReason::CodeReplaced);
    }
    let fourth = organization.event_code(class_id).await;
    come_in(&stack, &student, &fourth).await;
    stack.finish().await;
}

#[tokio::test]
async fn the_old_code_opens_until_its_grace_is_over_and_not_after() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, old) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let check = async |code: &str| check(&stack, &student, code).await;
    let set = organization
        .set_event_key(&class.class_id, generated_with_grace(2))
        .await;
    let key = set.event_key.expect("an event key");
    let until = read(key.previous_code_valid_until.as_ref());
    let refusal = eventually("over", async || {
        let asked = now();
        match check(&old).await {
            Ok(_) if asked < until => Err("the grace lasts".to_owned()),
            Ok(_) => panic!("it opened after its grace"),
            Err(refusal) => Ok(refusal),
        }
    })
    .await;
    assert!(now() >= until, "its grace was cut short");
    assert_eq!(reason_of(&refusal), ErrorReason::CodeReplaced);
    let answer = redeem(&stack, &student, &old).await;
    refused(answer, ErrorReason::CodeReplaced);
    let new = organization.event_code(&class.class_id).await;
    come_in(&stack, &student, &new).await;
    stack.finish().await;
}

#[tokio::test]
async fn turned_off_it_opens_nothing_and_turned_on_again_it_is_a_new_generation() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    let set = organization.set_event_key(&class.class_id, off()).await;
    assert!(!set.event_key.expect("an event key").enabled);
    let answer = redeem(&stack, &student, &code).await;
    refused(answer, ErrorReason::KeyRevoked);
    let set = organization
        .set_event_key(&class.class_id, generated())
        .await;
    let key = set.event_key.expect("an event key");
    assert!(key.enabled && key.generation > 1, "{key:?}");
    let answer = redeem(&stack, &student, &code).await;
    refused(answer, ErrorReason::CodeReplaced);
    let code = organization.event_code(&class.class_id).await;
    come_in(&stack, &student, &code).await;
    stack.finish().await;
}

#[tokio::test]
async fn an_own_code_is_unique_until_it_is_given_up_and_warns_when_it_is_easy_to_guess() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let text = format!("Kick-off_{}", &new_id()[24..]);
    let draft = || ClassDraft::new().change(|request| request.event_key = Some(own_code(&text)));
    let class = organization.class(draft()).await;
    let student = organization.student().await.student_id;
    // Typed as people type.
    let typed = text.to_lowercase().replace('-', " ");
    come_in(&stack, &student, &typed).await;

    let other = organization.class(ClassDraft::new()).await;
    let change = |text: &str| SetEventKeyRequest {
        request_id: new_id(),
        class_id: other.class_id.clone(),
        change: Some(own_code(text)),
        etag: String::new(),
    };
    let mut keys = organization.admin().training_keys();
    let taken = keys.set_event_key(change(&text.to_uppercase())).await;
    refused(taken, ErrorReason::CodeTaken);
    organization.set_event_key(&class.class_id, off()).await;
    let free = keys.set_event_key(change(&text)).await;
    free.expect("free again");
    let easy = keys.set_event_key(change("123456789")).await;
    let warnings = easy.expect("as wished").into_inner().warnings;
    assert!(
        warned(&warnings).contains(&WarningReason::CodeGuessable),
        "{warnings:?}"
    );
    stack.finish().await;
}

#[tokio::test]
async fn turning_it_on_while_the_maximum_is_only_a_default_warns() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    for (maximum, expected) in [(None, 1), (Some(30), 0)] {
        let draft = ClassDraft::new().change(|request| request.maximum_students = maximum);
        let class = organization.class(draft).await;
        let set = organization
            .set_event_key(&class.class_id, generated())
            .await;
        let warnings = warned(&set.warnings);
        let found = warnings
            .iter()
            .filter(|one| **one == WarningReason::MaximumIsDefault);
        assert_eq!(found.count(), expected, "{warnings:?}");
    }
    stack.finish().await;
}

#[tokio::test]
async fn its_code_is_shown_by_a_reveal_only_to_staff_and_to_instructors_of_the_class() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let draft = ClassDraft::new().change(|request| request.instructors = vec!["ann".to_owned()]);
    let (class, code) = organization.event_class(draft).await;
    let request = || RevealEventKeyRequest {
        class_id: class.class_id.clone(),
    };
    for caller in [
        organization.admin(),
        organization.manager(),
        organization.instructor("ann"),
    ] {
        let shown = caller.training_keys().reveal_event_key(request()).await;
        let shown = shown.expect("shown").into_inner().code;
        assert_eq!(shown.expect("a code").code, code);
        let request = GetEventKeyRequest {
            class_id: class.class_id.clone(),
        };
        let read = caller.training_keys().get_event_key(request).await;
        let key = read.expect("read").into_inner().event_key;
        assert_ne!(key.expect("an event key").masked_code, code);
    }
    let other = organization.instructor("bob").training_keys();
    let answer = { other }.reveal_event_key(request()).await;
    refused(answer, ErrorReason::ClassNotFound);
    stack.finish().await;
}

#[tokio::test]
async fn a_change_is_made_once_and_only_to_the_version_that_was_read() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    let change = |id: &str, change: EventKeyChange, etag: &str| SetEventKeyRequest {
        request_id: id.to_owned(),
        class_id: class.class_id.clone(),
        change: Some(change),
        etag: etag.to_owned(),
    };
    let id = new_id();
    let mut keys = organization.admin().training_keys();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let set = keys.set_event_key(change(&id, generated(), "")).await;
        seen.push(set.expect("set").into_inner().event_key.expect("a key"));
    }
    assert_eq!((seen[0].generation, seen[1].generation), (1, 1));
    let reused = keys.set_event_key(change(&id, off(), "")).await;
    refused(reused, ErrorReason::RequestIdReused);
    let etag = &seen[0].etag;
    let next = keys
        .set_event_key(change(&new_id(), generated(), etag))
        .await;
    next.expect("of the version that was read");
    let stale = keys
        .set_event_key(change(&new_id(), generated(), etag))
        .await;
    refused(stale, ErrorReason::EtagMismatch);
    stack.finish().await;
}
