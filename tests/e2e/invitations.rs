//! Invitations: the text to send, with a key in it, for those who may reveal that kind of key.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_proto::enrollment::v1::{RenderInvitationRequest, RenderInvitationResponse};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    SubscriptionKeyTerms, UpdateKeyPoolRequest, UpdateSubscriptionKeyRequest,
};
use latchkey_service_kit::identity::Role;
use latchkey_service_kit::status::metadata_of;
use tonic::{Response, Status};

use crate::harness::subscriptions::uses;
use crate::harness::time::read;
use crate::harness::world::{come_in, mask, off, redeem};
use crate::harness::{
    Caller, ClassDraft, Options, Organization, PoolDraft, Stack, at, eventually, new_id, now,
    reason_of, refused,
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
        ..RenderInvitationRequest::default()
    };
    caller.notifications().render_invitation(request).await
}

/// The same by a key of a pool.
async fn invite_to_course(
    caller: &Caller,
    pool_id: &str,
    key_id: &str,
    student_id: &str,
) -> Result<Response<RenderInvitationResponse>, Status> {
    let request = RenderInvitationRequest {
        pool_id: pool_id.to_owned(),
        key_id: key_id.to_owned(),
        student_id: student_id.to_owned(),
        ..RenderInvitationRequest::default()
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

#[tokio::test]
async fn a_pools_key_names_the_course_and_for_how_long_it_is_open_and_lets_in() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await;
    let key = organization.pool_keys(&pool.pool_id, 1).await.remove(0);
    let student = organization.student().await;
    let manager = organization.manager();
    let letter = invite_to_course(&manager, &pool.pool_id, &key.key_id, &student.student_id).await;
    let letter = letter.expect("an invitation").into_inner();
    assert_eq!(letter.code, key.code);
    assert_eq!(letter.redeemable_until, pool.expire_time);
    for part in [
        &format!("Hello {},", student.given_name),
        &key.code,
        &pool.course_name,
        "90 days",
        "Academy",
    ] {
        assert!(letter.text.contains(part), "{part}: {}", letter.text);
    }
    assert!(letter.subject.contains(&pool.course_name));
    let redeemed = redeem(&stack, &student.student_id, &letter.code).await;
    redeemed.expect("assigned");
    stack.finish().await;
}

#[tokio::test]
async fn keys_of_pools_are_for_operations_managers_within_whose_reach_the_pool_is() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await.pool_id;
    let key = organization.pool_keys(&pool, 1).await.remove(0).key_id;
    for caller in [organization.admin(), organization.instructor("ines")] {
        let answer = invite_to_course(&caller, &pool, &key, "").await;
        refused(answer, ErrorReason::NotAllowed);
    }
    let strangers = [
        Organization::new(&stack).await.manager(),
        organization.child().await.manager(),
    ];
    for stranger in strangers {
        let answer = invite_to_course(&stranger, &pool, &key, "").await;
        refused(answer, ErrorReason::KeyPoolNotFound);
    }
    let below = organization.child().await;
    let pool_below = below.pool(PoolDraft::new()).await.pool_id;
    let key_below = below.pool_keys(&pool_below, 1).await.remove(0).key_id;
    let manager = organization.manager();
    let answer = invite_to_course(&manager, &pool_below, &key_below, "").await;
    answer.expect("an invitation");
    // What is no key of the pool, or no pool at all.
    let class = organization.class(ClassDraft::new()).await.class_id;
    let of_class = organization.generate(&class, 1).await.remove(0).key_id;
    for (pool, key, reason) in [
        (&pool, &of_class, ErrorReason::KeyNotFound),
        (&pool, &key_below, ErrorReason::KeyNotFound),
        (&class, &of_class, ErrorReason::KeyPoolNotFound),
        (&new_id(), &key, ErrorReason::KeyPoolNotFound),
        (&pool, &String::new(), ErrorReason::FieldInvalid),
    ] {
        let answer = invite_to_course(&manager, pool, key, "").await;
        refused(answer, reason);
    }
    refused(
        invite(&manager, &class, &key, "").await,
        ErrorReason::KeyNotFound,
    );
    let both = RenderInvitationRequest {
        class_id: class.clone(),
        pool_id: pool.clone(),
        key_id: key.clone(),
        ..RenderInvitationRequest::default()
    };
    let answer = manager.notifications().render_invitation(both).await;
    refused(answer, ErrorReason::FieldInvalid);
    stack.finish().await;
}

#[tokio::test]
async fn nobody_is_invited_by_a_pools_key_that_lets_nobody_in() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await.pool_id;
    let keys = organization.pool_keys(&pool, 3).await;
    let student = organization.student().await.student_id;
    let manager = organization.manager();
    let ask = async |key: &str| invite_to_course(&manager, &pool, key, "").await;
    organization.revoke(&[&keys[0].key_id]).await;
    refused(ask(&keys[0].key_id).await, ErrorReason::KeyRevoked);
    let redeemed = redeem(&stack, &student, &keys[1].code).await;
    redeemed.expect("assigned");
    eventually("known to keys as used", async || {
        match ask(&keys[1].key_id).await {
            Err(refusal) if reason_of(&refusal) == ErrorReason::KeyAlreadyRedeemed => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let over = now() - TimeDelta::hours(1);
    let request = UpdateKeyPoolRequest {
        pool_id: pool.clone(),
        update_mask: mask(&["expire_time"]),
        expire_time: at(over),
        ..UpdateKeyPoolRequest::default()
    };
    let mut pools = organization.admin().key_pools();
    let moved = pools.update_key_pool(request).await.expect("moved");
    let moved = moved.into_inner().key_pool.expect("a pool");
    let refusal = refused(ask(&keys[2].key_id).await, ErrorReason::WindowClosed);
    let closed = metadata_of(&refusal)["closed_at"].parse::<DateTime<Utc>>();
    assert_eq!(closed.expect("a time"), read(moved.expire_time.as_ref()));
    stack.finish().await;
}

/// Ends a subscription key, of which uses are left.
async fn end(organization: &Organization<'_>, key_id: &str) {
    let terms = SubscriptionKeyTerms {
        expire_time: at(now() - TimeDelta::seconds(1)),
        unlimited: true,
        ..SubscriptionKeyTerms::default()
    };
    let change = UpdateSubscriptionKeyRequest {
        key_id: key_id.to_owned(),
        update_mask: mask(&["expire_time", "max_uses"]),
        terms: Some(terms),
        ..UpdateSubscriptionKeyRequest::default()
    };
    let mut keys = organization.admin().subscription_keys();
    keys.update_subscription_key(change).await.expect("ended");
}

#[tokio::test]
async fn a_subscription_key_names_the_courses_and_lets_in_as_many_as_it_has_uses() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let profile = organization.profile().await;
    let key = organization.subscription_keys(&profile.profile_id, 1, uses(1));
    let key = key.await.remove(0);
    let student = organization.student().await;
    let ask = async |caller: &Caller, profile_id: &str| {
        let request = RenderInvitationRequest {
            profile_id: profile_id.to_owned(),
            key_id: key.key_id.clone(),
            student_id: student.student_id.clone(),
            ..RenderInvitationRequest::default()
        };
        caller.notifications().render_invitation(request).await
    };
    let manager = organization.manager();
    let letter = ask(&manager, &profile.profile_id).await;
    let letter = letter.expect("an invitation").into_inner();
    assert_eq!((&letter.code, letter.redeemable_until), (&key.code, None));
    for part in [
        &format!("Hello {},", student.given_name),
        &key.code,
        &profile.name,
        &profile.courses[0].course_name,
        &profile.courses[1].course_name,
        "365 days",
    ] {
        assert!(letter.text.contains(part), "{part}: {}", letter.text);
    }
    refused(
        ask(&organization.admin(), &profile.profile_id).await,
        ErrorReason::NotAllowed,
    );
    refused(
        ask(&manager, &new_id()).await,
        ErrorReason::SubscriptionProfileNotFound,
    );
    let other = organization.profile().await.profile_id;
    refused(ask(&manager, &other).await, ErrorReason::KeyNotFound);
    let redeemed = redeem(&stack, &student.student_id, &letter.code).await;
    redeemed.expect("assigned");
    eventually("it is known to keys", async || {
        match ask(&manager, &profile.profile_id).await {
            Ok(_) => Err("a use is left".to_owned()),
            Err(refusal) => {
                assert_eq!(reason_of(&refusal), ErrorReason::KeyAlreadyRedeemed);
                Ok(())
            }
        }
    })
    .await;
    end(&organization, &key.key_id).await;
    refused(
        ask(&manager, &profile.profile_id).await,
        ErrorReason::WindowClosed,
    );
    stack.finish().await;
}
