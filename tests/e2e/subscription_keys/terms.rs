//! The terms of subscription keys: what they may be, how they change, what they mean for the state of a key, and what is told of
//! them to decide by.

use chrono::TimeDelta;
use latchkey_proto::enrollment::v1::RedeemKeyResponse;
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    AddOwnSubscriptionKeysRequest, KeyState, ListTrainingKeysRequest, ResolveCodesRequest,
    SubscriptionKeyTerms, SubscriptionTerms, TrainingKey, UpdateSubscriptionKeyRequest,
};
use tonic::{Response, Status};
use tonic_types::StatusExt;

use super::{get, more, terms, trail};
use crate::harness::subscriptions::uses;
use crate::harness::world::{mask, redeem};
use crate::harness::{Organization, PoolDraft, Stack, at, eventually, new_id, now, refused};
use crate::self_paced::cancel;

fn change(
    key_id: &str,
    fields: &[&str],
    terms: SubscriptionKeyTerms,
) -> UpdateSubscriptionKeyRequest {
    UpdateSubscriptionKeyRequest {
        key_id: key_id.to_owned(),
        update_mask: mask(fields),
        etag: String::new(),
        terms: Some(terms),
    }
}

async fn update(
    organization: &Organization<'_>,
    request: UpdateSubscriptionKeyRequest,
) -> Result<Response<TrainingKey>, Status> {
    let mut keys = organization.admin().subscription_keys();
    let answer = keys.update_subscription_key(request).await?;
    Ok(answer.map(|answer| answer.key.expect("a key")))
}

fn unlimited() -> SubscriptionKeyTerms {
    SubscriptionKeyTerms {
        unlimited: true,
        ..SubscriptionKeyTerms::default()
    }
}

/// The fields that a refusal names, each once.
fn named(refusal: &Status) -> Vec<String> {
    let details = refusal.get_details_bad_request().expect("fields");
    let fields = details.field_violations.into_iter();
    let mut fields: Vec<String> = fields.map(|violation| violation.field).collect();
    fields.dedup();
    fields
}

#[tokio::test]
async fn terms_that_make_no_sense_are_named_and_make_no_key() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let profile_id = organization.profile().await.profile_id;
    let past = at(now() - TimeDelta::seconds(1));
    let times = SubscriptionKeyTerms {
        expire_time: past,
        content_expire_time: past,
        ..uses(1)
    };
    let both = SubscriptionKeyTerms {
        unlimited: true,
        ..uses(5)
    };
    let mut keys = organization.admin().subscription_keys();
    for (terms, fields) in [
        (
            times,
            &["terms.expire_time", "terms.content_expire_time"][..],
        ),
        (both, &["terms.max_uses"]),
        (uses(0), &["terms.max_uses"]),
        (uses(100_001), &["terms.max_uses"]),
    ] {
        let answer = keys
            .generate_subscription_keys(more(&profile_id, 1, Some(terms)))
            .await;
        let refusal = refused(answer, ErrorReason::FieldInvalid);
        assert_eq!(named(&refusal), fields);
        let request = AddOwnSubscriptionKeysRequest {
            request_id: new_id(),
            profile_id: profile_id.clone(),
            codes: vec![format!("own-{}", new_id())],
            only_good: false,
            terms: Some(terms),
        };
        let answer = keys.add_own_subscription_keys(request).await;
        let refusal = refused(answer, ErrorReason::FieldInvalid);
        assert_eq!(named(&refusal), fields);
    }
    assert!(super::keys_of(&organization, &profile_id).await.is_empty());
    stack.finish().await;
}

#[tokio::test]
async fn they_are_changed_by_who_has_read_them_and_each_change_leaves_a_row() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let profile_id = organization.profile().await.profile_id;
    let made = organization
        .subscription_keys(&profile_id, 1, terms())
        .await;
    let key = get(&organization, &made[0].key_id).await;
    let id = key.key_id.as_str();
    let mut first = change(id, &["max_uses", "content_expire_time"], uses(9));
    first.etag.clone_from(&key.etag);
    let changed = update(&organization, first.clone()).await;
    let changed = changed.expect("changed").into_inner();
    let expected = SubscriptionKeyTerms {
        max_uses: Some(9),
        content_expire_time: None,
        ..key.subscription_terms.expect("terms")
    };
    assert_eq!(changed.subscription_terms, Some(expected), "and no more");
    assert_ne!(changed.etag, key.etag);
    assert_eq!(get(&organization, id).await, changed);
    refused(
        update(&organization, first.clone()).await,
        ErrorReason::EtagMismatch,
    );
    first.etag.clear();
    let same = update(&organization, first).await.expect("unchanged");
    assert_eq!(same.into_inner(), changed);
    let without = update(&organization, change(id, &["max_uses"], unlimited())).await;
    let without = without.expect("changed").into_inner().subscription_terms;
    let without = without.expect("terms");
    assert_eq!((without.max_uses, without.unlimited), (None, true));
    assert_eq!(without.expire_time, expected.expire_time);

    let events = trail(&organization, id).await;
    let updates: Vec<_> = events
        .iter()
        .filter(|event| event.action == "subscription_key.update")
        .collect();
    assert_eq!(updates.len(), 2, "a change of nothing leaves none");
    assert_eq!(updates[0].resource_type, "subscription_key");
    let told = r#"{"max_uses":{"from":9,"to":null}}"#;
    assert_eq!(updates[1].details_json, told);
    stack.finish().await;
}

#[tokio::test]
async fn only_a_subscription_key_has_terms_and_a_change_names_what_it_changes() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
    let of_pool = organization.pool_keys(&pool_id, 1).await.remove(0).key_id;
    for key_id in [&of_pool, &new_id()] {
        let answer = update(&organization, change(key_id, &["max_uses"], uses(2))).await;
        refused(answer, ErrorReason::KeyNotFound);
    }
    let profile_id = organization.profile().await.profile_id;
    let keys = organization
        .subscription_keys(&profile_id, 1, uses(1))
        .await;
    let key_id = &keys[0].key_id;
    let neither = SubscriptionKeyTerms::default();
    for (fields, field) in [
        (&["max_uses"][..], "terms.max_uses"),
        (&["unlimited"], "update_mask"),
        (&[], "update_mask"),
    ] {
        let answer = update(&organization, change(key_id, fields, neither)).await;
        let refusal = refused(answer, ErrorReason::FieldInvalid);
        assert_eq!(named(&refusal), [field]);
    }
    stack.finish().await;
}

/// The key, once keys knows of so many uses of it.
async fn once_used(organization: &Organization<'_>, key_id: &str, count: i32) -> TrainingKey {
    eventually("the uses are told", async || {
        let key = get(organization, key_id).await;
        if key.use_count == count {
            Ok(key)
        } else {
            Err(format!("{key:?}"))
        }
    })
    .await
}

/// The key is in this state, and in no other by the filter of lists.
async fn stands(organization: &Organization<'_>, key_id: &str, state: KeyState) {
    let key = get(organization, key_id).await;
    assert_eq!(key.state(), state, "{key:?}");
    assert!(key.uses.is_empty(), "who uses it is told by enrollment");
    for other in [
        KeyState::Available,
        KeyState::Redeemed,
        KeyState::Revoked,
        KeyState::Expired,
    ] {
        let request = ListTrainingKeysRequest {
            profile_id: key.profile_id.clone(),
            state: other.into(),
            ..ListTrainingKeysRequest::default()
        };
        let mut keys = organization.admin().training_keys();
        let listed = keys.list_training_keys(request).await.expect("a list");
        let count = usize::from(other == state);
        assert_eq!(listed.into_inner().keys.len(), count, "{other:?}");
    }
}

fn granted(answer: Result<Response<RedeemKeyResponse>, Status>) -> String {
    let answer = answer.expect("granted").into_inner();
    let assignment = answer.subscription_assignment;
    assignment.expect("an assignment").assignment_id
}

#[tokio::test]
async fn a_key_is_redeemed_once_its_uses_are_made_and_expired_once_either_time_is_over() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let profile_id = organization.profile().await.profile_id;
    let keys = organization
        .subscription_keys(&profile_id, 1, uses(2))
        .await;
    let (id, code) = (keys[0].key_id.as_str(), keys[0].code.as_str());
    let students = organization.students(2).await;
    stands(&organization, id, KeyState::Available).await;
    granted(redeem(&stack, &students[0], code).await);
    once_used(&organization, id, 1).await;
    stands(&organization, id, KeyState::Available).await;
    let second = granted(redeem(&stack, &students[1], code).await);
    once_used(&organization, id, 2).await;
    stands(&organization, id, KeyState::Redeemed).await;

    let set = async |fields: &[&str], terms| {
        let changed = update(&organization, change(id, fields, terms)).await;
        changed.expect("changed");
    };
    set(&["max_uses"], uses(3)).await;
    stands(&organization, id, KeyState::Available).await;
    let (past, future) = (now() - TimeDelta::seconds(1), now() + TimeDelta::days(1));
    let times = |expiry, content| SubscriptionKeyTerms {
        expire_time: at(expiry),
        content_expire_time: at(content),
        ..SubscriptionKeyTerms::default()
    };
    let both = ["expire_time", "content_expire_time"];
    for (terms, state) in [
        (times(past, future), KeyState::Expired),
        (times(future, past), KeyState::Expired),
        (times(future, future), KeyState::Available),
    ] {
        set(&both, terms).await;
        stands(&organization, id, state).await;
    }
    organization.revoke(&[id]).await;
    stands(&organization, id, KeyState::Revoked).await;
    set(&["max_uses"], uses(2)).await;
    stands(&organization, id, KeyState::Redeemed).await;
    let given_up = cancel(&organization.manager(), &second).await;
    given_up.expect("cancelled");
    once_used(&organization, id, 1).await;
    stands(&organization, id, KeyState::Revoked).await;
    stack.finish().await;
}

async fn resolved(stack: &Stack, codes: &[&str]) -> Vec<Option<SubscriptionTerms>> {
    let request = ResolveCodesRequest {
        codes: codes.iter().map(ToString::to_string).collect(),
    };
    let mut keys = stack.enrollment_service().key_usage();
    let answer = keys.resolve_codes(request).await.expect("facts");
    let results = answer.into_inner().results.into_iter();
    let keys = results.map(|result| result.key.expect("a key"));
    keys.map(|key| {
        assert!(key.subscription.is_none() || (key.class_id.is_empty() && key.r#use.is_none()));
        key.subscription
    })
    .collect()
}

#[tokio::test]
async fn who_decides_is_told_the_terms_and_of_a_limited_key_all_uses_there_ever_were() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let profile_id = organization.profile().await.profile_id;
    let limited = organization
        .subscription_keys(&profile_id, 1, terms())
        .await
        .remove(0);
    let other = organization
        .subscription_keys(&profile_id, 1, unlimited())
        .await
        .remove(0);
    let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
    let of_pool = organization.pool_keys(&pool_id, 1).await.remove(0);
    let students = organization.students(2).await;
    let given_up = granted(redeem(&stack, &students[0], &limited.code).await);
    let done = cancel(&organization.manager(), &given_up).await;
    done.expect("cancelled");
    granted(redeem(&stack, &students[1], &limited.code).await);
    granted(redeem(&stack, &students[0], &other.code).await);
    once_used(&organization, &limited.key_id, 1).await;
    once_used(&organization, &other.key_id, 1).await;

    let key = get(&organization, &limited.key_id).await;
    let terms = key.subscription_terms.expect("terms");
    let facts = SubscriptionTerms {
        profile_id: profile_id.clone(),
        max_uses: terms.max_uses,
        expire_time: terms.expire_time,
        content_expire_time: terms.content_expire_time,
        recorded_uses: 2,
        recorded_live_uses: 1,
    };
    let always = SubscriptionTerms {
        profile_id,
        ..SubscriptionTerms::default()
    };
    let codes = [&*limited.code, &*of_pool.code, &*other.code, &*limited.code];
    let told = eventually("both uses are told", async || {
        let told = resolved(&stack, &codes).await;
        match &told[0] {
            Some(facts) if facts.recorded_uses == 2 => Ok(told),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let limited = Some(facts);
    assert_eq!(told, [limited.clone(), None, Some(always), limited]);
    stack.finish().await;
}
