//! Lists of codes of one's own tell which of them others have: what is told for nothing is paid for.

use chrono::TimeDelta;
use latchkey_proto::audit::v1::{AuditEvent, ListAuditEventsRequest};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{AddOwnPoolKeysRequest, AddOwnPoolKeysResponse, OwnCodeFault};
use tonic::{Response, Status};

use super::staff::stack_with;
use super::{tight, wait_of};
use crate::harness::{Caller, Options, Organization, PoolDraft, Stack, new_id, now, refused};

fn own(text: &str) -> String {
    format!("{text}-{}", new_id().replace('-', ""))
}

fn list(pool_id: &str, codes: &[String], only_good: bool) -> AddOwnPoolKeysRequest {
    AddOwnPoolKeysRequest {
        request_id: new_id(),
        pool_id: pool_id.to_owned(),
        codes: codes.to_vec(),
        only_good,
    }
}

async fn add(
    caller: &Caller,
    request: AddOwnPoolKeysRequest,
) -> Result<Response<AddOwnPoolKeysResponse>, Status> {
    caller.key_pools().add_own_pool_keys(request).await
}

/// What is wrong with each line of a list of which nothing was added.
fn faults(answer: Result<Response<AddOwnPoolKeysResponse>, Status>) -> Vec<(i32, OwnCodeFault)> {
    let answer = answer.expect("an answer").into_inner();
    assert!(answer.added.is_empty(), "{answer:?}");
    let problems = answer.problems.iter();
    problems.map(|one| (one.line, one.fault())).collect()
}

/// As many codes as asked for that keys of a new organization have.
async fn codes_of_others(stack: &Stack, number: usize) -> Vec<String> {
    let others = Organization::new(stack).await;
    let pool_id = others.pool(PoolDraft::new()).await.pool_id;
    let codes: Vec<String> = (0..number).map(|_| own("taken")).collect();
    let added = add(&others.admin(), list(&pool_id, &codes, false)).await;
    assert_eq!(added.expect("added").into_inner().added.len(), number);
    codes
}

/// What the trail of keys has of codes that were tried for the pool.
async fn tried(organization: &Organization<'_>, pool_id: &str) -> Vec<AuditEvent> {
    let request = ListAuditEventsRequest {
        resource_id: pool_id.to_owned(),
        action: "training_key.try_own_codes".to_owned(),
        ..ListAuditEventsRequest::default()
    };
    let mut audit = organization.admin().keys_audit();
    let listed = audit.list_audit_events(request).await;
    listed.expect("events").into_inner().events
}

#[tokio::test]
async fn where_nothing_is_added_every_code_that_was_looked_up_counts_and_a_row_tells_of_it() {
    let stack = stack_with(tight(&["caller"])).await;
    let organization = Organization::new(&stack).await;
    let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
    let [of_others] = &codes_of_others(&stack, 1).await[..] else {
        panic!("one")
    };
    let guesser = organization.admin();
    let codes = [own("free"), of_others.clone()];
    let answer = add(&guesser, list(&pool_id, &codes, false)).await;
    assert_eq!(faults(answer), [(2, OwnCodeFault::Taken)]);
    wait_of(add(&guesser, list(&pool_id, &codes[..1], false)).await);
    let rows = tried(&organization, &pool_id).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0].resource_type, "key_pool");
    assert_eq!(rows[0].details_json, r#"{"looked_up":2,"taken":1}"#);
    stack.finish().await;
}

#[tokio::test]
async fn a_list_that_is_bad_by_itself_tells_nothing_of_the_codes_of_others() {
    let stack = stack_with(tight(&["caller"])).await;
    let organization = Organization::new(&stack).await;
    let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
    let of_others = codes_of_others(&stack, 1).await.remove(0);
    let guesser = organization.admin();
    for _ in 0..3 {
        let codes = [of_others.clone(), "a".to_owned(), of_others.to_uppercase()];
        let answer = add(&guesser, list(&pool_id, &codes, false)).await;
        let expected = [(2, OwnCodeFault::Unusable), (3, OwnCodeFault::Repeated)];
        assert_eq!(faults(answer), expected);
    }
    assert!(tried(&organization, &pool_id).await.is_empty());
    // Nothing was looked up, so nothing counts: both guesses are left.
    for _ in 0..2 {
        let answer = add(
            &guesser,
            list(&pool_id, std::slice::from_ref(&of_others), true),
        )
        .await;
        assert_eq!(faults(answer), [(1, OwnCodeFault::Taken)]);
    }
    wait_of(add(&guesser, list(&pool_id, &[own("free")], false)).await);
    assert_eq!(tried(&organization, &pool_id).await.len(), 2);
    stack.finish().await;
}

#[tokio::test]
async fn where_no_key_can_be_made_it_is_not_told_which_codes_others_have() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let (start, expiry) = (now() - TimeDelta::days(2), now() - TimeDelta::days(1));
    let over = PoolDraft::new().dates(start, expiry);
    let pool_id = organization.pool(over).await.pool_id;
    let of_others = codes_of_others(&stack, 1).await.remove(0);
    for code in [of_others, own("free")] {
        let answer = add(&organization.admin(), list(&pool_id, &[code], true)).await;
        refused(answer, ErrorReason::WindowClosed);
    }
    stack.finish().await;
}

#[tokio::test]
async fn a_list_of_more_than_a_hundred_codes_of_others_counts_although_it_is_refused() {
    let options = Options {
        keys: "[guessing]\ncaller_burst = 100\ncaller_refill_ms = 3600000",
        ..Options::default()
    };
    let stack = Stack::with(options).await;
    let organization = Organization::new(&stack).await;
    let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
    let of_others = codes_of_others(&stack, 101).await;
    let guesser = organization.admin();
    let answer = add(&guesser, list(&pool_id, &of_others, true)).await;
    refused(answer, ErrorReason::CodeTaken);
    wait_of(add(&guesser, list(&pool_id, &[own("free")], true)).await);
    let rows = tried(&organization, &pool_id).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0].details_json, r#"{"looked_up":101,"taken":101}"#);
    stack.finish().await;
}

#[tokio::test]
async fn an_answer_that_is_told_again_is_no_guess() {
    let stack = stack_with(tight(&["caller"])).await;
    let organization = Organization::new(&stack).await;
    let pool_id = organization.pool(PoolDraft::new()).await.pool_id;
    let of_others = codes_of_others(&stack, 1).await.remove(0);
    let guesser = organization.admin();
    let request = list(&pool_id, &[of_others, own("free")], true);
    for _ in 0..4 {
        let answer = add(&guesser, request.clone()).await.expect("an answer");
        let answer = answer.into_inner();
        assert_eq!((answer.added.len(), answer.problems.len()), (1, 1));
    }
    add(&guesser, list(&pool_id, &[own("free")], true))
        .await
        .expect("one guess is left");
    stack.finish().await;
}
