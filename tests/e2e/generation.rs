//! Generation of any size is one call that survives: it tells how far it has come, goes on after a cut wherever it is asked
//! again, and never makes a key too many.

mod cuts;
mod room;

use std::time::Duration;

use latchkey::generation::{Generated, whole};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    GenerateTrainingKeysRequest, GenerateTrainingKeysResponse, TrainingKey,
};
use tonic::{Response, Status, Streaming};
use uuid::Uuid;

use crate::harness::memory::peak_kib;
use crate::harness::{
    Caller, ClassDraft, Options, Organization, Stack, eventually, insist, new_id, reason_of,
};

/// How many keys are made by one transaction, and how many are told by one message.
const CHUNK: i32 = 2_000;
const TOLD_AT_ONCE: usize = 1_000;

/// What makes nothing in so long has ended: a chunk takes a fraction of it.
const PAUSE: Duration = Duration::from_secs(1);

/// More than a reader who stops reading leaves to be made: some megabytes of messages wait on the way.
const MANY: i32 = 20_000;

/// A new class with so many seats, in an organization of its own; and an administrator of that.
async fn class_of(stack: &Stack, maximum: i32) -> (Organization<'_>, Caller, String) {
    let organization = Organization::new(stack).await;
    let class = organization.class(ClassDraft::new().maximum(maximum)).await;
    let admin = organization.admin();
    (organization, admin, class.class_id)
}

fn request(class_id: &str, count: i32) -> GenerateTrainingKeysRequest {
    GenerateTrainingKeysRequest {
        request_id: new_id(),
        class_id: class_id.to_owned(),
        count,
        omit_keys: false,
    }
}

async fn begin(
    caller: &Caller,
    request: &GenerateTrainingKeysRequest,
) -> Result<Response<Streaming<GenerateTrainingKeysResponse>>, Status> {
    let mut keys = caller.training_keys();
    keys.generate_training_keys(request.clone()).await
}

/// A generation that begins, though at first the service may have no time for it.
async fn begun(
    caller: &Caller,
    request: &GenerateTrainingKeysRequest,
) -> Streaming<GenerateTrainingKeysResponse> {
    insist(async || begin(caller, request).await).await
}

async fn generate(
    caller: &Caller,
    request: &GenerateTrainingKeysRequest,
) -> Result<Response<Generated>, Status> {
    whole(begin(caller, request).await).await
}

/// Asks until all keys are there, as a good client does.
async fn persist(caller: &Caller, request: &GenerateTrainingKeysRequest) -> Generated {
    eventually("all keys", async || {
        let answer = generate(caller, request).await;
        answer
            .map(Response::into_inner)
            .map_err(|status| format!("{status:?}"))
    })
    .await
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    made: i32,
    /// How many keys there really are.
    keys: i64,
    codes: i64,
    /// Whether room is kept for the rest.
    reserved: bool,
}

async fn state(stack: &Stack, request: &GenerateTrainingKeysRequest) -> State {
    let batch: Uuid = request.request_id.parse().expect("an id");
    let statement = "
        SELECT b.made, b.made < b.wanted AND b.reserved_until > now(),
            (SELECT count(*) FROM keys.training_keys k WHERE k.batch_id = b.batch_id),
            (SELECT count(DISTINCT c.hash) FROM keys.training_keys k JOIN keys.codes c USING (key_id)
             WHERE k.batch_id = b.batch_id)
        FROM keys.batches b WHERE b.batch_id = $1";
    let row: (i32, bool, i64, i64) = sqlx::query_as(statement)
        .bind(batch)
        .fetch_one(&mut stack.database().await)
        .await
        .expect("a batch");
    State {
        made: row.0,
        keys: row.2,
        codes: row.3,
        reserved: row.1,
    }
}

/// All keys are there, and not one more.
async fn is_whole(stack: &Stack, request: &GenerateTrainingKeysRequest) {
    let count = i64::from(request.count);
    let expected = State {
        made: request.count,
        keys: count,
        codes: count,
        reserved: false,
    };
    assert_eq!(state(stack, request).await, expected);
}

/// Begins, reads the first message and leaves; how far it has come once the work has ended.
async fn cut_off(stack: &Stack, caller: &Caller, request: &GenerateTrainingKeysRequest) -> State {
    let mut stream = begun(caller, request).await;
    stream.message().await.expect("a message").expect("keys");
    drop(stream);
    at_rest(stack, request).await
}

/// How far a request has come that nobody works on: it stops after the chunk in hand.
async fn at_rest(stack: &Stack, request: &GenerateTrainingKeysRequest) -> State {
    let mut at_rest = state(stack, request).await;
    loop {
        tokio::time::sleep(PAUSE).await;
        let now = state(stack, request).await;
        if now == at_rest {
            break;
        }
        at_rest = now;
    }
    assert!(
        (CHUNK..request.count).contains(&at_rest.made),
        "in the middle: {at_rest:?}"
    );
    assert_eq!(i64::from(at_rest.made), at_rest.keys);
    at_rest
}

fn ids(keys: &[TrainingKey]) -> Vec<&str> {
    keys.iter().map(|key| key.key_id.as_str()).collect()
}

/// Each key once, oldest first.
fn are_distinct(generated: &Generated, count: i32) {
    let ids = ids(&generated.keys);
    assert_eq!(i32::try_from(ids.len()), Ok(count));
    assert!(ids.is_sorted_by(|one, next| one < next), "each once");
}

#[tokio::test]
async fn it_tells_how_far_it_has_come_and_the_same_request_tells_the_same_again() {
    let stack = Stack::shared().await;
    let (_, admin, class_id) = class_of(&stack, 6_000).await;
    let wish = request(&class_id, 5_001);
    let mut stream = begun(&admin, &wish).await;
    let (mut keys, mut generated, mut summaries) = (Vec::new(), 0, Vec::new());
    while let Some(message) = stream.message().await.expect("it goes on") {
        assert!(summaries.is_empty(), "the summary is the end");
        assert!(message.generated >= generated, "it goes forward");
        let chunks = message.generated % CHUNK == 0 || message.generated == wish.count;
        assert!(chunks, "{} keys", message.generated);
        assert_eq!(message.count, wish.count);
        assert!((1..=TOLD_AT_ONCE).contains(&message.keys.len()));
        generated = message.generated;
        keys.extend(message.keys);
        let told = i32::try_from(keys.len()).expect("few");
        assert!(told <= generated, "what is told is stored");
        summaries.extend(message.summary);
    }
    assert_eq!(generated, wish.count);
    assert_eq!(
        (summaries[0].live_keys, summaries[0].maximum_keys),
        (5_001, 6_000)
    );
    let first = Generated {
        generated,
        keys,
        summary: summaries.remove(0),
    };
    are_distinct(&first, wish.count);
    let again = persist(&admin, &wish).await;
    assert_eq!(again.keys, first.keys);
    assert_eq!(again.summary, first.summary);
    let silent = GenerateTrainingKeysRequest {
        omit_keys: true,
        ..wish.clone()
    };
    let mut stream = begun(&admin, &silent).await;
    let only = stream
        .message()
        .await
        .expect("a message")
        .expect("progress");
    assert_eq!((only.generated, only.keys.len()), (wish.count, 0));
    assert_eq!(only.summary, Some(first.summary));
    assert_eq!(stream.message().await.expect("the end"), None);
    is_whole(&stack, &wish).await;
    stack.finish().await;
}

#[tokio::test]
async fn a_hundred_thousand_keys_need_no_more_memory_than_some_thousand() {
    /// Twice a chunk of keys, drawn and on their way, with room for the allocator.
    const MORE_KIB: u64 = 16 * 1024;

    let stack = Stack::own().await;
    let (_, admin, class_id) = class_of(&stack, 200_000).await;
    persist(&admin, &request(&class_id, 3 * CHUNK)).await;
    let keys = &stack.site().keys[0];
    let before = peak_kib(keys);
    let wish = request(&class_id, 100_000);
    let mut stream = begun(&admin, &wish).await;
    let (mut told, mut last) = (0, None);
    while let Some(message) = stream.message().await.expect("it goes on") {
        told += message.keys.len();
        last = message.summary;
    }
    let after = peak_kib(keys);
    println!("peak {before} KiB, then {after} KiB");
    assert_eq!(
        (told, last.expect("a summary").live_keys),
        (100_000, 106_000)
    );
    assert!(after <= before + MORE_KIB, "{before} KiB, then {after} KiB");
    is_whole(&stack, &wish).await;
    stack.finish().await;
}

#[tokio::test]
async fn so_many_large_ones_are_at_work_and_small_ones_always() {
    let stack = Stack::with(Options {
        keys: "[generation]\nmax_at_once = 1",
        ..Options::default()
    })
    .await;
    let (_, admin, class_id) = class_of(&stack, 2 * MANY).await;
    let stream = begin(&admin, &request(&class_id, MANY)).await;
    let second = begin(&admin, &request(&class_id, CHUNK + 1)).await;
    let Err(refusal) = second else {
        panic!("it was not refused")
    };
    assert_eq!(reason_of(&refusal), ErrorReason::Overloaded);
    let small = generate(&admin, &request(&class_id, 3)).await;
    assert_eq!(small.expect("generated").into_inner().keys.len(), 3);
    drop(stream);
    persist(&admin, &request(&class_id, CHUNK + 1)).await;
    stack.finish().await;
}
