//! Subscription keys: made for a profile with terms of their own, which can be changed; what staff see of them, and what the
//! enrollment service is told.

mod terms;

use chrono::{SubsecRound, TimeDelta};
use latchkey_proto::audit::v1::{AuditEvent, ListAuditEventsRequest};
use latchkey_proto::enrollment::v1::UpdateSubscriptionProfileRequest;
use latchkey_proto::errors::v1::{ErrorReason, Warning, WarningReason};
use latchkey_proto::keys::v1::{
    AddOwnSubscriptionKeysRequest, AddOwnSubscriptionKeysResponse, ExportFormat,
    ExportTrainingKeysRequest, GeneratePoolKeysRequest, GenerateSubscriptionKeysRequest,
    GenerateTrainingKeysRequest, GetTrainingKeyRequest, HeldCopy, KeyKind, KeyState,
    ListTrainingKeysRequest, LookUpTrainingKeyRequest, OwnCodeFault, ProfileCopy,
    PutProfilesRequest, PutProfilesResponse, SubscriptionKeyTerms, TrainingKey,
};

use crate::export::rows;
use crate::harness::subscriptions::{told, uses};
use crate::harness::world::{mask, redeem};
use crate::harness::{Organization, PoolDraft, Stack, at, new_id, now, refused};

/// Terms with a limit and both times, which are kept to the microsecond.
fn terms() -> SubscriptionKeyTerms {
    let in_days = |days| at((now() + TimeDelta::days(days)).trunc_subsecs(6));
    SubscriptionKeyTerms {
        expire_time: in_days(30),
        content_expire_time: in_days(60),
        ..uses(3)
    }
}

fn more(
    profile_id: &str,
    count: i32,
    terms: Option<SubscriptionKeyTerms>,
) -> GenerateSubscriptionKeysRequest {
    GenerateSubscriptionKeysRequest {
        request_id: new_id(),
        profile_id: profile_id.to_owned(),
        count,
        terms,
        omit_keys: false,
    }
}

async fn keys_of(organization: &Organization<'_>, profile_id: &str) -> Vec<TrainingKey> {
    let request = ListTrainingKeysRequest {
        profile_id: profile_id.to_owned(),
        page_size: 1000,
        ..ListTrainingKeysRequest::default()
    };
    let mut keys = organization.admin().training_keys();
    let listed = keys.list_training_keys(request).await;
    listed.expect("keys").into_inner().keys
}

async fn get(organization: &Organization<'_>, key_id: &str) -> TrainingKey {
    let request = GetTrainingKeyRequest {
        key_id: key_id.to_owned(),
    };
    let mut keys = organization.admin().training_keys();
    let found = keys.get_training_key(request).await.expect("the key");
    found.into_inner().key.expect("a key")
}

/// The events about a resource, the oldest first.
async fn trail(organization: &Organization<'_>, resource_id: &str) -> Vec<AuditEvent> {
    let request = ListAuditEventsRequest {
        resource_id: resource_id.to_owned(),
        ..ListAuditEventsRequest::default()
    };
    let mut audit = organization.admin().keys_audit();
    let listed = audit.list_audit_events(request).await;
    let mut events = listed.expect("events").into_inner().events;
    events.reverse();
    events
}

#[tokio::test]
async fn a_profile_gets_any_number_of_keys_each_with_the_terms_of_its_request() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let profile = organization.profile().await;
    let keys = || organization.admin().subscription_keys();
    let first = more(&profile.profile_id, 40, Some(terms()));
    let (made, live) = told(keys().generate_subscription_keys(first.clone()).await)
        .await
        .expect("keys");
    assert_eq!((made.len(), live), (40, 40));
    for key in &made {
        assert_eq!(key.kind(), KeyKind::Subscription);
        assert_eq!(key.state(), KeyState::Available);
        let of = (&key.profile_id, &key.profile_name);
        assert_eq!(of, (&profile.profile_id, &profile.name));
        assert!(key.class_id.is_empty() && key.pool_id.is_empty());
        assert!(key.masked_code.starts_with("SK-") && !key.etag.is_empty());
        assert_eq!(key.subscription_terms, first.terms);
        let expiry = first.terms.and_then(|terms| terms.expire_time);
        assert_eq!((key.redeemable_from, key.redeemable_until), (None, expiry));
    }
    let again = told(keys().generate_subscription_keys(first.clone()).await).await;
    assert_eq!(again.expect("the same").0, made);
    for other in [
        GenerateSubscriptionKeysRequest {
            count: 41,
            ..first.clone()
        },
        GenerateSubscriptionKeysRequest {
            terms: Some(uses(3)),
            ..first.clone()
        },
    ] {
        let answer = keys().generate_subscription_keys(other).await;
        refused(answer, ErrorReason::RequestIdReused);
    }
    let usual = told(
        keys()
            .generate_subscription_keys(more(&profile.profile_id, 1, None))
            .await,
    );
    let usual = usual.await.expect("one more").0.remove(0);
    assert_eq!(usual.subscription_terms, Some(uses(1)));
    assert_eq!(usual.redeemable_until, None, "always");
    let events = trail(&organization, &profile.profile_id).await;
    let actions: Vec<(&str, &str)> = events
        .iter()
        .map(|event| (&*event.action, &*event.resource_type))
        .collect();
    let generated = ("training_key.generate", "subscription_profile");
    assert_eq!(actions, [generated, generated]);
    assert!(events[0].details_json.contains(r#""max_uses":3"#));
    stack.finish().await;
}

#[tokio::test]
async fn a_generation_that_is_cut_off_goes_on_with_the_same_terms_though_its_profile_was_renamed() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let profile = organization.profile().await;
    let wish = more(&profile.profile_id, 5_000, Some(terms()));
    let keys = || organization.admin().subscription_keys();
    let begun = keys().generate_subscription_keys(wish.clone()).await;
    let mut begun = begun.expect("begun").into_inner();
    let first = begun.message().await.expect("a message").expect("keys");
    assert!(first.generated < 5_000 && first.summary.is_none());
    drop(begun);
    let rename = UpdateSubscriptionProfileRequest {
        profile_id: profile.profile_id.clone(),
        update_mask: mask(&["name"]),
        name: "Everything".to_owned(),
        ..UpdateSubscriptionProfileRequest::default()
    };
    let mut profiles = organization.admin().profiles();
    let renamed = profiles.update_subscription_profile(rename).await;
    renamed.expect("renamed");
    let (made, live) = told(keys().generate_subscription_keys(wish.clone()).await)
        .await
        .expect("all keys");
    assert_eq!((made.len(), live), (5_000, 5_000));
    let ids = |keys: &[TrainingKey]| {
        keys.iter()
            .map(|key| key.key_id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&made[..first.keys.len()]), ids(&first.keys));
    assert!(made.is_sorted_by(|one, next| one.key_id < next.key_id));
    assert!(made.iter().all(|key| key.subscription_terms == wish.terms));
    stack.finish().await;
}

/// The rows of an export of the keys of a profile.
async fn exported(organization: &Organization<'_>, profile_id: &str) -> Vec<serde_json::Value> {
    let request = ExportTrainingKeysRequest {
        profile_id: profile_id.to_owned(),
        format: ExportFormat::JsonLines.into(),
        reason: "printing".to_owned(),
        ..ExportTrainingKeysRequest::default()
    };
    rows(&organization.manager(), request).await
}

#[tokio::test]
async fn they_are_revealed_found_listed_exported_and_revoked_as_other_keys() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let profile = organization.profile().await;
    let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
    organization.pool_keys(&pool_id, 1).await;
    let codes = organization
        .subscription_keys(&profile.profile_id, 2, terms())
        .await;
    let mut keys = organization.manager().training_keys();
    let request = LookUpTrainingKeyRequest {
        code: codes[0].code.to_lowercase(),
    };
    let found = keys.look_up_training_key(request).await.expect("found");
    let found = found.into_inner().key.expect("a key");
    assert_eq!(found.key_id, codes[0].key_id);
    organization.revoke(&[&codes[0].key_id]).await;
    let listed = keys_of(&organization, &profile.profile_id).await;
    let states: Vec<(&str, KeyState)> = listed
        .iter()
        .map(|key| (&*key.key_id, key.state()))
        .collect();
    let expected = [
        (&*codes[1].key_id, KeyState::Available),
        (&*codes[0].key_id, KeyState::Revoked),
    ];
    assert_eq!(states, expected, "the newest first, and no other keys");
    let both = ListTrainingKeysRequest {
        pool_id,
        profile_id: profile.profile_id.clone(),
        ..ListTrainingKeysRequest::default()
    };
    let answer = keys.list_training_keys(both).await;
    refused(answer, ErrorReason::FieldInvalid);

    let rows = exported(&organization, &profile.profile_id).await;
    assert_eq!(rows.len(), 2);
    for (row, code) in rows.iter().zip(codes.iter().rev()) {
        assert_eq!(row["code"], code.code.as_str());
        assert_eq!(row["kind"], "subscription");
        assert_eq!(row["profile_id"], profile.profile_id.as_str());
        assert_eq!(row["profile_name"], profile.name.as_str());
        assert_eq!(
            (&row["max_uses"], &row["use_count"]),
            (&"3".into(), &"0".into())
        );
        assert!(row["class_id"].is_null() && row["pool_id"].is_null());
    }
    let events = trail(&organization, &profile.profile_id).await;
    let actions: Vec<&str> = events.iter().map(|event| &*event.action).collect();
    let exported = ["training_key.export", "training_key.export_end"];
    assert_eq!(actions[1..], exported);
    let events = trail(&organization, &codes[0].key_id).await;
    for (event, action) in events.iter().zip(["reveal", "look_up", "revoke"]) {
        assert_eq!(event.action, format!("training_key.{action}"));
        assert!(event.details_json.contains(&profile.profile_id));
    }
    stack.finish().await;
}

async fn add(
    organization: &Organization<'_>,
    request_id: &str,
    profile_id: &str,
    codes: &[&str],
    only_good: bool,
) -> AddOwnSubscriptionKeysResponse {
    let request = AddOwnSubscriptionKeysRequest {
        request_id: request_id.to_owned(),
        profile_id: profile_id.to_owned(),
        codes: codes.iter().map(ToString::to_string).collect(),
        only_good,
        terms: Some(uses(2)),
    };
    let mut keys = organization.admin().subscription_keys();
    let answer = keys.add_own_subscription_keys(request).await;
    answer.expect("an answer").into_inner()
}

#[tokio::test]
async fn codes_of_ones_own_are_added_all_or_the_good_ones_and_bad_lines_are_named() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let profile_id = organization.profile().await.profile_id;
    let own = |text: &str| format!("{text}-{}", &new_id()[24..]);
    let [first, second, third] = [own("autumn"), own("winter"), own("spring")];
    let made = add(&organization, &new_id(), &profile_id, &[&first], false).await;
    assert_eq!((made.added.len(), made.problems.len()), (1, 0));

    let upper = second.to_uppercase();
    let lines = [&*second, "a", &*upper, &*first];
    let refused = add(&organization, &new_id(), &profile_id, &lines, false).await;
    assert!(refused.added.is_empty(), "all or none");
    // None is looked up: whether others have the fourth is not told.
    let named: Vec<(i32, OwnCodeFault, i32)> = refused
        .problems
        .iter()
        .map(|one| (one.line, one.fault(), one.first_line))
        .collect();
    let expected = [
        (2, OwnCodeFault::Unusable, 0),
        (3, OwnCodeFault::Repeated, 1),
    ];
    assert_eq!(named, expected);
    let id = new_id();
    let good = add(
        &organization,
        &id,
        &profile_id,
        &[&second, "a", &third, &first],
        true,
    )
    .await;
    let added: Vec<i32> = good.added.iter().map(|one| one.line).collect();
    assert_eq!((added, good.problems.len()), (vec![1, 3], 2));
    assert_eq!(good.problems[1].fault(), OwnCodeFault::Taken);
    let again = add(
        &organization,
        &id,
        &profile_id,
        &[&second, "a", &third, &first],
        true,
    )
    .await;
    assert_eq!(again.added, good.added, "the same keys");
    assert_eq!(keys_of(&organization, &profile_id).await.len(), 3);

    let key = good.added[1].key.clone().expect("a key");
    assert_eq!(key.kind(), KeyKind::Subscription);
    assert_eq!(key.subscription_terms, Some(uses(2)));
    assert!(!key.masked_code.contains(&third[3..]));
    organization.revoke(&[&key.key_id]).await;
    let freed = add(&organization, &new_id(), &profile_id, &[&third], false).await;
    assert_eq!(freed.added.len(), 1, "a revoked key gives its code up");
    let student = organization.student().await.student_id;
    let redeemed = redeem(&stack, &student, &second.to_uppercase()).await;
    let redeemed = redeemed.expect("assigned").into_inner();
    assert!(redeemed.subscription_assignment.is_some());
    stack.finish().await;
}

#[tokio::test]
async fn an_own_code_that_is_easy_to_guess_draws_a_warning() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let profile_id = organization.profile().await.profile_id;
    let made = add(&organization, &new_id(), &profile_id, &["123456"], false).await;
    let reasons: Vec<WarningReason> = made.warnings.iter().map(Warning::reason).collect();
    assert_eq!(reasons, [WarningReason::CodeGuessable]);
    stack.finish().await;
}

#[tokio::test]
async fn a_profile_is_no_class_and_no_pool() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let profile_id = organization.profile().await.profile_id;
    let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
    let admin = organization.admin();
    let of_class = GenerateTrainingKeysRequest {
        request_id: new_id(),
        class_id: profile_id.clone(),
        count: 1,
        omit_keys: false,
    };
    let answer = admin.training_keys().generate_training_keys(of_class).await;
    refused(answer, ErrorReason::ClassNotFound);
    let of_pool = GeneratePoolKeysRequest {
        request_id: new_id(),
        pool_id: profile_id.clone(),
        count: 1,
        omit_keys: false,
    };
    let answer = admin.key_pools().generate_pool_keys(of_pool).await;
    refused(answer, ErrorReason::KeyPoolNotFound);
    for stranger in [pool_id, new_id()] {
        let request = more(&stranger, 1, None);
        let mut keys = admin.subscription_keys();
        let answer = keys.generate_subscription_keys(request).await;
        refused(answer, ErrorReason::SubscriptionProfileNotFound);
    }
    organization
        .subscription_keys(&profile_id, 1, uses(1))
        .await;
    let request = ListTrainingKeysRequest {
        pool_id: profile_id,
        ..ListTrainingKeysRequest::default()
    };
    let listed = admin.training_keys().list_training_keys(request).await;
    assert!(listed.expect("none").into_inner().keys.is_empty());
    stack.finish().await;
}

async fn put_copies(stack: &Stack, copies: &[&ProfileCopy]) -> PutProfilesResponse {
    let request = PutProfilesRequest {
        profiles: copies.iter().map(|copy| (*copy).clone()).collect(),
    };
    let mut keys = stack.enrollment_service().key_usage();
    let put = keys.put_profiles(request).await;
    put.expect("put").into_inner()
}

#[tokio::test]
async fn of_copies_of_a_profile_the_newest_is_kept_and_what_stands_in_the_way_is_told() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let version = |version, name: &str| ProfileCopy {
        profile_id: "0190a0b0-c0d0-7000-8000-000000000001".to_owned(),
        organization_id: organization.id.clone(),
        name: name.to_owned(),
        version,
    };
    let [first, second, other] = [version(1, "a"), version(2, "b"), version(2, "c")];
    let held = |held: i64| HeldCopy {
        id: first.profile_id.clone(),
        version: held,
    };
    let put = async |copies: &[&ProfileCopy]| {
        let put = put_copies(&stack, copies).await;
        (put.stored, put.held)
    };
    assert_eq!(put(&[&first]).await, (1, vec![]));
    assert_eq!(put(&[&first]).await, (0, vec![]), "the same");
    assert_eq!(put(&[&second, &first]).await, (1, vec![]), "the newest");
    assert_eq!(put(&[&first]).await, (0, vec![held(2)]));
    assert_eq!(put(&[&other]).await, (0, vec![held(2)]));
    let key = organization
        .subscription_keys(&first.profile_id, 1, uses(1))
        .await;
    let key = get(&organization, &key[0].key_id).await;
    assert_eq!(key.profile_name, "b");
    assert_eq!(put(&[&version(3, "d")]).await, (1, vec![]));
    let key = get(&organization, &key.key_id).await;
    assert_eq!(key.profile_name, "d", "keys name it as it is now");
    let class = ProfileCopy {
        profile_id: organization.pool(PoolDraft::new()).await.pool_id,
        version: 9,
        ..first.clone()
    };
    let (stored, held) = put(&[&class]).await;
    assert_eq!((stored, held.len()), (0, 1), "the id of something else");
    stack.finish_after_untruths().await;
}
