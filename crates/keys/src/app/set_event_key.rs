//! Turning a class's event key on, off, or to another code.
//!
//! One use case behind two methods: `SetEventKey` for people, `PutEventKey` for the enrollment service when it creates a
//! class with its event key.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_code::{CanonicalCode, Kind, OwnCode, generate};
use latchkey_service_kit::attempts::Method;
use latchkey_service_kit::database::begin;
use latchkey_service_kit::ids::os_random;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::guesses::{PUT_EVENT_KEY, SET_EVENT_KEY};
use super::held_keyring::Issuing;
use super::{App, Call, Error, Once, settled};
use crate::domain::audit::{Action, Deed};
use crate::domain::event_key::{Change, ClassCancelled, EventKey, Present, Step, step, warnings};
use crate::domain::grant::{Grant, GrantKind};
use crate::domain::keyring::{CodePlace, HASH_LENGTH, Keyring};
use crate::domain::refusal::Refusal;
use crate::domain::warning::Warning;
use crate::store::codes::{NewCode, NewCodes};
use crate::store::event_keys::Issued;
use crate::store::grants::Admission;
use crate::store::{audit, codes, event_keys, grants};

/// Asks for a change of a class's event key.
#[derive(Debug, Clone)]
pub struct SetEventKey {
    /// The caller's id of the wish: the same id again gives the same answer and changes nothing.
    pub request_id: Uuid,
    /// The class.
    pub class_id: Uuid,
    /// What to make of its event key.
    pub change: Change,
    /// What the caller takes the event key to be.
    pub seen: Seen,
}

/// What a caller takes an event key to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Whatever it is.
    Anything,
    /// The one with this version; 0 for that of a class that never had one.
    Version(i64),
    /// Something that this event key never was.
    Another,
}

/// The event key after the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedEventKey {
    /// The event key.
    pub event_key: EventKey,
    /// What the caller should know.
    pub warnings: Vec<Warning>,
}

/// Changes the event key of a class within the caller's reach.
pub async fn set_event_key(
    app: &App,
    call: &Call,
    command: &SetEventKey,
) -> Result<ChangedEventKey, Error> {
    let admission = Admission::Within(&call.scope);
    let set = settled(|| attempt(app, call, command, SET_EVENT_KEY, admission)).await;
    app.settle_guess(call, SET_EVENT_KEY, &set);
    set
}

/// Changes the event key of any class, one that is being created included: the enrollment service has admitted the
/// caller.
pub async fn put_event_key(
    app: &App,
    call: &Call,
    command: &SetEventKey,
) -> Result<ChangedEventKey, Error> {
    let put = settled(|| attempt(app, call, command, PUT_EVENT_KEY, Admission::Every)).await;
    app.settle_guess(call, PUT_EVENT_KEY, &put);
    put
}

async fn attempt(
    app: &App,
    call: &Call,
    command: &SetEventKey,
    method: Method,
    admission: Admission<'_>,
) -> Result<ChangedEventKey, Error> {
    let class_id = command.class_id;
    let asked = Asked::of(&command.change);
    let once = Once {
        request_id: command.request_id,
        method: method.name,
        about: class_id,
        content: &[asked.kind.as_bytes(), asked.text.as_bytes(), &asked.grace],
    };
    let issuing = app.keyring.issuing(&app.pool).await?;
    let mut transaction = begin(&app.pool).await?;
    let locked = grants::lock(&mut transaction, GrantKind::Class, class_id, admission);
    let grant = locked.await?.ok_or(Refusal::ClassNotFound { class_id })?;
    if let Some(answer) = once.earlier(&mut transaction, issuing.keyring()).await? {
        transaction.commit().await?;
        return Ok(answer);
    }
    let present = event_keys::lock(&mut transaction, class_id).await?;
    command.seen.check(class_id, present.as_ref())?;

    let own = command.change.own_code();
    if own.is_some() {
        app.may_guess(call, method)?;
    }
    let hashes = own.map_or_else(Vec::new, |code| {
        all_hashes(issuing.keyring(), code.canonical())
    });
    issuing.hold(&mut transaction).await?;
    let facts = event_keys::facts(&mut transaction, present.as_ref(), &hashes).await?;
    let wish = command.change.wish(facts.is_present);
    let step = step(present.as_ref(), wish, &grant, facts.now)
        .map_err(|ClassCancelled| Refusal::ClassCancelled { class_id })?;
    let scene = Scene {
        app,
        issuing: &issuing,
        call,
        command,
        grant: &grant,
        present: present.as_ref(),
        now: facts.now,
    };
    if let Some(deed) = scene.carry_out(&mut transaction, step, &hashes).await? {
        audit::insert(&mut transaction, call.author(), &app.numbered([deed])).await?;
    }
    let event_key = event_keys::view(&mut transaction, class_id, admission)
        .await?
        .ok_or_else(|| Error::bug("a locked grant is not there"))?;
    let guessable = own.is_some_and(|code| code.guessable().is_some());
    let answer = ChangedEventKey {
        event_key,
        warnings: warnings(wish, &grant, guessable),
    };
    once.record(
        &mut transaction,
        issuing.keys()?,
        &grant,
        facts.now,
        &answer,
    )
    .await?;
    transaction.commit().await?;
    Ok(answer)
}

impl Seen {
    fn check(self, class_id: Uuid, present: Option<&Present>) -> Result<(), Refusal> {
        let version = present.map_or(0, |key| key.version);
        match self {
            Self::Anything => Ok(()),
            Self::Version(seen) if seen == version => Ok(()),
            Self::Version(_) | Self::Another => Err(Refusal::EtagMismatch {
                resource_type: "event_key",
                id: class_id,
            }),
        }
    }
}

/// The content of a change, for recognising it when it is asked again. What the caller took the key to be is a
/// condition of the change and no part of it: by the time of a repetition the change itself has made it untrue.
struct Asked<'c> {
    kind: &'static str,
    text: &'c str,
    grace: [u8; 12],
}

impl<'c> Asked<'c> {
    fn of(change: &'c Change) -> Self {
        let (kind, text, grace) = match change {
            Change::Off => ("off", "", TimeDelta::zero()),
            Change::Generated { grace } => ("generated", "", *grace),
            Change::Own { grace, code } => ("own", code.expose_text(), *grace),
        };
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&grace.num_seconds().to_be_bytes());
        bytes[8..].copy_from_slice(&grace.subsec_nanos().to_be_bytes());
        Self {
            kind,
            text,
            grace: bytes,
        }
    }
}

/// The hashes of a code by every version of the look-up key.
fn all_hashes(keyring: &Keyring, code: &CanonicalCode) -> Vec<[u8; HASH_LENGTH]> {
    keyring.hashes(code).map(|hashed| hashed.hash).collect()
}

/// What a step is carried out with. Grant and key are locked.
struct Scene<'s> {
    app: &'s App,
    issuing: &'s Issuing,
    call: &'s Call,
    command: &'s SetEventKey,
    grant: &'s Grant,
    present: Option<&'s Present>,
    now: DateTime<Utc>,
}

impl Scene<'_> {
    /// Carries out `step`; returns what was done, if anything. `hashes` are those of an own text.
    async fn carry_out(
        &self,
        connection: &mut PgConnection,
        step: Step,
        hashes: &[[u8; HASH_LENGTH]],
    ) -> Result<Option<Deed>, Error> {
        match (step, self.present) {
            (Step::TurnOff { version }, Some(key)) => {
                let by = &self.call.actor.subject;
                event_keys::turn_off(connection, key.key_id, version, self.now, by).await?;
                codes::end_all(connection, key.key_id, self.now).await?;
                let place = CodePlace {
                    key_id: key.key_id,
                    generation: key.generation,
                };
                Ok(Some(self.deed(place, None)))
            }
            (
                Step::Issue {
                    generation,
                    version,
                    replaced_until,
                },
                present,
            ) => {
                let place = CodePlace {
                    key_id: present.map_or_else(|| self.app.ids.new_id(), |key| key.key_id),
                    generation,
                };
                let own = self.command.change.own_code();
                if own.is_some()
                    && codes::make_room(connection, place.key_id, hashes, self.now).await?
                {
                    return Err(Refusal::CodeTaken.into());
                }
                if let (Some(until), Some(key)) = (replaced_until, present) {
                    let replaced = CodePlace {
                        key_id: key.key_id,
                        generation: key.generation,
                    };
                    codes::end(connection, replaced, until, self.now).await?;
                }
                self.issue(connection, place, version, own).await?;
                Ok(Some(self.deed(place, replaced_until)))
            }
            (Step::Nothing | Step::TurnOff { .. }, _) => Ok(None),
        }
    }

    /// Gives the key a new code: its own text, or a generated one.
    async fn issue(
        &self,
        connection: &mut PgConnection,
        place: CodePlace,
        version: i64,
        own: Option<&OwnCode>,
    ) -> Result<(), Error> {
        let keys = self.issuing.keys()?;
        let (masked, new) = {
            let mut random = os_random();
            let mut new = |canonical: &CanonicalCode, text: &str| NewCode {
                place,
                hashed: keys.hash(canonical),
                sealed: keys.seal(place, text, &mut random),
            };
            if let Some(code) = own {
                (code.masked(), new(code.canonical(), code.expose_text()))
            } else {
                let code = generate(Kind::Event, &mut os_random());
                (code.masked(), new(code.canonical(), code.expose_text()))
            }
        };
        let issued = Issued {
            key_id: place.key_id,
            class_id: self.grant.grant_id,
            organization_id: self.grant.organization_id,
            request_id: self.command.request_id,
            generation: place.generation,
            version,
            masked_code: &masked,
            own_code: own.is_some(),
            now: self.now,
            by: &self.call.actor.subject,
        };
        event_keys::put(connection, &issued).await?;
        let codes = NewCodes {
            organization_id: self.grant.organization_id,
            issued_at: self.now,
            codes: &[new],
        };
        match (codes::insert(connection, &codes).await?, own) {
            (1, _) => Ok(()),
            // Another key got the same text since room was made for it.
            (_, Some(_)) => Err(Refusal::CodeTaken.into()),
            (_, None) => Err(Error::Conflict),
        }
    }

    fn deed(&self, place: CodePlace, replaced_until: Option<DateTime<Utc>>) -> Deed {
        let mut details = json!({
            "class_id": self.grant.grant_id,
            "change": Asked::of(&self.command.change).kind,
            "generation": place.generation,
            "batch_id": self.command.request_id,
        });
        if let Some(until) = replaced_until {
            details["previous_code_valid_until"] = json!(until);
        }
        Deed {
            action: Action::SetEventKey,
            organization_id: self.grant.organization_id,
            resource_id: place.key_id,
            details,
        }
    }
}
