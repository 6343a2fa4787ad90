//! Reasons that are about a key or its code.

use latchkey_proto::enrollment::v1::{
    CancelAssignmentRequest, RecordLaunchRequest, UpdateSubscriptionProfileRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    GeneratePoolKeysRequest, GenerateSubscriptionKeysRequest, GetKeyPoolRequest,
    GetTrainingKeyRequest, LookUpTrainingKeyRequest, RevealEventKeyRequest,
    RevokeTrainingKeysRequest, SetEventKeyRequest, UpdateSubscriptionKeyRequest,
};

use super::Provoked;
use crate::harness::scene::NO_KEYS_CODE;
use crate::harness::subscriptions::uses;
use crate::harness::world::{generated, mask, off, own_code, redeem, redeem_as};
use crate::harness::{ClassDraft, Organization, PoolDraft, Stack, eventually, new_id, now};

pub(super) async fn provoke(provoked: &mut Provoked) {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    codes(provoked, &organization).await;
    enrollment_keys(provoked, &organization).await;
    event_keys(provoked, &organization).await;
    pools(provoked, &organization).await;
    assignments(provoked, &organization).await;
    subscriptions(provoked, &organization).await;
    stack.finish().await;
}

/// The code with its last symbol changed.
fn mistyped(code: &str) -> String {
    let last = if code.ends_with('7') { "8" } else { "7" };
    format!("{}{last}", &code[..code.len() - 1])
}

async fn codes(provoked: &mut Provoked, organization: &Organization<'_>) {
    let (_, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
    let student = organization.student().await.student_id;
    let typed = mistyped(&codes[0].code);
    provoked.keep(
        "redeem",
        ErrorReason::KeyMalformed,
        redeem(organization.stack, &student, &typed).await,
    );
    let look_up = |code: &str| LookUpTrainingKeyRequest {
        code: code.to_owned(),
    };
    let answer = organization
        .manager()
        .training_keys()
        .look_up_training_key(look_up(&typed))
        .await;
    provoked.keep("look up", ErrorReason::KeyMalformed, answer);
    let answer = redeem(organization.stack, &student, NO_KEYS_CODE).await;
    provoked.keep("redeem", ErrorReason::KeyNotFound, answer);
    let answer = organization
        .manager()
        .training_keys()
        .look_up_training_key(look_up(NO_KEYS_CODE))
        .await;
    provoked.keep("look up", ErrorReason::KeyNotFound, answer);
    let request = GetTrainingKeyRequest { key_id: new_id() };
    let answer = organization
        .admin()
        .training_keys()
        .get_training_key(request)
        .await;
    provoked.keep("get", ErrorReason::KeyNotFound, answer);
}

async fn enrollment_keys(provoked: &mut Provoked, organization: &Organization<'_>) {
    let (_, codes) = organization.keyed_class(ClassDraft::new(), 2).await;
    let (first, second) = (
        organization.student().await.student_id,
        organization.student().await.student_id,
    );
    let id = new_id();
    redeem_as(organization.stack, &id, &first, &codes[0].code)
        .await
        .expect("in");
    let answer = redeem(organization.stack, &second, &codes[0].code).await;
    provoked.keep("redeem", ErrorReason::KeyAlreadyRedeemed, answer);
    let answer = redeem_as(organization.stack, &id, &second, &codes[0].code).await;
    provoked.keep("redeem", ErrorReason::RequestIdReused, answer);
    let revoke = RevokeTrainingKeysRequest {
        key_ids: vec![codes[1].key_id.clone()],
        reason: "lost".to_owned(),
    };
    organization
        .manager()
        .training_keys()
        .revoke_training_keys(revoke)
        .await
        .expect("revoked");
    let answer = redeem(organization.stack, &second, &codes[1].code).await;
    provoked.keep("redeem", ErrorReason::KeyRevoked, answer);
}

async fn event_keys(provoked: &mut Provoked, organization: &Organization<'_>) {
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    organization
        .set_event_key(&class.class_id, generated())
        .await;
    let answer = redeem(organization.stack, &student, &code).await;
    provoked.keep("redeem", ErrorReason::CodeReplaced, answer);

    let own = format!("own-{}", new_id().replace('-', ""));
    organization
        .set_event_key(&class.class_id, own_code(&own))
        .await;
    let other = organization.class(ClassDraft::new()).await;
    let reveal = |class_id: &str| RevealEventKeyRequest {
        class_id: class_id.to_owned(),
    };
    let answer = organization
        .admin()
        .training_keys()
        .reveal_event_key(reveal(&other.class_id))
        .await;
    provoked.keep(
        "reveal the event key of a class that has none",
        ErrorReason::KeyNotFound,
        answer,
    );
    let set = SetEventKeyRequest {
        request_id: new_id(),
        class_id: other.class_id.clone(),
        change: Some(own_code(&own.to_uppercase())),
        etag: String::new(),
    };
    let answer = organization
        .admin()
        .training_keys()
        .set_event_key(set)
        .await;
    provoked.keep("set an event key", ErrorReason::CodeTaken, answer);
    let draft = ClassDraft::new().change(|request| request.event_key = Some(own_code(&own)));
    let answer = organization
        .admin()
        .classes()
        .create_class(draft.request(&organization.id))
        .await;
    provoked.keep("create a class", ErrorReason::CodeTaken, answer);

    organization.set_event_key(&class.class_id, off()).await;
    let answer = redeem(organization.stack, &student, &own).await;
    provoked.keep(
        "redeem an event key that is off",
        ErrorReason::KeyRevoked,
        answer,
    );
    let answer = organization
        .admin()
        .training_keys()
        .reveal_event_key(reveal(&class.class_id))
        .await;
    provoked.keep(
        "reveal an event key that is off",
        ErrorReason::KeyRevoked,
        answer,
    );
}

async fn pools(provoked: &mut Provoked, organization: &Organization<'_>) {
    let mut pools = organization.admin().key_pools();
    let request = GetKeyPoolRequest { pool_id: new_id() };
    let answer = pools.get_key_pool(request).await;
    provoked.keep("get a pool", ErrorReason::KeyPoolNotFound, answer);
    let days = chrono::TimeDelta::days;
    let expired = PoolDraft::new().dates(now() - days(2), now() - days(1));
    let request = GeneratePoolKeysRequest {
        request_id: new_id(),
        pool_id: organization.pool(expired).await.pool_id,
        count: 1,
        omit_keys: false,
    };
    let answer = pools.generate_pool_keys(request).await;
    let soon = PoolDraft::new().dates(now() + days(1), now() + days(2));
    let pool_id = organization.pool(soon).await.pool_id;
    let code = organization.pool_keys(&pool_id, 1).await.remove(0).code;
    let student = organization.student().await.student_id;
    let early = redeem(organization.stack, &student, &code).await;
    provoked.keep(
        "redeem the key of a pool",
        ErrorReason::WindowNotOpen,
        early,
    );
    provoked.keep(
        "generate for a pool that has expired",
        ErrorReason::WindowClosed,
        answer,
    );
}

async fn assignments(provoked: &mut Provoked, organization: &Organization<'_>) {
    let stack = organization.stack;
    let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
    let student = organization.student().await.student_id;
    let mut assignments = organization.manager().assignments();
    let cancel = |assignment_id: &str| CancelAssignmentRequest {
        assignment_id: assignment_id.to_owned(),
        reason: String::new(),
    };
    let answer = assignments.cancel_assignment(cancel(&new_id())).await;
    provoked.keep("cancel", ErrorReason::AssignmentNotFound, answer);
    let launch = async |assignment_id: &str| {
        let assignment_id = assignment_id.to_owned();
        let request = RecordLaunchRequest { assignment_id };
        stack.platform().assignments().record_launch(request).await
    };
    let launched = organization.assign(&student, &pool_id).await.assignment_id;
    launch(&launched).await.expect("launched");
    let answer = assignments.cancel_assignment(cancel(&launched)).await;
    provoked.keep("cancel", ErrorReason::AssignmentLaunched, answer);
    let given_up = organization.assign(&student, &pool_id).await.assignment_id;
    let answer = assignments.cancel_assignment(cancel(&given_up)).await;
    answer.expect("cancelled");
    provoked.keep(
        "launch",
        ErrorReason::AssignmentCancelled,
        launch(&given_up).await,
    );
}

async fn subscriptions(provoked: &mut Provoked, organization: &Organization<'_>) {
    let stack = organization.stack;
    let mut keys = organization.admin().subscription_keys();
    let request = GenerateSubscriptionKeysRequest {
        request_id: new_id(),
        profile_id: new_id(),
        count: 1,
        ..GenerateSubscriptionKeysRequest::default()
    };
    let answer = keys.generate_subscription_keys(request).await;
    provoked.keep(
        "generate for a profile that is not there",
        ErrorReason::SubscriptionProfileNotFound,
        answer,
    );
    let profile_id = organization.profile().await.profile_id;
    let key = organization
        .subscription_keys(&profile_id, 1, uses(3))
        .await
        .remove(0);
    let students = organization.students(3).await;
    for student in &students[..2] {
        redeem(stack, student, &key.code).await.expect("assigned");
    }
    eventually("both uses are told", async || {
        let key_id = key.key_id.clone();
        let mut keys = organization.admin().training_keys();
        let found = keys
            .get_training_key(GetTrainingKeyRequest { key_id })
            .await;
        let found = found.expect("the key").into_inner().key;
        match found.expect("a key").use_count {
            2 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    let request = UpdateSubscriptionKeyRequest {
        key_id: key.key_id.clone(),
        update_mask: mask(&["max_uses"]),
        terms: Some(uses(1)),
        ..UpdateSubscriptionKeyRequest::default()
    };
    let answer = keys.update_subscription_key(request).await;
    provoked.keep(
        "lower the limit of a subscription key",
        ErrorReason::MaxUsesBelowUses,
        answer,
    );
    let request = UpdateSubscriptionProfileRequest {
        profile_id,
        update_mask: mask(&["enabled"]),
        enabled: false,
        ..UpdateSubscriptionProfileRequest::default()
    };
    let mut profiles = organization.admin().profiles();
    let disabled = profiles.update_subscription_profile(request).await;
    disabled.expect("disabled");
    let answer = redeem(stack, &students[2], &key.code).await;
    provoked.keep("redeem", ErrorReason::SubscriptionProfileDisabled, answer);
}
