//! Requests that are carried out once, however often they arrive.

use chrono::{DateTime, Utc};
use latchkey_service_kit::database;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Error;
use crate::domain::grant::Grant;
use crate::domain::keyring::{CurrentKeys, KeyVersion, Keyring, Lacking, Purpose};
use crate::domain::refusal::Refusal;
use crate::store::requests::{self, NewRequest};

/// A request with an id of its caller's making. Both methods belong under the lock of the grant that it is about, which the
/// repetitions of a request wait for; what makes a grant has none to lock, and its repetitions conflict.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Once<'r> {
    /// The id.
    pub(crate) request_id: Uuid,
    /// The name of the method; part of what was asked.
    pub(crate) method: &'static str,
    /// What it is about; part of what was asked: the class, pool or profile, or the organization that is to get a pool.
    pub(crate) about: Uuid,
    /// What else was asked. May be secret: only a keyed digest of it is kept.
    pub(crate) content: &'r [&'r [u8]],
}

impl Once<'_> {
    /// What was answered to this id before; refused if that was about something else.
    ///
    /// What is found may be newer than what is safely stored: the caller's transaction commits before the answer is
    /// given, and this makes that commit wait for it.
    pub(crate) async fn earlier<T: DeserializeOwned>(
        &self,
        connection: &mut PgConnection,
        keyring: &Keyring,
    ) -> Result<Option<T>, Error> {
        let Some(recorded) = requests::find(connection, self.request_id).await? else {
            return Ok(None);
        };
        match keyring.fits(&recorded.fingerprint, &self.parts()) {
            Some(true) => {}
            Some(false) => {
                return Err(Refusal::RequestIdReused {
                    request_id: self.request_id,
                }
                .into());
            }
            None => {
                return Err(Error::from(Lacking(KeyVersion {
                    purpose: Purpose::Fingerprint,
                    version: recorded.fingerprint.version,
                })));
            }
        }
        database::confirm(connection).await?;
        serde_json::from_value(recorded.result)
            .map(Some)
            .map_err(Error::internal)
    }

    /// Records what is answered; the keys are held until the transaction ends. A conflict if a call about something else with the same id was first.
    pub(crate) async fn record<T: Serialize>(
        &self,
        connection: &mut PgConnection,
        keys: CurrentKeys<'_>,
        grant: &Grant,
        decided_at: DateTime<Utc>,
        answer: &T,
    ) -> Result<(), Error> {
        let request = NewRequest {
            request_id: self.request_id,
            organization_id: grant.organization_id,
            grant_id: grant.grant_id,
            method: self.method,
            fingerprint: &keys.fingerprint(&self.parts()),
            result: serde_json::to_value(answer).map_err(Error::internal)?,
            decided_at,
        };
        if requests::insert(connection, request).await? {
            Ok(())
        } else {
            Err(Error::Conflict)
        }
    }

    fn parts(&self) -> Vec<&[u8]> {
        [self.method.as_bytes(), self.about.as_bytes()]
            .into_iter()
            .chain(self.content.iter().copied())
            .collect()
    }
}
