//! Where the issuers publish their keys: files or URLs, looked at again and again.

use std::iter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::Trusts;
use super::keyset::JwksError;
use super::published::{FetchError, fetch};
use crate::backoff::Backoff;
use crate::config::IdentityConfig;
use crate::reload::Account;

/// How soon after a fetch a token with an unknown key may cause the next one: whoever makes tokens up shall not make us a
/// nuisance to the issuer. While fetches fail it causes none: they have pauses of their own.
const MISSED_AGAIN: Duration = Duration::from_secs(10);

/// The pauses after fetches that failed.
const PAUSES: Backoff = Backoff {
    first: Duration::from_secs(2),
    longest: Duration::from_mins(1),
};

/// Why there is no verifier.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file with the keys cannot be read.
    #[error("cannot read the key set {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// The file's content cannot be used.
    #[error("cannot use the key set {path}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: JwksError,
    },
    /// The key set behind a URL cannot be fetched.
    #[error("cannot fetch the key set {url}")]
    NotFetched {
        /// The URL.
        url: String,
        /// Why.
        #[source]
        source: FetchError,
    },
}

/// The key sets of a configuration, and what was found in them last.
#[derive(Debug, Clone)]
pub(super) struct KeySources {
    config: IdentityConfig,
    people: Source,
    services: Option<Source>,
    /// Whether something was found that is not believed yet.
    changed: bool,
    /// Whether what was believed is so old that nobody is believed any more.
    too_old: bool,
    account: Account,
}

/// What a look at the sources has brought.
#[derive(Debug)]
pub(super) enum Found {
    /// Whom to believe from now on.
    New(Trusts),
    /// What is believed could not be read anew for too long: nobody is to be believed.
    TooOld,
    /// Nothing new.
    Nothing,
}

/// One key set.
#[derive(Debug, Clone)]
struct Source {
    place: Place,
    document: Option<String>,
    /// When it is looked at next; a file is always due.
    due: Instant,
    fetched: Option<Instant>,
    failures: u32,
    /// When the document was last read or fetched.
    read: Instant,
    /// When that was done with the one that is believed.
    confirmed: Instant,
}

#[derive(Debug, Clone)]
enum Place {
    File(PathBuf),
    Url(String),
}

impl Source {
    fn of(file: Option<&PathBuf>, url: Option<&String>) -> Option<Self> {
        let file = file.cloned().map(Place::File);
        let place = file.or_else(|| url.cloned().map(Place::Url))?;
        Some(Self::at(place))
    }

    fn at(place: Place) -> Self {
        let now = Instant::now();
        Self {
            place,
            document: None,
            due: now,
            fetched: None,
            failures: 0,
            read: now,
            confirmed: now,
        }
    }

    /// Its document as it is now, if it is time to look and it is another than before.
    async fn look(&mut self, missed: bool, config: &IdentityConfig) -> Result<bool, IdentityError> {
        let found = match &self.place {
            Place::File(path) => read(path)?,
            Place::Url(url) => {
                let now = Instant::now();
                let rested = self.fetched.is_none_or(|at| now >= at + MISSED_AGAIN);
                let asked = missed && self.failures == 0 && rested;
                if now < self.due && !asked {
                    return Ok(false);
                }
                let fetched = fetch(url, config.jwks_ca_file.as_deref()).await;
                let now = Instant::now();
                self.fetched = Some(now);
                match fetched {
                    Ok(document) => {
                        self.failures = 0;
                        self.due = now + config.jwks_refresh();
                        document
                    }
                    Err(source) => {
                        self.failures += 1;
                        self.due = now + PAUSES.pause(self.failures);
                        let url = url.clone();
                        return Err(IdentityError::NotFetched { url, source });
                    }
                }
            }
        };
        self.read = Instant::now();
        let changed = self.document.as_ref() != Some(&found);
        self.document = Some(found);
        Ok(changed)
    }

    /// A file is read at once.
    fn read_file(&mut self) -> Result<(), IdentityError> {
        if let Place::File(path) = &self.place {
            self.document = Some(read(path)?);
        }
        Ok(())
    }

    fn path(&self) -> PathBuf {
        match &self.place {
            Place::File(path) => path.clone(),
            Place::Url(url) => PathBuf::from(url),
        }
    }
}

impl KeySources {
    pub(super) fn of(config: &IdentityConfig) -> Self {
        let people = Source::of(config.jwks_file.as_ref(), config.jwks_url.as_ref());
        let services = Source::of(
            config.service_jwks_file.as_ref(),
            config.service_jwks_url.as_ref(),
        );
        Self {
            config: config.clone(),
            // A configuration without either does not pass its check; an empty path is then told as unreadable.
            people: people.unwrap_or_else(|| Source::at(Place::File(PathBuf::new()))),
            services,
            changed: false,
            too_old: false,
            account: Account::of("identity"),
        }
    }

    /// Whom to believe, if all keys stand in files.
    pub(super) fn read_files(&mut self) -> Result<Option<Trusts>, IdentityError> {
        self.people.read_file()?;
        if let Some(services) = &mut self.services {
            services.read_file()?;
        }
        self.trusts()
    }

    /// Looks at what is due; whom to believe from now on, if that has changed. `missed`: a token named an unknown key.
    pub(super) async fn look(&mut self, missed: bool) -> Found {
        let mut failure = None;
        // Each for itself: that one issuer is away keeps no news of the other from us.
        for source in iter::once(&mut self.people).chain(&mut self.services) {
            match source.look(missed, &self.config).await {
                Ok(changed) => self.changed |= changed,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let news = self.news().unwrap_or_else(|error| {
            failure.get_or_insert(error);
            None
        });
        let found = self.found(news);
        if matches!(found, Found::New(_)) {
            self.account.read(true);
        }
        // Often nothing was due: that does not end a failure.
        if let Some(error) = failure {
            self.account.failed(&error);
        }
        found
    }

    /// Whom to believe, if that may be another than before. Documents that cannot be used confirm nothing.
    fn news(&mut self) -> Result<Option<Trusts>, IdentityError> {
        let trusts = if self.changed || self.too_old {
            self.trusts()?
        } else {
            None
        };
        for source in iter::once(&mut self.people).chain(&mut self.services) {
            source.confirmed = source.read;
        }
        Ok(trusts)
    }

    fn found(&mut self, news: Option<Trusts>) -> Found {
        let longest = self.config.jwks_max_age();
        let mut sources = iter::once(&self.people).chain(&self.services);
        if sources.any(|source| source.confirmed.elapsed() > longest) {
            if std::mem::replace(&mut self.too_old, true) {
                return Found::Nothing;
            }
            tracing::error!(
                max_age_s = self.config.jwks_max_age_s,
                "the issuers' keys could not be read anew for too long: nobody is believed"
            );
            return Found::TooOld;
        }
        let Some(trusts) = news else {
            return Found::Nothing;
        };
        (self.changed, self.too_old) = (false, false);
        Found::New(trusts)
    }

    /// Whom to believe by the documents at hand; nobody while one is missing.
    fn trusts(&self) -> Result<Option<Trusts>, IdentityError> {
        let config = &self.config;
        let Some(people) = &self.people.document else {
            return Ok(None);
        };
        let unusable = |source: &Source| {
            let path = source.path();
            move |source| IdentityError::Unusable { path, source }
        };
        let trusts =
            Trusts::new(people, vec![config.issuer.clone()]).map_err(unusable(&self.people))?;
        match (&config.service_issuer, &self.services) {
            // A configuration with the one and without the other does not pass its check.
            (None, _) | (_, None) => Ok(Some(trusts)),
            (Some(issuer), Some(source)) => {
                let Some(services) = &source.document else {
                    return Ok(None);
                };
                let both = trusts.with_service_issuer(issuer, services);
                both.map(Some).map_err(unusable(source))
            }
        }
    }
}

fn read(path: &Path) -> Result<String, IdentityError> {
    std::fs::read_to_string(path).map_err(|source| IdentityError::Unreadable {
        path: path.to_path_buf(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::reload::LOOK_INTERVAL;

    #[tokio::test(start_paused = true)]
    async fn an_issuer_that_fails_is_asked_after_growing_pauses_whatever_tokens_say() {
        let text = "issuer = 'i'\naudience = 'a'\njwks_url = 'http://127.0.0.1:1/jwks'";
        let config: IdentityConfig = toml::from_str(text).unwrap();
        let mut source = Source::of(None, config.jwks_url.as_ref()).unwrap();
        let mut fetches = 0;
        let began = Instant::now();
        while began.elapsed() < Duration::from_mins(20) {
            // Nobody listens there: a look that fails has asked. Each time there was a token with an unknown key.
            fetches += u32::from(source.look(true, &config).await.is_err());
            advance(LOOK_INTERVAL).await;
        }
        // A pause is half a minute on average once it has grown.
        assert!((20..=80).contains(&fetches), "{fetches} in 20 minutes");
    }
}
