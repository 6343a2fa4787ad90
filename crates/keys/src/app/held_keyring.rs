//! The keyring that this process has in memory, and what it may be used for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use sqlx::{PgConnection, PgPool};

use super::Error;
use crate::domain::keyring::{CurrentKeys, InUse, Keyring, Lacking};
use crate::store::keyring_versions;

/// The keys in memory. Replaced as a whole when the keyring file has changed.
#[derive(Debug)]
pub struct HeldKeyring {
    present: RwLock<Arc<Keyring>>,
    /// Whether it has every version that was in use when that was last looked at.
    complete: AtomicBool,
}

impl HeldKeyring {
    /// Holds `keyring`.
    pub fn new(keyring: Keyring) -> Self {
        Self {
            present: RwLock::new(Arc::new(keyring)),
            complete: AtomicBool::new(true),
        }
    }

    /// The present keys. Whoever does several things with one code asks once.
    pub fn present(&self) -> Arc<Keyring> {
        let present = self.present.read();
        Arc::clone(&present.unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether every version that is in use is there, as far as it was looked at: without one, codes cannot be told from
    /// unknown ones.
    pub fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Relaxed)
    }

    /// Holds `keyring` from now on.
    pub(super) fn replace(&self, keyring: Keyring) {
        let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
        *present = Arc::new(keyring);
    }

    /// Notes whether it has all that is in use.
    pub(super) fn set_complete(&self, complete: bool) {
        self.complete.store(complete, Ordering::Relaxed);
    }

    /// The keys that something new is made with: those in use at the moment, whose versions this keyring has all.
    pub(super) async fn issuing(&self, pool: &PgPool) -> Result<Issuing, Error> {
        let keyring = self.present();
        let in_use = keyring_versions::in_use(&mut *pool.acquire().await?).await?;
        keyring.covers(&in_use)?;
        Ok(Issuing { keyring, in_use })
    }
}

/// Keys for a transaction that stores what they have made.
pub(super) struct Issuing {
    keyring: Arc<Keyring>,
    in_use: InUse,
}

impl Issuing {
    /// The whole keyring.
    pub(super) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The keys that everything new is made with.
    pub(super) fn keys(&self) -> Result<CurrentKeys<'_>, Error> {
        Ok(self.keyring.current(&self.in_use)?)
    }

    /// Keeps them current until the transaction ends. A conflict if they are not any more.
    ///
    /// To be called before anything is stored that they have made; and, where it is looked whether another key has a code,
    /// before that: whatever was stored by then was made with a version that this keyring has.
    pub(super) async fn hold(&self, connection: &mut PgConnection) -> Result<(), Error> {
        if keyring_versions::hold(connection).await? == self.in_use {
            Ok(())
        } else {
            Err(Error::Conflict)
        }
    }
}

/// Another replica, or this one in a moment, has what is lacking.
impl From<Lacking> for Error {
    fn from(lacking: Lacking) -> Self {
        Self::unavailable(lacking)
    }
}

/// Fails unless `keyring` has every version that is in use: then a code that was not found is one that no key has.
///
/// To be asked after the search. A code is stored only after its version is in use.
pub(super) async fn nothing_was_overlooked(pool: &PgPool, keyring: &Keyring) -> Result<(), Error> {
    let in_use = keyring_versions::in_use(&mut *pool.acquire().await?).await?;
    Ok(keyring.covers(&in_use)?)
}
