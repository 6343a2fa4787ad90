//! Verifying bearer tokens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::sources::{Found, IdentityError, KeySources};
use super::{Caller, Claims, Trusts, cache};
use crate::clock::Clock;
use crate::config::IdentityConfig;
use crate::reload::LOOK_INTERVAL;

/// How far the clocks of an issuer and a service may differ, in seconds. Both keep their clocks by NTP; five seconds
/// are generous and do not make a stolen token live noticeably longer.
const LEEWAY_SECONDS: i64 = 5;

/// The longest token that is looked at, in bytes. A token of ours has about 400.
const MAX_TOKEN_LEN: usize = 8 * 1024;

/// Why a token is refused. For the log; the caller only learns that it is not valid.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The text is no JWT, or longer than any token of ours.
    #[error("the token is malformed")]
    Malformed,
    /// The header names no key, or one that is not in the key set.
    #[error("the token names no key that is known here")]
    UnknownKey,
    /// The header names another algorithm than the key's, or extensions that are not understood.
    #[error("the token's algorithm is not the one its key is for")]
    WrongAlgorithm,
    /// The signature does not fit, or the claims cannot be read.
    #[error("the token's signature or claims do not hold")]
    Invalid(#[source] jsonwebtoken::errors::Error),
    /// The issuers' keys were not fetched yet, or for too long: nothing can be said of any token.
    #[error("there are no keys of the issuers that can be believed now")]
    NoKeys,
    /// A claim does not hold here, for example `aud`.
    #[error("the token's claim {0:?} does not hold here")]
    Claim(&'static str),
}

/// Verifies tokens: signature by the key that the token's `kid` names and with that key's own algorithm (EdDSA, ES256
/// or RS256), issuer, audience, and time with a small leeway.
pub struct TokenVerifier {
    /// None until the issuers' keys were fetched for the first time, and once they are too old.
    trusts: RwLock<Option<Arc<Trusts>>>,
    /// A token named a key that is not known here: the issuer may have a new one.
    missed: AtomicBool,
    sources: Option<KeySources>,
    audience: String,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenVerifier")
            .field("trusts", &self.trusts().ok())
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

impl TokenVerifier {
    /// Believes `trusts` for ever, for tokens with this audience.
    pub fn new(trusts: Trusts, audience: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self {
            trusts: RwLock::new(Some(Arc::new(trusts))),
            missed: AtomicBool::new(false),
            sources: None,
            audience: audience.into(),
            clock,
        }
    }

    /// The verifier that `config` describes. Keys in files are read now; keys behind a URL are fetched by
    /// [`Self::keep_fresh`], and until then nobody is believed.
    ///
    /// # Errors
    /// When a file cannot be read or used.
    pub fn from_config(
        config: &IdentityConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IdentityError> {
        let mut sources = KeySources::of(config);
        let trusts = sources.read_files()?;
        Ok(Self {
            trusts: RwLock::new(trusts.map(Arc::new)),
            missed: AtomicBool::new(false),
            sources: Some(sources),
            audience: config.audience.clone(),
            clock,
        })
    }

    /// Whether there is anybody to believe.
    pub fn is_ready(&self) -> bool {
        self.trusts().is_ok()
    }

    /// Follows the files and URLs that the keys are published at, until `shutdown`. What cannot be read or used is told and
    /// counted (`latchkey_reloads_total`), and what was believed before stays, but not longer than `identity.jwks_max_age_s`.
    pub async fn keep_fresh(self: Arc<Self>, shutdown: CancellationToken) {
        let Some(mut sources) = self.sources.clone() else {
            return;
        };
        let follow = async {
            loop {
                let missed = self.missed.swap(false, Ordering::Relaxed);
                match sources.look(missed).await {
                    Found::New(trusts) => self.believe(Some(Arc::new(trusts))),
                    Found::TooOld => self.believe(None),
                    Found::Nothing => {}
                }
                sleep(LOOK_INTERVAL).await;
            }
        };
        shutdown.run_until_cancelled(follow).await;
    }

    fn believe(&self, trusts: Option<Arc<Trusts>>) {
        *self.trusts.write().unwrap_or_else(PoisonError::into_inner) = trusts;
    }

    fn trusts(&self) -> Result<Arc<Trusts>, TokenError> {
        let trusts = self.trusts.read().unwrap_or_else(PoisonError::into_inner);
        trusts.clone().ok_or(TokenError::NoKeys)
    }

    /// The caller that `token` proves.
    pub fn verify(&self, token: &str) -> Result<Arc<Caller>, TokenError> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(TokenError::Malformed);
        }
        let now = self.clock.now();
        let trusts = self.trusts()?;
        let cache_key = cache::key(token);
        if let Some(caller) = trusts.cache.get(&cache_key, now) {
            return Ok(caller);
        }
        let (kid, claims) = self.signed_claims(&trusts, token)?;
        let belief = trusts.belief(&claims.iss, &kid);
        let belief = belief.ok_or(TokenError::Claim("iss"))?;
        let not_after = self.check_claims(&claims, now)?;
        let mut caller = claims.into_caller().map_err(TokenError::Claim)?;
        caller.roles.retain(|role| belief.accepts(*role));
        let caller = Arc::new(caller);
        trusts.cache.put(cache_key, Arc::clone(&caller), not_after);
        Ok(caller)
    }

    /// The `kid` and the claims of `token`, once its signature is known to be good.
    fn signed_claims(&self, trusts: &Trusts, token: &str) -> Result<(String, Claims), TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        let kid = header.kid.ok_or(TokenError::UnknownKey)?;
        let Some(key) = trusts.key(&kid) else {
            self.missed.store(true, Ordering::Relaxed);
            return Err(TokenError::UnknownKey);
        };
        // RFC 7515, section 4.1.11: a token with a critical extension that is not understood must be refused.
        if header.alg != key.algorithm || header.crit.is_some() {
            return Err(TokenError::WrongAlgorithm);
        }
        jsonwebtoken::decode::<Claims>(token, &key.key, &key.validation)
            .map(|data| (kid, data.claims))
            .map_err(TokenError::Invalid)
    }

    /// Checks audience and time; the end of the token's life as it counts here.
    fn check_claims(
        &self,
        claims: &Claims,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, TokenError> {
        if !claims.aud.contains(&self.audience) {
            return Err(TokenError::Claim("aud"));
        }
        let leeway = TimeDelta::seconds(LEEWAY_SECONDS);
        let not_after = instant(claims.exp).and_then(|exp| exp.checked_add_signed(leeway));
        let not_after = not_after
            .filter(|not_after| now < *not_after)
            .ok_or(TokenError::Claim("exp"))?;
        if let Some(nbf) = claims.nbf {
            let not_before = instant(nbf).and_then(|nbf| nbf.checked_sub_signed(leeway));
            not_before
                .filter(|not_before| *not_before <= now)
                .ok_or(TokenError::Claim("nbf"))?;
        }
        Ok(not_after)
    }
}

/// A moment given in seconds since 1970, if it lies in a calendar.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast to i64 saturates, and then no calendar has the moment"
)]
fn instant(seconds: f64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds.floor() as i64, 0)
}
