//! Hashing off the threads that serve calls, and no more at once than there is memory for.

use std::sync::Arc;

use latchkey_service_kit::ids::os_random;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::Error;
use crate::domain::password::{HashFault, PasswordHasher};

/// Makes and checks password hashes on threads of their own. Clones share one bound.
#[derive(Debug, Clone)]
pub struct Passwords {
    hasher: Arc<PasswordHasher>,
    permits: Arc<Semaphore>,
}

impl Passwords {
    /// At most `at_once` hashes are made at the same time; further ones wait for their turn.
    pub fn new(hasher: PasswordHasher, at_once: usize) -> Self {
        Self {
            hasher: Arc::new(hasher),
            permits: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// The hash of `password`, as a PHC string.
    pub async fn hash(&self, password: SecretString) -> Result<String, Error> {
        self.run(move |hasher| hasher.hash(&password, &mut os_random()))
            .await
    }

    /// Whether `password` fits `hash`; takes as long without a hash.
    pub async fn verify(
        &self,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<bool, Error> {
        self.run(move |hasher| hasher.verify(&password, hash.as_deref()))
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PasswordHasher) -> Result<T, HashFault> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(Error::internal)?;
        let hasher = Arc::clone(&self.hasher);
        let done = spawn_blocking(move || {
            // Held by the thread: a caller who goes away does not make room for another.
            let _permit = permit;
            work(&hasher)
        });
        done.await
            .map_err(Error::internal)?
            .map_err(Error::internal)
    }
}
