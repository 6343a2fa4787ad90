//! Generating keys for a class, a pool or a subscription profile: any number by one request, in chunks that commit one by one.
//!
//! The first transaction admits all of them and makes the first chunk; the request's batch says from then on how many there
//! are. Each chunk looks there under the lock of the grant, so that any process can go on with any request, and
//! several at once make no key too many. While one chunk is stored the next is drawn.

use chrono::{DateTime, Utc};
use latchkey_service_kit::database::{self, Transaction, begin};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::admission::{admit, check_terms};
use super::draw_keys::{Drawn, Issue, draw};
use super::{App, Call, Error, Once, settled};
use crate::domain::audit::{Action, Deed};
use crate::domain::generation::{Batch, CHUNK, Summary};
use crate::domain::grant::{Grant, GrantKind};
use crate::domain::key::TrainingKey;
use crate::domain::refusal::Refusal;
use crate::domain::target::Target;
use crate::store::grants::{self, Admission};
use crate::store::{StoreError, audit, batches};

/// The most keys that are told at once: a message with so many stays far below what a client takes.
const TOLD_AT_ONCE: i32 = 1_000;

/// Asks for keys.
#[derive(Debug, Clone, Copy)]
pub struct GenerateKeys {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// What they are for.
    pub target: Target,
    /// How many, at least 1.
    pub count: i32,
    /// Whether the keys themselves are told, or only how many there are.
    pub telling: bool,
}

/// How far a generation has come.
#[derive(Debug)]
pub struct Progress {
    /// How many keys there are.
    pub generated: i32,
    /// How many there will be.
    pub count: i32,
    /// The next keys, in the order of their ids; each is told once.
    pub keys: Vec<TrainingKey>,
    /// Told last.
    pub summary: Option<Summary>,
}

/// What is recorded of a request: that it began. How far it has come stands in its batch.
#[derive(Debug, Serialize, Deserialize)]
struct Begun {}

/// A generation under way. Whoever follows it takes [`Generation::next`] until that gives nothing more, or stops: then it
/// rests after the chunk in hand, and the same request goes on with it.
#[derive(Debug)]
pub struct Generation {
    app: App,
    call: Call,
    command: GenerateKeys,
    /// As it was when it was last looked at.
    batch: Batch,
    /// How many keys were told.
    told: i32,
    /// The last of these.
    last_told: Uuid,
    /// The next chunk.
    drawing: Option<Drawing>,
    ended: bool,
}

type Drawing = JoinHandle<Result<Drawn, Error>>;

/// What one transaction came to.
struct Made {
    batch: Batch,
    drawing: Option<Drawing>,
}

/// Begins to generate keys, or goes on: never more live ones than a class may have students, those included that other requests
/// have still to make, and for a pool or profile as many as are wanted; and never more than asked for, however often the same
/// request comes.
///
/// Refused with `ClassNotFound`, `PoolNotFound` or `ProfileNotFound`, `RequestIdReused`, `ClassCancelled`, `WindowClosed` or
/// `PoolExpired`, or `KeyLimitExceeded`, and when the time of a key's terms is over: then this call made no key, and a request
/// that was cut off before keeps no room for its missing ones.
pub async fn generate_keys(
    app: &App,
    call: &Call,
    command: GenerateKeys,
) -> Result<Generation, Error> {
    // What to draw. Whether the caller may know of it is found out under the lock.
    let known = batches::find(&mut *app.pool.acquire().await?, command.request_id).await?;
    let made = make(app, call, &command, known.as_ref(), None).await?;
    Ok(Generation {
        app: app.clone(),
        call: call.clone(),
        command,
        batch: made.batch,
        told: 0,
        last_told: Uuid::nil(),
        drawing: made.drawing,
        ended: false,
    })
}

impl Generation {
    /// What there is to tell next; `None` after the summary.
    ///
    /// Refused as [`generate_keys`] when the grant has changed, and fails when the database cannot be reached: what was made
    /// stays in either case.
    pub async fn next(&mut self) -> Result<Option<Progress>, Error> {
        if self.ended {
            return Ok(None);
        }
        if self.told == self.batch.made {
            self.make_more().await?;
        }
        if !self.command.telling {
            self.told = self.batch.made;
        }
        let keys = self.untold().await?;
        self.ended = self.batch.is_whole() && self.told == self.batch.made;
        Ok(Some(Progress {
            generated: self.batch.made,
            count: self.batch.wanted,
            keys,
            summary: self.ended.then(|| self.batch.summary.clone()),
        }))
    }

    /// Makes a chunk, or finds that another call with this request has made some.
    async fn make_more(&mut self) -> Result<(), Error> {
        let before = self.batch.made;
        while self.batch.made == before {
            let ready = self.drawing.take();
            let known = Some(&self.batch);
            let made = make(&self.app, &self.call, &self.command, known, ready).await?;
            self.batch = made.batch;
            self.drawing = made.drawing;
        }
        Ok(())
    }

    /// The next keys that were not told.
    async fn untold(&mut self) -> Result<Vec<TrainingKey>, Error> {
        let limit = (self.batch.made - self.told).min(TOLD_AT_ONCE);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let batch_id = self.batch.batch_id;
        let keys = batches::keys(&self.app.pool, batch_id, self.last_told, limit.into()).await?;
        let Some(last) = keys.last() else {
            return Err(StoreError::bad_row("keys.batches", "made", batch_id).into());
        };
        self.last_told = last.key_id;
        self.told += i32::try_from(keys.len()).unwrap_or(i32::MAX);
        Ok(keys)
    }
}

/// One chunk more of the batch, which was `known` to be so far; `ready` is what was drawn for it.
async fn make(
    app: &App,
    call: &Call,
    command: &GenerateKeys,
    known: Option<&Batch>,
    mut ready: Option<Drawing>,
) -> Result<Made, Error> {
    settled(|| {
        let ready = ready.take();
        async move {
            let missing = known.map_or(command.count, Batch::missing);
            let after = known.map(|batch| batch.last_key_id);
            // Drawn and sealed before the grant is locked, which is then held for the database's work only.
            let drawn = match ready {
                Some(drawing) => drawing.await.map_err(Error::internal)??,
                None => draw(app, command.target.kind(), missing.min(CHUNK), after).await?,
            };
            let next = (missing - drawn.len()).min(CHUNK);
            let (ahead, kind, after) = (app.clone(), command.target.kind(), drawn.last());
            let drawing = (next > 0)
                .then(|| tokio::spawn(async move { draw(&ahead, kind, next, after).await }));
            let (batch, stored) = store(app, call, command, &drawn).await?;
            Ok(Made {
                batch,
                // Drawn in vain if another call with the same request was ahead.
                drawing: drawing.filter(|_| stored),
            })
        }
    })
    .await
}

/// Stores what was drawn, as far as it is missing and admitted; the batch as it is then, and whether anything was stored.
async fn store(
    app: &App,
    call: &Call,
    command: &GenerateKeys,
    drawn: &Drawn,
) -> Result<(Batch, bool), Error> {
    let count = command.count.to_be_bytes();
    let terms = command.target.described_terms().to_string();
    let once = Once {
        request_id: command.request_id,
        method: match command.target.kind() {
            GrantKind::Class => "GenerateTrainingKeys",
            GrantKind::Pool => "GeneratePoolKeys",
            GrantKind::Profile => "GenerateSubscriptionKeys",
        },
        about: command.target.id(),
        content: &[&count, terms.as_bytes()],
    };
    let mut transaction = begin(&app.pool).await?;
    let grant = lock(&mut transaction, call, command).await?;
    let earlier = once
        .earlier::<Begun>(&mut transaction, drawn.issuing.keyring())
        .await?;
    let Some(Begun {}) = earlier else {
        let batch = begin_batch(transaction, app, call, &grant, &once, command, drawn).await?;
        return Ok((batch, true));
    };
    let batch = batches::find(&mut transaction, command.request_id).await?;
    let mut batch = batch
        .ok_or_else(|| StoreError::bad_row("keys.requests", "request_id", command.request_id))?;
    if batch.is_whole() || drawn.is_behind(&batch) {
        transaction.commit().await?;
        return Ok((batch, false));
    }
    let now = database::now(&mut transaction).await?;
    if !batch.may_go_on(&grant, now) {
        let missing = batch.missing();
        match admit(&mut transaction, &grant, batch.batch_id, missing, now).await? {
            Ok(summary) => batch.admitted(&grant, summary),
            Err(refusal) => {
                batches::give_back(&mut transaction, batch.batch_id).await?;
                transaction.commit().await?;
                return Err(refusal.into());
            }
        }
    }
    let issue = issue(call, &grant, command, now);
    let key_ids = drawn
        .store(&mut transaction, &issue, batch.missing())
        .await?;
    batch.add(key_ids, now);
    batches::update(&mut transaction, &batch).await?;
    transaction.commit().await?;
    Ok((batch, true))
}

/// Admits the whole request, makes the first keys, and tells the audit trail: once a request, when it is known who asked for
/// how many, whatever becomes of the process afterwards.
async fn begin_batch(
    mut transaction: Transaction,
    app: &App,
    call: &Call,
    grant: &Grant,
    once: &Once<'_>,
    command: &GenerateKeys,
    drawn: &Drawn,
) -> Result<Batch, Error> {
    let batch_id = command.request_id;
    let now = database::now(&mut transaction).await?;
    check_terms(command.target, now)?;
    let summary = admit(&mut transaction, grant, batch_id, command.count, now).await??;
    let issue = issue(call, grant, command, now);
    let key_ids = drawn.store(&mut transaction, &issue, command.count).await?;
    let mut batch = Batch::of(batch_id, command.count, grant, summary);
    batch.add(key_ids, now);
    batches::insert(&mut transaction, &batch, grant).await?;
    let deed = deed(&batch, grant, command.target);
    audit::insert(&mut transaction, call.author(), &app.numbered([deed])).await?;
    let keys = drawn.issuing.keys()?;
    once.record(&mut transaction, keys, grant, now, &Begun {})
        .await?;
    transaction.commit().await?;
    Ok(batch)
}

async fn lock(
    transaction: &mut Transaction,
    call: &Call,
    command: &GenerateKeys,
) -> Result<Grant, Error> {
    let (kind, id) = (command.target.kind(), command.target.id());
    let grant = grants::lock(transaction, kind, id, Admission::Within(&call.scope)).await?;
    Ok(grant.ok_or(Refusal::not_found(kind, id))?)
}

fn issue<'i>(
    call: &'i Call,
    grant: &'i Grant,
    command: &GenerateKeys,
    now: DateTime<Utc>,
) -> Issue<'i> {
    Issue {
        grant,
        terms: command.target.terms(),
        batch_id: command.request_id,
        created_at: now,
        created_by: &call.actor.subject,
    }
}

fn deed(batch: &Batch, grant: &Grant, target: Target) -> Deed {
    let mut details = json!({
        "batch_id": batch.batch_id,
        "count": batch.wanted,
        "live_keys": batch.summary.live_keys,
        "maximum_keys": batch.summary.maximum_keys,
    });
    if target.terms().is_some() {
        details["terms"] = target.described_terms();
    }
    Deed {
        action: Action::Generate(grant.kind),
        organization_id: grant.organization_id,
        resource_id: grant.grant_id,
        details,
    }
}
