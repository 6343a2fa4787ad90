//! What is made of files, and made again when they change: certificates, key sets, keyrings.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use metrics::counter;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::telemetry::Chain;

/// How often the files are looked at. Whoever replaces them wants to see it happen; reading a few small files costs nothing.
/// Their content is compared, not their times: orchestrators swap links, and a clock may be off.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// The files' contents, in an order that the owner knows.
pub type Contents = Vec<Zeroizing<String>>;

/// Something made of files, as it is now. Clones are the same thing.
///
/// When the files' contents change it is made anew; when that fails, for example because only one of two files was
/// replaced yet, what was there stays, the log says why, and it is tried again at the next look. Both are counted as
/// `latchkey_reloads_total`.
pub struct Reloaded<T>(Arc<RwLock<Arc<T>>>);

impl<T> Clone for Reloaded<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Reloaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reloaded")
    }
}

impl<T: Send + Sync + 'static> Reloaded<T> {
    /// Reads the files and makes it; and again every [`LOOK_INTERVAL`] in a task that ends with the last clone.
    ///
    /// `what` it is, for people and metrics. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the files cannot be read or used now.
    pub fn load<E: Error + Send + 'static>(
        what: &'static str,
        read: impl Fn() -> Result<Contents, E> + Send + Sync + 'static,
        make: impl Fn(&Contents) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let contents = read()?;
        let current = Arc::new(RwLock::new(Arc::new(make(&contents)?)));
        let made_of = digest(&contents);
        let place = Arc::downgrade(&current);
        tokio::spawn(keep(what, place, made_of, Arc::new(read), make));
        Ok(Self(current))
    }

    /// What it is now.
    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

type Made = [u8; 32];

/// Each content goes in behind its length.
fn digest(contents: &Contents) -> Made {
    let digest = contents.iter().fold(Sha256::new(), |digest, content| {
        digest
            .chain_update((content.len() as u64).to_be_bytes())
            .chain_update(content.as_bytes())
    });
    digest.finalize().into()
}

async fn keep<T, E: Error + Send + 'static>(
    what: &'static str,
    place: Weak<RwLock<Arc<T>>>,
    mut made_of: Made,
    read: Arc<impl Fn() -> Result<Contents, E> + Send + Sync + 'static>,
    make: impl Fn(&Contents) -> Result<T, E>,
) {
    let mut account = Account::of(what);
    loop {
        sleep(LOOK_INTERVAL).await;
        if place.strong_count() == 0 {
            return;
        }
        let reader = Arc::clone(&read);
        let Ok(contents) = spawn_blocking(move || reader()).await else {
            return;
        };
        let outcome = contents.and_then(|contents| {
            let found = digest(&contents);
            let changed = found != made_of;
            Ok(changed.then_some((make(&contents)?, found)))
        });
        match outcome {
            Ok(None) => account.read(false),
            Ok(Some((anew, found))) => {
                let Some(place) = place.upgrade() else { return };
                *place.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(anew);
                made_of = found;
                account.read(true);
            }
            Err(error) => account.failed(&error),
        }
    }
}

/// Counts what was read anew, and tells of it: of each change, and of a failure once, not at every look.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    what: &'static str,
    told: String,
}

impl Account {
    /// Of `what`, as people and metrics call it.
    pub(crate) fn of(what: &'static str) -> Self {
        Self {
            what,
            told: String::new(),
        }
    }

    /// It could be read, and had `changed` or not.
    pub(crate) fn read(&mut self, changed: bool) {
        self.told.clear();
        if changed {
            self.count("changed");
            tracing::info!(what = self.what, "reloaded: what is in force has changed");
        }
    }

    /// It could not be read, or not be used.
    pub(crate) fn failed(&mut self, error: &(dyn Error + 'static)) {
        self.count("failed");
        let text = Chain(error).to_string();
        if text != self.told {
            tracing::error!(what = self.what, error = %text, "not reloaded: what was there stays in force");
            self.told = text;
        }
    }

    fn count(&self, outcome: &'static str) {
        counter!("latchkey_reloads_total", "what" => self.what, "outcome" => outcome).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;

    /// A number that is read from a text, and the text.
    fn number() -> (Reloaded<u32>, Arc<Mutex<String>>) {
        let text = Arc::new(Mutex::new("1".to_owned()));
        let file = Arc::clone(&text);
        let read = move || Ok(vec![Zeroizing::new(file.lock().unwrap().clone())]);
        let make = |contents: &Contents| contents[0].parse().map_err(io::Error::other);
        (Reloaded::load("number", read, make).unwrap(), text)
    }

    async fn settled(number: &Reloaded<u32>, wanted: u32) {
        for _ in 0..3 {
            if *number.current() == wanted {
                return;
            }
            // Paused time goes on by itself while nothing else happens; reading is done in another thread.
            sleep(LOOK_INTERVAL).await;
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(*number.current(), wanted);
    }

    #[tokio::test(start_paused = true)]
    async fn it_follows_its_files_and_outlives_bad_ones() {
        let (number, text) = number();
        assert_eq!(*number.current(), 1);
        *text.lock().unwrap() = "2".to_owned();
        settled(&number, 2).await;
        *text.lock().unwrap() = "none".to_owned();
        sleep(3 * LOOK_INTERVAL).await;
        assert_eq!(*number.current(), 2);
        *text.lock().unwrap() = "3".to_owned();
        settled(&number, 3).await;
    }
}
