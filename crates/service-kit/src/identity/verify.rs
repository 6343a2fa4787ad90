//! Verifying bearer tokens.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::cache::{self, TokenCache};
use super::keyset::{JwksError, KeySet, VerifyingKey};
use super::{Caller, Claims, Role};
use crate::clock::Clock;
use crate::config::IdentityConfig;

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
    /// A claim does not hold here, for example `aud`.
    #[error("the token's claim {0:?} does not hold here")]
    Claim(&'static str),
}

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
}

/// What is believed of an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Belief {
    /// Every role.
    All,
    /// Every role but that of a service: services have an issuer and keys of their own.
    People,
    /// Only the role of a service.
    Services,
}

impl Belief {
    fn accepts(self, role: Role) -> bool {
        match self {
            Self::All => true,
            Self::People => role != Role::EnrollmentService,
            Self::Services => role == Role::EnrollmentService,
        }
    }
}

struct Trust {
    issuer: String,
    keys: Arc<KeySet>,
    belief: Belief,
}

/// Verifies tokens: signature by the key that the token's `kid` names and with that key's own algorithm (EdDSA, ES256
/// or RS256), issuer, audience, and time with a small leeway. Tokens once verified are remembered until they expire;
/// the memory belongs to the keys and goes with them.
pub struct TokenVerifier {
    trusts: Vec<Trust>,
    audience: String,
    clock: Arc<dyn Clock>,
    cache: TokenCache,
}

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let issuers = self.trusts.iter().map(|trust| &trust.issuer);
        let kids = self.trusts.iter().flat_map(|trust| trust.keys.kids());
        f.debug_struct("TokenVerifier")
            .field("issuers", &issuers.collect::<Vec<_>>())
            .field("kids", &kids.collect::<Vec<_>>())
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

impl TokenVerifier {
    /// A verifier of tokens by one of `issuers` for `audience`, with the public keys in the JSON document `jwks`.
    ///
    /// Every key needs a `kid`. Keys for other uses than signatures and of other kinds are skipped; a symmetric key
    /// is refused, because then whoever can verify could also forge.
    pub fn new(
        jwks: &str,
        issuers: Vec<String>,
        audience: impl Into<String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, JwksError> {
        let keys = Arc::new(KeySet::parse(jwks)?);
        let trust = |issuer| Trust {
            issuer,
            keys: Arc::clone(&keys),
            belief: Belief::All,
        };
        Ok(Self {
            trusts: issuers.into_iter().map(trust).collect(),
            audience: audience.into(),
            clock,
            cache: TokenCache::default(),
        })
    }

    /// The verifier that `config` describes, its files read.
    pub fn from_config(
        config: &IdentityConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IdentityError> {
        let unusable = |path: &Path| {
            let path = path.to_path_buf();
            move |source| IdentityError::Unusable { path, source }
        };
        let jwks = read(&config.jwks_file)?;
        let issuers = vec![config.issuer.clone()];
        let verifier = Self::new(&jwks, issuers, config.audience.clone(), clock)
            .map_err(unusable(&config.jwks_file))?;
        match (&config.service_issuer, &config.service_jwks_file) {
            (None, _) => Ok(verifier),
            (Some(issuer), None) => Ok(verifier.with_service_issuer(issuer)),
            (Some(issuer), Some(file)) => {
                let jwks = read(file)?;
                verifier
                    .with_separate_service_issuer(issuer, &jwks)
                    .map_err(unusable(file))
            }
        }
    }

    /// Also accepts services that sign their own tokens, with `issuer` for their `iss` and a key of the same set. They
    /// are believed to be services and nothing else.
    #[must_use]
    pub fn with_service_issuer(mut self, issuer: &str) -> Self {
        if let Some(first) = self.trusts.first() {
            let keys = Arc::clone(&first.keys);
            self.trusts.push(Trust {
                issuer: issuer.to_owned(),
                keys,
                belief: Belief::Services,
            });
        }
        self
    }

    /// Like [`Self::with_service_issuer`], with keys of their own in `jwks`: then neither can a service sign for the
    /// issuer of people's tokens, nor that issuer for a service.
    pub fn with_separate_service_issuer(
        mut self,
        issuer: &str,
        jwks: &str,
    ) -> Result<Self, JwksError> {
        let keys = KeySet::parse(jwks)?;
        if let Some(kid) = keys.kids().find(|kid| self.key(kid).is_some()) {
            return Err(JwksError::Key {
                key: kid.to_owned(),
                fault: "is also a key of the other issuer",
            });
        }
        for trust in &mut self.trusts {
            trust.belief = Belief::People;
        }
        let keys = Arc::new(keys);
        self.trusts.push(Trust {
            issuer: issuer.to_owned(),
            keys,
            belief: Belief::Services,
        });
        Ok(self)
    }

    /// The caller that `token` proves.
    pub fn verify(&self, token: &str) -> Result<Arc<Caller>, TokenError> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(TokenError::Malformed);
        }
        let now = self.clock.now();
        let cache_key = cache::key(token);
        if let Some(caller) = self.cache.get(&cache_key, now) {
            return Ok(caller);
        }
        let (kid, claims) = self.signed_claims(token)?;
        // A key speaks for its own issuers only.
        let trust = |trust: &&Trust| trust.issuer == claims.iss && trust.keys.get(&kid).is_some();
        let belief = self
            .trusts
            .iter()
            .find(trust)
            .ok_or(TokenError::Claim("iss"))?
            .belief;
        let not_after = self.check_claims(&claims, now)?;
        let mut caller = claims.into_caller().map_err(TokenError::Claim)?;
        caller.roles.retain(|role| belief.accepts(*role));
        let caller = Arc::new(caller);
        self.cache.put(cache_key, Arc::clone(&caller), not_after);
        Ok(caller)
    }

    fn key(&self, kid: &str) -> Option<&VerifyingKey> {
        self.trusts.iter().find_map(|trust| trust.keys.get(kid))
    }

    /// The `kid` and the claims of `token`, once its signature is known to be good.
    fn signed_claims(&self, token: &str) -> Result<(String, Claims), TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        let kid = header.kid.ok_or(TokenError::UnknownKey)?;
        let key = self.key(&kid).ok_or(TokenError::UnknownKey)?;
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

fn read(path: &Path) -> Result<String, IdentityError> {
    std::fs::read_to_string(path).map_err(|source| IdentityError::Unreadable {
        path: path.to_path_buf(),
        source,
    })
}
