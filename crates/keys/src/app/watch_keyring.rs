//! Reading the keyring file anew when it has changed, and telling others which keys this process has.

use std::sync::Arc;
use std::time::Duration;

use latchkey_service_kit::database::{answered, begin};
use latchkey_service_kit::reload::LOOK_INTERVAL;
use latchkey_service_kit::telemetry::Chain;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{App, Error};
use crate::domain::keyring::{InUse, KeyVersion, Keyring};
use crate::keyring_file::KeyringFile;
use crate::store::keyring_holders::{self, Holder};
use crate::store::keyring_versions;

/// How often a process says what it holds when nothing has changed.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// How long after it last said so a process is taken to run, in seconds: three times as long as it needs at most, and
/// then some. One that was stopped for longer finds out by the database itself that it lacks a version.
pub const RUNS_FOR_S: f64 = 45.0;

/// How long it is remembered, in seconds.
const FORGOTTEN_AFTER_S: f64 = 3_600.0;

/// How long a process that ends has to say so.
const LET_GO_WITHIN: Duration = Duration::from_secs(1);

/// Watches until `shutdown` is cancelled. `address` is where this process listens; nothing that is asked of the database may
/// take longer than `patience`.
pub async fn watch_keyring(
    app: App,
    file: KeyringFile,
    address: String,
    patience: Duration,
    shutdown: CancellationToken,
) {
    let mut watch = Watch {
        replica_id: app.ids.new_id(),
        app,
        file,
        address,
        patience,
        told: None,
        complaint: String::new(),
    };
    while !shutdown.is_cancelled() {
        let complaint = match watch.look().await {
            Ok(()) => String::new(),
            Err(complaint) => complaint,
        };
        if complaint != watch.complaint {
            if complaint.is_empty() {
                tracing::info!("the keyring is as it should be again");
            } else {
                tracing::error!(problem = %complaint, "the keyring needs a look");
            }
            watch.complaint = complaint;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            () = shutdown.cancelled() => {}
        }
    }
    // Whether or not it gets through: it counts as running for a while longer at most.
    let _ = tokio::time::timeout(LET_GO_WITHIN, tokio::spawn(watch.let_go())).await;
}

struct Watch {
    app: App,
    file: KeyringFile,
    address: String,
    patience: Duration,
    replica_id: Uuid,
    /// What the others know this process to hold, and since when.
    told: Option<(Arc<Keyring>, Instant)>,
    /// What was last complained about.
    complaint: String,
}

impl Watch {
    /// Looks once. What is wrong with the keyring, if anything is; a database that does not answer is not.
    async fn look(&mut self) -> Result<(), String> {
        let Ok(Ok(in_use)) = answered(self.patience, self.in_use()).await else {
            return match self.complaint.as_str() {
                "" => Ok(()),
                still => Err(still.to_owned()),
            };
        };
        let reread = self.reread(&in_use).await;
        let present = self.app.keyring.present();
        let covered = present.covers(&in_use);
        self.app.keyring.set_complete(covered.is_ok());
        // What is not told now is told the next time.
        let _ = answered(self.patience, self.tell(present)).await;
        reread?;
        covered.map_err(|lacking| lacking.to_string())
    }

    async fn in_use(&self) -> Result<InUse, Error> {
        let mut connection = self.app.pool.acquire().await?;
        Ok(keyring_versions::in_use(&mut connection).await?)
    }

    /// Takes what stands in the file, unless that gives up a key that is in use.
    async fn reread(&self, in_use: &InUse) -> Result<(), String> {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || file.read()).await;
        let read = read.map_err(|failed| failed.to_string())?;
        let fresh = read.map_err(|error| Chain(&error).to_string())?;
        let present = self.app.keyring.present();
        let (had, has) = (present.held(), fresh.held());
        if had == has {
            return Ok(());
        }
        for held in had {
            let KeyVersion { purpose, version } = held.key;
            if in_use.of(purpose).all.contains(&version) && !has.contains(&held) {
                return Err(format!(
                    "the keyring file no longer has the {}, which is in use; this process goes on with what it had",
                    held.key
                ));
            }
        }
        tracing::info!("the keyring file was read anew");
        self.app.keyring.replace(fresh);
        Ok(())
    }

    async fn tell(&mut self, present: Arc<Keyring>) -> Result<(), Error> {
        if let Some((told, at)) = &self.told
            && Arc::ptr_eq(told, &present)
            && at.elapsed() < TELL_EVERY
        {
            return Ok(());
        }
        let holder = Holder {
            replica_id: self.replica_id,
            address: self.address.clone(),
            holds: present.held(),
        };
        let mut transaction = begin(&self.app.pool).await?;
        keyring_holders::put(&mut transaction, &holder, FORGOTTEN_AFTER_S).await?;
        transaction.commit().await?;
        self.told = Some((present, Instant::now()));
        Ok(())
    }

    async fn let_go(self) -> Result<(), Error> {
        let mut transaction = begin(&self.app.pool).await?;
        keyring_holders::remove(&mut transaction, self.replica_id).await?;
        transaction.commit().await?;
        Ok(())
    }
}
