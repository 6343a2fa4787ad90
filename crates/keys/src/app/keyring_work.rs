//! What changes of the keyring have in common: by whom they are made, and which processes they wait for.

use std::fmt;
use std::sync::Arc;

use latchkey_service_kit::ids::Ids;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::Error;
use super::watch_keyring::RUNS_FOR_S;
use crate::domain::audit::{Action, Actor, Deed};
use crate::domain::keyring::{HeldKey, KeyVersion, Keyring};
use crate::store::audit::{self, Author};
use crate::store::keyring_holders::{self, Holder};

/// What the keyring is changed with: by a command, beside the running processes.
#[derive(Debug, Clone)]
pub struct KeyringWork {
    /// The database.
    pub pool: PgPool,
    /// The keyring as it stands in the file.
    pub keyring: Arc<Keyring>,
    /// Where ids of audit rows come from.
    pub ids: Arc<dyn Ids>,
    /// Who does it, for the audit trail.
    pub by: String,
    /// The id of what is done, for the audit trail.
    pub request_id: Uuid,
}

impl KeyringWork {
    /// Records something that was done with a key.
    pub(super) async fn record(
        &self,
        connection: &mut PgConnection,
        action: Action,
        key: KeyVersion,
        mut details: Value,
    ) -> Result<(), Error> {
        details["purpose"] = json!(key.purpose.name());
        details["version"] = json!(key.version);
        let deed = Deed {
            action,
            // The keyring is no organization's: it is the deployment's.
            organization_id: Uuid::nil(),
            resource_id: Uuid::nil(),
            details,
        };
        let actor = Actor {
            subject: self.by.clone(),
            issuer: "latchkey keyring".to_owned(),
            roles: Vec::new(),
            organization_id: None,
        };
        let author = Author {
            actor: &actor,
            peer: "",
            request_id: &self.request_id.to_string(),
        };
        Ok(audit::insert(connection, author, &[(self.ids.new_id(), deed)]).await?)
    }

    /// The running processes that lack one of these keys.
    pub(super) async fn behind(
        &self,
        connection: &mut PgConnection,
        keys: &[KeyVersion],
    ) -> Result<Vec<Behind>, Error> {
        let own = self.keyring.held();
        let needed: Vec<&HeldKey> = own.iter().filter(|held| keys.contains(&held.key)).collect();
        let holders = keyring_holders::seen_within(connection, RUNS_FOR_S).await?;
        Ok(holders
            .into_iter()
            .filter_map(|holder| {
                let lacking = needed.iter().find(|held| !holder.holds.contains(held))?;
                let key = lacking.key;
                Some(Behind {
                    has_another: holder.holds.iter().any(|held| held.key == key),
                    holder,
                    key,
                })
            })
            .collect())
    }
}

/// A running process whose memory lacks a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The process.
    pub holder: Holder,
    /// The key.
    pub key: KeyVersion,
    /// Whether it has another key of the same version instead: its file is not a copy of this one.
    pub has_another: bool,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            holder,
            key,
            has_another,
        } = self;
        write!(
            f,
            "the process at {} ({}) ",
            holder.address, holder.replica_id
        )?;
        if *has_another {
            write!(f, "has another key as the {key}: its keyring file differs")
        } else {
            write!(f, "does not have the {key} yet")
        }
    }
}
