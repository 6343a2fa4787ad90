//! Keeping refused calls in the audit trail.

use std::sync::Arc;

use latchkey_service_kit::database::{answered, begin};
use latchkey_service_kit::refusals::{Entry, Owner, Resource, Trail};
use uuid::Uuid;

use crate::app::{Error, Services};
use crate::store::audit::refusals;

/// The trail of this service, for refused calls.
#[derive(Debug)]
pub struct RefusalTrail {
    services: Arc<Services>,
}

impl RefusalTrail {
    /// The trail in the database of `services`.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services }
    }

    async fn insert(&self, rows: &[Entry]) -> Result<(), Error> {
        let rows: Vec<(Uuid, &Entry)> = rows
            .iter()
            .map(|row| (self.services.ids.new_id(), row))
            .collect();
        let mut transaction = begin(&self.services.pool).await?;
        refusals::insert(&mut transaction, &rows).await?;
        transaction.commit().await?;
        Ok(())
    }
}

impl Trail for RefusalTrail {
    type Error = Error;

    async fn owners(&self, resources: &[Resource]) -> Result<Vec<(Resource, Owner)>, Error> {
        let found = answered(
            self.services.patience,
            refusals::owners(&self.services.pool, resources),
        );
        Ok(found.await.map_err(Error::unavailable)??)
    }

    async fn write(&self, rows: &[Entry]) -> Result<(), Error> {
        answered(self.services.patience, self.insert(rows))
            .await
            .map_err(Error::unavailable)?
    }
}
