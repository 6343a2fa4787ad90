//! Adding keys with codes of one's own to a pool or a subscription profile: one, or many at once.

use chrono::{DateTime, Utc};
use latchkey_service_kit::attempts::Method;
use latchkey_service_kit::database::{self, Transaction, begin};
use latchkey_service_kit::ids::os_random;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::admission::{admit, check_terms};
use super::guesses::{ADD_OWN_POOL_KEYS, ADD_OWN_SUBSCRIPTION_KEYS};
use super::held_keyring::Issuing;
use super::{App, Call, Error, Once, settled};
use crate::domain::audit::{Action, Deed};
use crate::domain::generation::{Batch, Summary, ascending};
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

/// The most codes of one call that may be taken before it is refused as a whole, and the most wrong guesses that one call
/// counts for: as many as a caller has at once by default, so that who corrects one bad list may send it again.
const MOST_GUESSES: usize = 100;

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

/// How a request ended that was not refused.
#[derive(Debug)]
enum Ending {
    /// Nothing was looked up: it was answered before, or the list itself is bad.
    Unlooked(AddedKeys),
    /// Keys were added.
    Added(AddedKeys),
    /// Codes were looked up and none was added.
    Nothing(Looked),
}

/// What was looked up in vain.
#[derive(Debug)]
struct Looked {
    /// The organization whose pool or profile it was for.
    organization_id: Uuid,
    /// How many codes.
    number: usize,
    /// What is wrong with the lines.
    problems: Vec<Problem>,
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

    /// Whether nothing is added of a list that has these good and bad lines.
    fn adds_nothing(&self, candidates: &[Candidate<'_>], problems: &[Problem]) -> bool {
        candidates.is_empty() || (!problems.is_empty() && !self.only_good)
    }
}

/// Adds keys with these codes to a pool or a profile. The same request again, if it added some, gives the same keys and adds
/// none.
///
/// Refused with `PoolNotFound`, `ProfileNotFound`, `PoolExpired` or `RequestIdReused`, and when the time of a key's terms is
/// over; and with none of them after too many wrong guesses. Each code that another key has is one; where none is added, so is
/// each code that was looked up: that nobody has it was told for nothing.
pub async fn add_own_keys(
    app: &App,
    call: &Call,
    command: &AddOwnKeys,
) -> Result<AddedKeys, Error> {
    let method = command.method();
    match settled(|| attempt(app, call, command)).await? {
        Ending::Unlooked(answer) => Ok(answer),
        Ending::Added(answer) => {
            app.count_guesses(call, method, number_taken(&answer.problems));
            Ok(answer)
        }
        Ending::Nothing(looked) => {
            app.count_guesses(call, method, looked.number.min(MOST_GUESSES));
            record_in_vain(app, call, command, &looked).await?;
            if number_taken(&looked.problems) > MOST_GUESSES {
                return Err(Refusal::CodeTaken.into());
            }
            Ok(none_added(looked.problems))
        }
    }
}

async fn attempt(app: &App, call: &Call, command: &AddOwnKeys) -> Result<Ending, Error> {
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
        return Ok(Ending::Unlooked(answer));
    }
    let (mut candidates, mut problems) = sift(&command.lines);
    if command.adds_nothing(&candidates, &problems) {
        transaction.rollback().await?;
        return Ok(Ending::Unlooked(none_added(problems)));
    }
    app.may_guess(call, method)?;
    issuing.hold(&mut transaction).await?;
    let now = database::now(&mut transaction).await?;
    check_terms(command.target, now)?;
    let scene = Scene {
        app,
        call,
        command,
        issuing: &issuing,
        grant: &grant,
        now,
    };
    // Before a code is looked up: a refusal afterwards would tell for nothing that nobody has them.
    let summary = scene.admit(&mut transaction, candidates.len()).await?;
    let number = candidates.len();
    scene
        .look(&mut transaction, &mut candidates, &mut problems)
        .await?;
    let too_many = number_taken(&problems) > MOST_GUESSES;
    if too_many || command.adds_nothing(&candidates, &problems) {
        transaction.rollback().await?;
        return Ok(Ending::Nothing(Looked {
            organization_id: grant.organization_id,
            number,
            problems,
        }));
    }
    let added = scene
        .add(&mut transaction, &candidates, problems, summary)
        .await?;
    once.record(&mut transaction, issuing.keys()?, &grant, now, &added)
        .await?;
    let answer = answer(&mut transaction, call, added).await?;
    transaction.commit().await?;
    Ok(Ending::Added(answer))
}

/// Leaves in the trail that codes were looked up, how many and how many of them others have; none was added, so nothing else
/// tells of it.
async fn record_in_vain(
    app: &App,
    call: &Call,
    command: &AddOwnKeys,
    looked: &Looked,
) -> Result<(), Error> {
    let deed = Deed {
        action: Action::TryOwnCodes(command.target.kind()),
        organization_id: looked.organization_id,
        resource_id: command.target.id(),
        details: json!({ "looked_up": looked.number, "taken": number_taken(&looked.problems) }),
    };
    let mut transaction = begin(&app.pool).await?;
    audit::insert(&mut transaction, call.author(), &app.numbered([deed])).await?;
    transaction.commit().await?;
    Ok(())
}

fn none_added(problems: Vec<Problem>) -> AddedKeys {
    AddedKeys {
        keys: Vec::new(),
        problems,
        guessable: Vec::new(),
    }
}

fn number_taken(problems: &[Problem]) -> usize {
    let taken = problems
        .iter()
        .filter(|problem| problem.fault == Fault::Taken);
    taken.count()
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
    /// Whether so many keys may be made; refused else.
    async fn admit(&self, transaction: &mut Transaction, count: usize) -> Result<Summary, Error> {
        let count = i32::try_from(count).map_err(Error::internal)?;
        let batch_id = self.command.request_id;
        Ok(admit(transaction, self.grant, batch_id, count, self.now).await??)
    }

    /// Moves the lines whose code another key has from the candidates to the problems. Codes that open nothing any more are
    /// retired first.
    async fn look(
        &self,
        transaction: &mut Transaction,
        candidates: &mut Vec<Candidate<'_>>,
        problems: &mut Vec<Problem>,
    ) -> Result<(), Error> {
        let of_line = |one: &Candidate<'_>| {
            let line = one.line;
            let hashes = self.issuing.keyring().hashes(one.code.canonical());
            let wanted = hashes.map(|hashed| Wanted {
                line,
                hash: hashed.hash,
            });
            wanted.collect::<Vec<_>>()
        };
        let wanted: Vec<Wanted> = candidates.iter().flat_map(of_line).collect();
        let taken = codes::make_room_for_many(transaction, &wanted, self.now).await?;
        candidates.retain(|one| !taken.contains(&one.line));
        problems.extend(taken.into_iter().map(|line| Problem {
            line,
            fault: Fault::Taken,
        }));
        problems.sort_unstable_by_key(|problem| problem.line);
        Ok(())
    }

    async fn add(
        &self,
        transaction: &mut Transaction,
        candidates: &[Candidate<'_>],
        problems: Vec<Problem>,
        summary: Summary,
    ) -> Result<Added, Error> {
        let count = i32::try_from(candidates.len()).map_err(Error::internal)?;
        let batch_id = self.command.request_id;
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
        let taken = number_taken(&problems);
        if taken > 0 {
            details["taken"] = json!(taken);
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
