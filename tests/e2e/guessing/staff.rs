//! Staff, who look codes up and choose texts for event keys.

use latchkey_proto::enrollment::v1::CreateClassResponse;
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    AddOwnPoolKeysRequest, AddOwnSubscriptionKeysRequest, EventKeyChange, LookUpTrainingKeyRequest,
    LookUpTrainingKeyResponse, SetEventKeyRequest, SetEventKeyResponse,
};
use latchkey_service_kit::identity::Role;
use tonic::{Response, Status};

use super::{mistyped, tight, wait_of};
use crate::harness::scene::NO_KEYS_CODE;
use crate::harness::world::{generated, own_code};
use crate::harness::{
    Caller, ClassDraft, Options, Organization, PoolDraft, Stack, new_id, refused,
};

pub(super) async fn stack_with(keys: &'static str) -> Stack {
    let options = Options {
        keys,
        ..Options::default()
    };
    Stack::with(options).await
}

pub(super) async fn look_up(
    caller: &Caller,
    code: &str,
) -> Result<Response<LookUpTrainingKeyResponse>, Status> {
    let request = LookUpTrainingKeyRequest {
        code: code.to_owned(),
    };
    caller.training_keys().look_up_training_key(request).await
}

fn setting(class_id: &str, change: EventKeyChange) -> SetEventKeyRequest {
    SetEventKeyRequest {
        request_id: new_id(),
        class_id: class_id.to_owned(),
        change: Some(change),
        etag: String::new(),
    }
}

async fn set(
    caller: &Caller,
    request: SetEventKeyRequest,
) -> Result<Response<SetEventKeyResponse>, Status> {
    caller.training_keys().set_event_key(request).await
}

#[tokio::test]
async fn who_looks_up_codes_that_no_key_has_is_asked_to_wait_and_colleagues_are_not() {
    let stack = stack_with(tight(&["caller"])).await;
    let organization = Organization::new(&stack).await;
    let (_, codes) = organization.keyed_class(ClassDraft::new(), 1).await;
    let code = &codes[0].code;
    let manager = |subject| stack.caller(Role::OperationsManager, subject, Some(&organization.id));
    let (guesser, colleague) = (manager("gustav"), manager("clara"));
    for _ in 0..3 {
        refused(
            look_up(&guesser, &mistyped(code)).await,
            ErrorReason::KeyMalformed,
        );
    }
    look_up(&guesser, code).await.expect("found");
    for _ in 0..2 {
        refused(
            look_up(&guesser, NO_KEYS_CODE).await,
            ErrorReason::KeyNotFound,
        );
    }
    wait_of(look_up(&guesser, code).await);
    look_up(&colleague, code).await.expect("found");
    stack.finish().await;
}

#[tokio::test]
async fn all_of_an_organization_share_a_limit_when_they_look_codes_up() {
    let stack = stack_with(tight(&["organization"])).await;
    let (organization, beside) = (
        Organization::new(&stack).await,
        Organization::new(&stack).await,
    );
    let manager = |subject| stack.caller(Role::OperationsManager, subject, Some(&organization.id));
    for guesser in ["gustav", "greta"] {
        refused(
            look_up(&manager(guesser), NO_KEYS_CODE).await,
            ErrorReason::KeyNotFound,
        );
    }
    wait_of(look_up(&manager("clara"), NO_KEYS_CODE).await);
    refused(
        look_up(&beside.manager(), NO_KEYS_CODE).await,
        ErrorReason::KeyNotFound,
    );
    stack.finish().await;
}

#[tokio::test]
async fn own_texts_that_others_have_count_by_either_way_and_nothing_else_of_event_keys_does() {
    let stack = stack_with(tight(&["caller"])).await;
    let organization = Organization::new(&stack).await;
    let taken = format!("taken-{}", new_id().replace('-', ""));
    let class = organization.class(ClassDraft::new()).await;
    let first = setting(&class.class_id, own_code(&taken));
    let guesser = organization.admin();
    set(&guesser, first.clone()).await.expect("set");
    let other = organization.class(ClassDraft::new()).await;
    let create = async || -> Result<Response<CreateClassResponse>, Status> {
        let draft = ClassDraft::new().change(|request| request.event_key = Some(own_code(&taken)));
        let request = draft.request(&organization.id);
        guesser.classes().create_class(request).await
    };
    let guess = set(&guesser, setting(&other.class_id, own_code(&taken))).await;
    refused(guess, ErrorReason::CodeTaken);
    refused(create().await, ErrorReason::CodeTaken);

    let free = format!("free-{}", new_id().replace('-', ""));
    wait_of(set(&guesser, setting(&other.class_id, own_code(&free))).await);
    wait_of(create().await);
    // What was done is told again; a generated code is no guess; a colleague goes on.
    set(&guesser, first).await.expect("set, as before");
    let generated = setting(&other.class_id, generated());
    set(&guesser, generated).await.expect("set");
    let colleague = setting(&other.class_id, own_code(&free));
    set(&organization.manager(), colleague).await.expect("set");
    stack.finish().await;
}

#[tokio::test]
async fn each_taken_line_counts_whether_codes_are_added_to_a_pool_or_to_a_profile() {
    let stack = stack_with(tight(&["caller"])).await;
    let organization = Organization::new(&stack).await;
    let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
    let profile_id = organization.profile().await.profile_id;
    let own = |text: &str| format!("{text}-{}", new_id().replace('-', ""));
    let (taken, free) = (own("taken"), own("free"));
    let to_pool = |code: &str| AddOwnPoolKeysRequest {
        request_id: new_id(),
        pool_id: pool_id.clone(),
        codes: vec![code.to_owned()],
        only_good: true,
    };
    let to_profile = |code: &str| AddOwnSubscriptionKeysRequest {
        request_id: new_id(),
        profile_id: profile_id.clone(),
        codes: vec![code.to_owned()],
        only_good: true,
        terms: None,
    };
    let guesser = organization.admin();
    let add = async |request: AddOwnSubscriptionKeysRequest| {
        let mut keys = guesser.subscription_keys();
        keys.add_own_subscription_keys(request).await
    };
    let first = to_profile(&taken);
    let made = add(first.clone()).await.expect("added").into_inner();
    let line = made.added.len();
    let guess = add(to_profile(&taken)).await.expect("an answer");
    assert_eq!((line, guess.into_inner().problems.len()), (1, 1));
    let mut pools = guesser.key_pools();
    let guess = pools.add_own_pool_keys(to_pool(&taken)).await;
    assert_eq!(guess.expect("an answer").into_inner().problems.len(), 1);

    wait_of(add(to_profile(&free)).await);
    wait_of(pools.add_own_pool_keys(to_pool(&free)).await);
    // What was done is told again; a colleague goes on.
    let again = add(first).await.expect("added, as before").into_inner();
    assert_eq!(again.added, made.added);
    let mut colleague = organization.manager().subscription_keys();
    let added = colleague.add_own_subscription_keys(to_profile(&free)).await;
    assert_eq!(added.expect("added").into_inner().added.len(), 1);
    stack.finish().await;
}
