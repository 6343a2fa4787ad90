//! Drawing keys with their codes, and storing them.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use latchkey_code::{GeneratedCode, Kind};
use latchkey_service_kit::ids::{Ids, os_random};
use sqlx::PgConnection;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::held_keyring::Issuing;
use super::{App, Error};
use crate::domain::generation::{Batch, ascending};
use crate::domain::grant::{Grant, GrantKind};
use crate::domain::key::KeyKind;
use crate::domain::keyring::CodePlace;
use crate::domain::subscription::Terms;
use crate::store::codes::{self, NewCode, NewCodes};
use crate::store::training_keys::{self, NewKeys};

/// Keys that are drawn, and their codes sealed, but stand nowhere yet; in the order of their ids.
pub(super) struct Drawn {
    /// What sealed them.
    pub(super) issuing: Issuing,
    key_ids: Vec<Uuid>,
    masked_codes: Vec<String>,
    codes: Vec<NewCode>,
}

/// For what keys are issued.
pub(super) struct Issue<'i> {
    pub(super) grant: &'i Grant,
    /// The terms of subscription keys.
    pub(super) terms: Option<Terms>,
    pub(super) batch_id: Uuid,
    pub(super) created_at: DateTime<Utc>,
    pub(super) created_by: &'i str,
}

/// Draws `count` keys for a grant of this kind with greater ids than `after`, by the keyring of this moment. It is work for the
/// processor, some milliseconds for a chunk, and is done where it keeps no other call waiting.
pub(super) async fn draw(
    app: &App,
    grant: GrantKind,
    count: i32,
    after: Option<Uuid>,
) -> Result<Drawn, Error> {
    let kind = match grant {
        GrantKind::Class => Kind::Enrollment,
        GrantKind::Pool => Kind::Pool,
        GrantKind::Profile => Kind::Subscription,
    };
    let issuing = app.keyring.issuing(&app.pool).await?;
    let ids = Arc::clone(&app.ids);
    let drawn = spawn_blocking(move || Drawn::new(issuing, ids.as_ref(), kind, count, after)).await;
    drawn.map_err(Error::internal)?
}

impl fmt::Debug for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Drawn({} keys)", self.key_ids.len())
    }
}

impl Drawn {
    fn new(
        issuing: Issuing,
        ids: &dyn Ids,
        kind: Kind,
        count: i32,
        after: Option<Uuid>,
    ) -> Result<Self, Error> {
        let keys = issuing.keys()?;
        let mut random = os_random();
        let key_ids = ascending((0..count).map(|_| ids.new_id()).collect(), after);
        let mut masked_codes = Vec::with_capacity(key_ids.len());
        let mut codes = Vec::with_capacity(key_ids.len());
        for key_id in &key_ids {
            let code: GeneratedCode = latchkey_code::generate(kind, &mut random);
            let place = CodePlace {
                key_id: *key_id,
                generation: 1,
            };
            masked_codes.push(code.masked());
            codes.push(NewCode {
                place,
                hashed: keys.hash(code.canonical()),
                sealed: keys.seal(place, code.expose_text(), &mut random),
            });
        }
        Ok(Self {
            issuing,
            key_ids,
            masked_codes,
            codes,
        })
    }

    /// How many they are.
    pub(super) fn len(&self) -> i32 {
        i32::try_from(self.key_ids.len()).unwrap_or(i32::MAX)
    }

    /// The last of them.
    pub(super) fn last(&self) -> Option<Uuid> {
        self.key_ids.last().copied()
    }

    /// Whether they cannot follow the keys that the batch has: another call has made some since they were drawn.
    pub(super) fn is_behind(&self, batch: &Batch) -> bool {
        let first = self.key_ids.first();
        first.is_none_or(|first| *first <= batch.last_key_id)
    }

    /// Stores them, at most the first `missing` ones; the ids of those. A conflict if the keyring has changed.
    pub(super) async fn store(
        &self,
        connection: &mut PgConnection,
        issue: &Issue<'_>,
        missing: i32,
    ) -> Result<&[Uuid], Error> {
        let some = usize::try_from(missing.min(self.len())).unwrap_or_default();
        let key_ids = self.key_ids.get(..some).unwrap_or_default();
        self.issuing.hold(connection).await?;
        let keys = NewKeys {
            kind: KeyKind::generated_for(issue.grant.kind),
            own_codes: false,
            grant_id: issue.grant.grant_id,
            organization_id: issue.grant.organization_id,
            batch_id: issue.batch_id,
            created_at: issue.created_at,
            created_by: issue.created_by,
            key_ids,
            masked_codes: self.masked_codes.get(..some).unwrap_or_default(),
            terms: issue.terms,
        };
        training_keys::insert(connection, &keys).await?;
        let codes = NewCodes {
            organization_id: issue.grant.organization_id,
            issued_at: issue.created_at,
            codes: self.codes.get(..some).unwrap_or_default(),
        };
        let issued = codes::insert(connection, &codes).await?;
        if usize::try_from(issued).is_ok_and(|issued| issued == some) {
            Ok(key_ids)
        } else {
            // Two equal codes of 110 random bits: not chance, but a broken random source.
            Err(Error::bug("a generated code exists already"))
        }
    }
}
