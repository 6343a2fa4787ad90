//! Adding keys with codes of one's own to a pool or a subscription profile: one, or many at once.

use chrono::{DateTime, Utc};
use latchkey_service_kit::attempts::Method;
use latchkey_service_kit::database::{Transaction, begin};
use latchkey_service_kit::ids::os_random;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::admission::{admit, check_terms};
use super::guesses::{ADD_OWN_POOL_KEYS, ADD_OWN_SUBSCRIPTION_KEYS};
use super::held_keyring::Issuing;
use super::{App, Call, Error, Once, settled};
use crate::domain::audit::{Action, Deed};
use crate::domain::generation::{Batch, ascending};
use crate::domain::grant::Grant;
use crate::domain::key::{KeyKind, TrainingKey};
use crate::domain::keyring::CodePlace;
use crate::domain::own_codes::{Candidate, Fault, Line, Problem, sift};
use crate::domain::refusal::Refusal;
use crate::domain::target::Target;
use crate::store::codes::{self, NewCode, NewCodes, Wanted};
use crate::store::grants::{self, Admission};
use crate::store::training_keys::{self, NewKeys};
use crate::store::{audit, batches};

/// The most codes that may be taken before no more is looked at: so many wrong guesses a caller has.
const MOST_TAKEN: usize = 100;

/// Asks for keys with one's own codes.
#[derive(Debug)]
pub struct AddOwnKeys {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// The pool or the profile.
    pub target: Target,
    /// The codes.
    pub lines: Vec<Line>,
    /// The codes as they were given, for recognising the request when it comes again.
    pub texts: zeroize::Zeroizing<String>,
    /// Whether the good ones are added although others are not.
    pub only_good: bool,
}

/// What became of the lines.
#[derive(Debug)]
pub struct AddedKeys {
    /// The keys that were added, each with its line, in the order of the lines; none if some lines were bad and only all
    /// were to be added.
    pub keys: Vec<(usize, TrainingKey)>,
    /// What is wrong with the others, in the order of the lines.
    pub problems: Vec<Problem>,
    /// The lines that were added and are easy to guess.
    pub guessable: Vec<usize>,
}

/// What is recorded of a request that added keys.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Added {
    keys: Vec<(usize, Uuid)>,
    problems: Vec<Problem>,
    guessable: Vec<usize>,
}

impl AddOwnKeys {
    /// The method by which they are added. Keys of classes have no codes of one's own.
    fn method(&self) -> Method {
        match self.target {
            Target::Class(_) | Target::Pool(_) => ADD_OWN_POOL_KEYS,
            Target::Profile(..) => ADD_OWN_SUBSCRIPTION_KEYS,
        }
    }
}

/// Adds keys with these codes to a pool or a profile. The same request again, if it added some, gives the same keys and adds
/// none.
///
/// Refused with `PoolNotFound`, `ProfileNotFound`, `PoolExpired` or `RequestIdReused`, and when the time of a key's terms is
/// over; and with none of them after too many wrong guesses: each code that another key has is one.
pub async fn add_own_keys(
    app: &App,
    call: &Call,
    command: &AddOwnKeys,
) -> Result<AddedKeys, Error> {
    let added = settled(|| attempt(app, call, command)).await?;
    let taken = |problem: &&Problem| problem.fault == Fault::Taken;
    app.count_guesses(
        call,
        command.method(),
        added.problems.iter().filter(taken).count(),
    );
    Ok(added)
}

async fn attempt(app: &App, call: &Call, command: &AddOwnKeys) -> Result<AddedKeys, Error> {
    let method = command.method();
    let (kind, id) = (command.target.kind(), command.target.id());
    let terms = command.target.described_terms().to_string();
    let once = Once {
        request_id: command.request_id,
        method: method.name,
        about: id,
        content: &[
            command.texts.as_bytes(),
            &[u8::from(command.only_good)],
            terms.as_bytes(),
        ],
    };
    let issuing = app.keyring.issuing(&app.pool).await?;
    let mut transaction = begin(&app.pool).await?;
    let admission = Admission::Within(&call.scope);
    let grant = grants::lock(&mut transaction, kind, id, admission).await?;
    let grant = grant.ok_or(Refusal::not_found(kind, id))?;
    if let Some(added) = once.earlier(&mut transaction, issuing.keyring()).await? {
        let answer = answer(&mut transaction, call, added).await?;
        transaction.commit().await?;
        return Ok(answer);
    }
    app.may_guess(call, method)?;
    issuing.hold(&mut transaction).await?;
    let now = batches::clock(&mut transaction).await?;
    check_terms(command.target, now)?;
    let (mut candidates, mut problems) = sift(&command.lines);
    let taken = taken(&mut transaction, &issuing, &candidates, now).await?;
    candidates.retain(|one| !taken.contains(&one.line));
    problems.extend(taken.iter().map(|line| Problem {
        line: *line,
        fault: Fault::Taken,
    }));
    problems.sort_unstable_by_key(|problem| problem.line);
    let nothing = candidates.is_empty() || (!problems.is_empty() && !command.only_good);
    if nothing {
        transaction.rollback().await?;
        return Ok(AddedKeys {
            keys: Vec::new(),
            problems,
            guessable: Vec::new(),
        });
    }
    let scene = Scene {
        app,
        call,
        command,
        issuing: &issuing,
        grant: &grant,
        now,
    };
    let added = scene.add(&mut transaction, &candidates, problems).await?;
    once.record(&mut transaction, issuing.keys()?, &grant, now, &added)
        .await?;
    let answer = answer(&mut transaction, call, added).await?;
    transaction.commit().await?;
    Ok(answer)
}

/// The lines among `candidates` whose code another key has. Codes that open nothing any more are retired first.
async fn taken(
    transaction: &mut Transaction,
    issuing: &Issuing,
    candidates: &[Candidate<'_>],
    now: DateTime<Utc>,
) -> Result<Vec<usize>, Error> {
    let of_line = |one: &Candidate<'_>| {
        let line = one.line;
        let hashes = issuing.keyring().hashes(one.code.canonical());
        let wanted = hashes.map(|hashed| Wanted {
            line,
            hash: hashed.hash,
        });
        wanted.collect::<Vec<_>>()
    };
    let wanted: Vec<Wanted> = candidates.iter().flat_map(of_line).collect();
    let taken = codes::make_room_for_many(transaction, &wanted, now).await?;
    if taken.len() > MOST_TAKEN {
        return Err(Refusal::CodeTaken.into());
    }
    Ok(taken)
}

/// The keys that were added, as they are now.
async fn answer(
    transaction: &mut Transaction,
    call: &Call,
    added: Added,
) -> Result<AddedKeys, Error> {
    let key_ids: Vec<Uuid> = added.keys.iter().map(|(_, key_id)| *key_id).collect();
    let views = training_keys::views(transaction, &key_ids, &call.scope).await?;
    // The newest first; ids ascend with the lines.
    let mut views = views.into_iter().rev();
    let keys = added.keys.into_iter().filter_map(|(line, key_id)| {
        let key = views.find(|key| key.key_id == key_id)?;
        Some((line, key))
    });
    Ok(AddedKeys {
        keys: keys.collect(),
        problems: added.problems,
        guessable: added.guessable,
    })
}

/// What keys are added with. The grant is locked.
struct Scene<'s> {
    app: &'s App,
    call: &'s Call,
    command: &'s AddOwnKeys,
    issuing: &'s Issuing,
    grant: &'s Grant,
    now: DateTime<Utc>,
}

impl Scene<'_> {
    async fn add(
        &self,
        transaction: &mut Transaction,
        candidates: &[Candidate<'_>],
        problems: Vec<Problem>,
    ) -> Result<Added, Error> {
        let count = i32::try_from(candidates.len()).map_err(Error::internal)?;
        let batch_id = self.command.request_id;
        let summary = admit(transaction, self.grant, batch_id, count, self.now).await??;
        let ids = candidates.iter().map(|_| self.app.ids.new_id()).collect();
        let key_ids = ascending(ids, None);
        self.store(transaction, candidates, &key_ids).await?;
        let mut batch = Batch::of(batch_id, count, self.grant, summary);
        batch.add(&key_ids, self.now);
        batches::insert(transaction, &batch, self.grant).await?;
        let mut details = json!({ "batch_id": batch_id, "count": count, "own_codes": true });
        if self.command.target.terms().is_some() {
            details["terms"] = self.command.target.described_terms();
        }
        let deed = Deed {
            action: Action::Generate(self.grant.kind),
            organization_id: self.grant.organization_id,
            resource_id: self.grant.grant_id,
            details,
        };
        audit::insert(transaction, self.call.author(), &self.app.numbered([deed])).await?;
        let lines = candidates.iter().map(|one| one.line);
        let guessable = candidates
            .iter()
            .filter(|one| one.code.guessable().is_some());
        Ok(Added {
            keys: lines.zip(key_ids).collect(),
            problems,
            guessable: guessable.map(|one| one.line).collect(),
        })
    }

    async fn store(
        &self,
        transaction: &mut Transaction,
        candidates: &[Candidate<'_>],
        key_ids: &[Uuid],
    ) -> Result<(), Error> {
        let keys = self.issuing.keys()?;
        let masked: Vec<String> = candidates.iter().map(|one| one.code.masked()).collect();
        let codes: Vec<NewCode> = {
            let mut random = os_random();
            let new = |(one, key_id): (&Candidate<'_>, &Uuid)| {
                let place = CodePlace {
                    key_id: *key_id,
                    generation: 1,
                };
                NewCode {
                    place,
                    hashed: keys.hash(one.code.canonical()),
                    sealed: keys.seal(place, one.code.expose_text(), &mut random),
                }
            };
            candidates.iter().zip(key_ids).map(new).collect()
        };
        let new = NewKeys {
            kind: KeyKind::generated_for(self.grant.kind),
            own_codes: true,
            grant_id: self.grant.grant_id,
            organization_id: self.grant.organization_id,
            batch_id: self.command.request_id,
            created_at: self.now,
            created_by: &self.call.actor.subject,
            key_ids,
            masked_codes: &masked,
            terms: self.command.target.terms(),
        };
        training_keys::insert(transaction, &new).await?;
        let new = NewCodes {
            organization_id: self.grant.organization_id,
            issued_at: self.now,
            codes: &codes,
        };
        let issued = codes::insert(transaction, &new).await?;
        if usize::try_from(issued).is_ok_and(|issued| issued == codes.len()) {
            Ok(())
        } else {
            // Another key got one of the texts since it was looked for.
            Err(Error::Conflict)
        }
    }
}
