//! Keeping refused calls in the audit trail.

use std::time::Duration;

use latchkey_service_kit::database::{answered, begin};
use latchkey_service_kit::refusals::{Entry, Owner, Resource, Trail};
use uuid::Uuid;

use super::{App, Error};
use crate::store::audit::refusals;

/// The trail of this service, for refused calls.
#[derive(Debug)]
pub struct RefusalTrail {
    app: App,
    /// How long its statements may take.
    patience: Duration,
}

impl RefusalTrail {
    /// The trail in the database of `app`, whose statements take no longer than `patience`.
    pub fn new(app: App, patience: Duration) -> Self {
        Self { app, patience }
    }

    async fn insert(&self, rows: &[Entry]) -> Result<(), Error> {
        let rows: Vec<(Uuid, &Entry)> = rows
            .iter()
            .map(|row| (self.app.ids.new_id(), row))
            .collect();
        let mut transaction = begin(&self.app.pool).await?;
        refusals::insert(&mut transaction, &rows).await?;
        transaction.commit().await?;
        Ok(())
    }
}

impl Trail for RefusalTrail {
    type Error = Error;

    async fn owners(&self, resources: &[Resource]) -> Result<Vec<(Resource, Owner)>, Error> {
        let found = answered(self.patience, refusals::owners(&self.app.pool, resources));
        Ok(found.await.map_err(Error::unavailable)??)
    }

    async fn write(&self, rows: &[Entry]) -> Result<(), Error> {
        answered(self.patience, self.insert(rows))
            .await
            .map_err(Error::unavailable)?
    }
}
