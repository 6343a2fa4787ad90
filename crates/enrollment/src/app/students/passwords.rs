//! Hashing off the threads that serve calls: no more at once than there is memory for, and no more waiting than can be
//! answered in time.

use std::sync::{Arc, PoisonError, RwLock};

use latchkey_service_kit::ids::os_random;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::app::Error;
use crate::domain::password::{Checked, Cost, HashFault, PasswordHasher};

/// How many costs are remembered: more than anybody changes them before the hashes of before are gone.
const COSTS: usize = 8;

/// Makes and checks password hashes on threads of their own. Clones share one bound.
#[derive(Debug, Clone)]
pub struct Passwords {
    hasher: Arc<PasswordHasher>,
    /// Of those that are made and those that wait.
    places: Arc<Semaphore>,
    permits: Arc<Semaphore>,
    /// What the hashes that are stored have cost, as far as it is known: a wrong password costs all of it.
    costs: Arc<RwLock<Vec<Cost>>>,
}

impl Passwords {
    /// At most `at_once` hashes are made at the same time, and at most `waiting` further ones wait for their turn.
    pub fn new(hasher: PasswordHasher, at_once: usize, waiting: usize) -> Self {
        Self {
            costs: Arc::new(RwLock::new(vec![hasher.cost()])),
            hasher: Arc::new(hasher),
            places: Arc::new(Semaphore::new(at_once + waiting)),
            permits: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// The hash of `password`, as a PHC string. `Overloaded`, at once, if too many wait.
    pub async fn hash(&self, password: SecretString) -> Result<String, Error> {
        self.run(move |hasher| hasher.hash(&password, &mut os_random()))
            .await
    }

    /// Whether `password` fits `hash`; takes as long without a hash, and whatever the hash had cost. `Overloaded`, at once,
    /// if too many wait.
    pub async fn verify(
        &self,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<Checked, Error> {
        let costs = self.costs();
        let checked = self
            .run(move |hasher| hasher.verify(&password, hash.as_deref(), &costs))
            .await?;
        if let Some(cost) = checked.cost {
            self.learn(cost);
        }
        Ok(checked)
    }

    /// What a new hash costs.
    pub fn cost(&self) -> Cost {
        self.hasher.cost()
    }

    /// There are hashes of this cost.
    pub fn learn(&self, cost: Cost) {
        if self.costs().contains(&cost) {
            return;
        }
        let mut costs = self.costs.write().unwrap_or_else(PoisonError::into_inner);
        if costs.len() < COSTS && !costs.contains(&cost) {
            costs.push(cost);
        }
    }

    fn costs(&self) -> Vec<Cost> {
        let costs = self.costs.read();
        costs.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PasswordHasher) -> Result<T, HashFault> + Send + 'static,
    ) -> Result<T, Error> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Error::Overloaded)?;
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(Error::internal)?;
        let hasher = Arc::clone(&self.hasher);
        let done = spawn_blocking(move || {
            // Held by the thread: a caller who goes away does not make room for another.
            let _held = (place, permit);
            work(&hasher)
        });
        done.await
            .map_err(Error::internal)?
            .map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const COST: Cost = Cost {
        memory_kib: 64,
        passes: 1,
        lanes: 1,
    };

    fn secret() -> SecretString {
        SecretString::from("correct horse")
    }

    #[tokio::test]
    async fn who_comes_when_every_place_is_taken_is_sent_away_at_once() {
        let passwords = Passwords::new(PasswordHasher::new(COST).unwrap(), 1, 1);
        let (go, wait) = mpsc::channel::<()>();
        let busy = passwords.clone();
        let at_work = tokio::spawn(async move {
            busy.run(move |_| {
                let _ = wait.recv();
                Ok(())
            })
            .await
        });
        while passwords.permits.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let next = passwords.clone();
        let waiting = tokio::spawn(async move { next.hash(secret()).await });
        while passwords.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let sent_away = passwords.hash(secret()).await;
        assert!(matches!(sent_away, Err(Error::Overloaded)), "{sent_away:?}");
        go.send(()).expect("it waits");
        assert!(at_work.await.expect("no panic").is_ok());
        assert!(waiting.await.expect("no panic").is_ok());
        assert!(passwords.hash(secret()).await.is_ok());
    }

    #[tokio::test]
    async fn what_a_stored_hash_has_cost_is_learnt_and_a_wrong_password_costs_all_of_it() {
        let dearer = Cost {
            memory_kib: 128,
            ..COST
        };
        let old = PasswordHasher::new(dearer).unwrap();
        let hash = old.hash(&secret(), &mut os_random()).unwrap();
        let passwords = Passwords::new(PasswordHasher::new(COST).unwrap(), 1, 0);
        assert_eq!(passwords.costs(), [COST]);
        let checked = passwords.verify(secret(), Some(hash)).await.unwrap();
        assert!(checked.fits && checked.cost == Some(dearer));
        assert_eq!(passwords.costs(), [COST, dearer]);
        for passes in 2..20 {
            passwords.learn(Cost { passes, ..COST });
        }
        assert_eq!(passwords.costs().len(), COSTS);
    }
}
