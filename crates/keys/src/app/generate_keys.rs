//! Generating enrollment keys.

use latchkey_code::{GeneratedCode, Kind};
use latchkey_service_kit::database::begin;
use latchkey_service_kit::ids::os_random;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{App, Call, Error, Once, settled};
use crate::domain::audit::{Action, Deed};
use crate::domain::generation::{self, Refused};
use crate::domain::grant::Grant;
use crate::domain::key::TrainingKey;
use crate::domain::keyring::{CodePlace, CurrentKeys};
use crate::domain::refusal::Refusal;
use crate::domain::warning::Warning;
use crate::store::audit;
use crate::store::codes::{self, NewCode, NewCodes};
use crate::store::grants::{self, Admission};
use crate::store::training_keys::{self, Census, NewKeys};

/// Asks for enrollment keys.
#[derive(Debug, Clone, Copy)]
pub struct GenerateKeys {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// The class they open.
    pub class_id: Uuid,
    /// How many, at least 1.
    pub count: i32,
}

/// The keys, and how many the class has now.
#[derive(Debug)]
pub struct GeneratedKeys {
    /// The keys, as they are now.
    pub keys: Vec<TrainingKey>,
    /// Live enrollment keys of the class after the request.
    pub live_keys: i64,
    /// The most it could have then.
    pub maximum_keys: i32,
    /// What the caller should know.
    pub warnings: Vec<Warning>,
}

/// What is kept to answer again.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    live_keys: i64,
    maximum_keys: i32,
    warnings: Vec<Warning>,
}

/// Generates enrollment keys, never more live ones than the class may have students. The same request again gives the
/// same keys.
///
/// Refused with `ClassNotFound`, `RequestIdReused`, `ClassCancelled`, `WindowClosed` or `KeyLimitExceeded`: then no key
/// was made.
pub async fn generate_keys(
    app: &App,
    call: &Call,
    command: GenerateKeys,
) -> Result<GeneratedKeys, Error> {
    settled(|| attempt(app, call, command)).await
}

async fn attempt(app: &App, call: &Call, command: GenerateKeys) -> Result<GeneratedKeys, Error> {
    let class_id = command.class_id;
    let issuing = app.keyring.issuing(&app.pool).await?;
    // Made before the class is locked, which is then held for the database's work only.
    let drawn = Drawn::new(app, issuing.keys()?, command.count);
    let count = command.count.to_be_bytes();
    let once = Once {
        request_id: command.request_id,
        method: "GenerateTrainingKeys",
        class_id,
        content: &[&count],
    };
    let mut transaction = begin(&app.pool).await?;
    let grant = grants::lock(&mut transaction, class_id, Admission::Within(&call.scope))
        .await?
        .ok_or(Refusal::ClassNotFound { class_id })?;
    let answer = if let Some(answer) = once
        .earlier::<Answer>(&mut transaction, issuing.keyring())
        .await?
    {
        answer
    } else {
        let census = training_keys::census(&mut transaction, class_id).await?;
        let warning = generation::admit(&grant, census.live, command.count, census.now)
            .map_err(|refused| refusal(refused, &grant, census.live))?;
        let answer = Answer {
            live_keys: census.live + i64::from(command.count),
            maximum_keys: grant.maximum_keys,
            warnings: warning.into_iter().collect(),
        };
        issuing.hold(&mut transaction).await?;
        drawn
            .store(&mut transaction, call, &command, &grant, census)
            .await?;
        let deed = deed(&command, &grant, &answer);
        audit::insert(&mut transaction, call.author(), &app.numbered([deed])).await?;
        once.record(
            &mut transaction,
            issuing.keys()?,
            grant.organization_id,
            census.now,
            &answer,
        )
        .await?;
        answer
    };
    let key_ids = training_keys::of_batch(&mut transaction, command.request_id).await?;
    let keys = training_keys::views(&mut transaction, &key_ids, &call.scope).await?;
    transaction.commit().await?;
    Ok(GeneratedKeys {
        keys,
        live_keys: answer.live_keys,
        maximum_keys: answer.maximum_keys,
        warnings: answer.warnings,
    })
}

fn refusal(refused: Refused, grant: &Grant, live_keys: i64) -> Refusal {
    let class_id = grant.class_id;
    match refused {
        Refused::Cancelled => Refusal::ClassCancelled { class_id },
        Refused::Ended => Refusal::WindowClosed {
            class_id,
            closed_at: grant.ends_at,
            zone: grant.zone,
        },
        Refused::LimitExceeded { can_generate } => Refusal::KeyLimitExceeded {
            class_id,
            maximum_keys: grant.maximum_keys,
            live_keys,
            can_generate,
        },
    }
}

fn deed(command: &GenerateKeys, grant: &Grant, answer: &Answer) -> Deed {
    Deed {
        action: Action::Generate,
        organization_id: grant.organization_id,
        resource_id: grant.class_id,
        details: json!({
            "batch_id": command.request_id,
            "count": command.count,
            "live_keys": answer.live_keys,
            "maximum_keys": answer.maximum_keys,
        }),
    }
}

/// Keys that are drawn and sealed but stand nowhere yet.
struct Drawn {
    key_ids: Vec<Uuid>,
    masked_codes: Vec<String>,
    codes: Vec<NewCode>,
}

impl Drawn {
    fn new(app: &App, keys: CurrentKeys<'_>, count: i32) -> Self {
        let mut random = os_random();
        let mut drawn = Self {
            key_ids: Vec::new(),
            masked_codes: Vec::new(),
            codes: Vec::new(),
        };
        for _ in 0..count {
            let code: GeneratedCode = latchkey_code::generate(Kind::Enrollment, &mut random);
            let place = CodePlace {
                key_id: app.ids.new_id(),
                generation: 1,
            };
            drawn.key_ids.push(place.key_id);
            drawn.masked_codes.push(code.masked());
            drawn.codes.push(NewCode {
                place,
                hashed: keys.hash(code.canonical()),
                sealed: keys.seal(place, code.expose_text(), &mut random),
            });
        }
        drawn
    }

    async fn store(
        &self,
        connection: &mut sqlx::PgConnection,
        call: &Call,
        command: &GenerateKeys,
        grant: &Grant,
        census: Census,
    ) -> Result<(), Error> {
        let keys = NewKeys {
            class_id: grant.class_id,
            organization_id: grant.organization_id,
            batch_id: command.request_id,
            created_at: census.now,
            created_by: &call.actor.subject,
            key_ids: &self.key_ids,
            masked_codes: &self.masked_codes,
        };
        training_keys::insert(connection, &keys).await?;
        let codes = NewCodes {
            organization_id: grant.organization_id,
            issued_at: census.now,
            codes: &self.codes,
        };
        let issued = codes::insert(connection, &codes).await?;
        if usize::try_from(issued).is_ok_and(|issued| issued == self.codes.len()) {
            Ok(())
        } else {
            // Two equal codes of 110 random bits: not chance, but a broken random source.
            Err(Error::bug("a generated code exists already"))
        }
    }
}
