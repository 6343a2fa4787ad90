//! Verifying bearer tokens against a set of public keys.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use super::cache::{self, TokenCache};
use super::{Caller, Claims};
use crate::clock::Clock;

/// How far the clocks of an issuer and a service may differ, in seconds. Both keep their clocks by NTP; five seconds
/// are generous and do not make a stolen token live noticeably longer.
const LEEWAY_SECONDS: i64 = 5;

/// The longest token that is looked at, in bytes. A token of ours has about 400.
const MAX_TOKEN_LEN: usize = 8 * 1024;

/// The shortest RSA modulus that is accepted, in bytes: 2048 bits, the least that NIST SP 800-131A allows.
const MIN_RSA_MODULUS_LEN: usize = 256;

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

/// Why a key set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The document is no JWKS.
    #[error("the document is not a JSON Web Key Set")]
    Malformed(#[source] serde_json::Error),
    /// A key lacks what it needs, or is not safe.
    #[error("key {key:?}: {fault}")]
    Key {
        /// The key's `kid`, or its position.
        key: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// There is no key to verify tokens with.
    #[error("the key set holds no usable signing key")]
    Empty,
}

struct VerifyingKey {
    key: DecodingKey,
    validation: Validation,
    algorithm: Algorithm,
}

/// Verifies tokens: signature by the key that the token's `kid` names and with that key's own algorithm (EdDSA, ES256
/// or RS256), issuer, audience, and time with a small leeway. Tokens once verified are remembered until they expire;
/// the memory belongs to the key set and goes with it.
pub struct TokenVerifier {
    keys: HashMap<String, VerifyingKey>,
    issuers: Vec<String>,
    audience: String,
    clock: Arc<dyn Clock>,
    cache: TokenCache,
}

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenVerifier")
            .field("kids", &self.keys.keys().collect::<Vec<_>>())
            .field("issuers", &self.issuers)
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
        let set: JwkSet = serde_json::from_str(jwks).map_err(JwksError::Malformed)?;
        let mut keys = HashMap::new();
        for (position, jwk) in set.keys.iter().enumerate() {
            let name = jwk
                .common
                .key_id
                .clone()
                .unwrap_or_else(|| format!("#{position}"));
            let fault = |fault| JwksError::Key {
                key: name.clone(),
                fault,
            };
            let Some(algorithm) = usable_algorithm(jwk).map_err(fault)? else {
                tracing::warn!(key = %name, "skipped a key that cannot verify tokens");
                continue;
            };
            let Some(kid) = jwk.common.key_id.clone() else {
                return Err(fault("has no kid"));
            };
            let key = DecodingKey::from_jwk(jwk).map_err(|_| fault("cannot be decoded"))?;
            let entry = VerifyingKey {
                key,
                validation: validation(algorithm),
                algorithm,
            };
            if keys.insert(kid, entry).is_some() {
                return Err(fault("has the kid of another key"));
            }
        }
        if keys.is_empty() {
            return Err(JwksError::Empty);
        }
        Ok(Self {
            keys,
            issuers,
            audience: audience.into(),
            clock,
            cache: TokenCache::default(),
        })
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
        let claims = self.signed_claims(token)?;
        let not_after = self.check_claims(&claims, now)?;
        let caller = Arc::new(claims.into_caller().map_err(TokenError::Claim)?);
        self.cache.put(cache_key, Arc::clone(&caller), not_after);
        Ok(caller)
    }

    /// The claims of `token`, once its signature is known to be good.
    fn signed_claims(&self, token: &str) -> Result<Claims, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        let kid = header.kid.as_deref().ok_or(TokenError::UnknownKey)?;
        let key = self.keys.get(kid).ok_or(TokenError::UnknownKey)?;
        // RFC 7515, section 4.1.11: a token with a critical extension that is not understood must be refused.
        if header.alg != key.algorithm || header.crit.is_some() {
            return Err(TokenError::WrongAlgorithm);
        }
        jsonwebtoken::decode::<Claims>(token, &key.key, &key.validation)
            .map(|data| data.claims)
            .map_err(TokenError::Invalid)
    }

    /// Checks issuer, audience and time; the end of the token's life as it counts here.
    fn check_claims(
        &self,
        claims: &Claims,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, TokenError> {
        if !self.issuers.contains(&claims.iss) {
            return Err(TokenError::Claim("iss"));
        }
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

/// Only the signature is checked by the library: claims are checked here, by the clock of this process.
fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation
}

/// The algorithm that a key verifies with; `None` for a key of another use or kind.
fn usable_algorithm(jwk: &Jwk) -> Result<Option<Algorithm>, &'static str> {
    if matches!(&jwk.common.public_key_use, Some(usage) if *usage != PublicKeyUse::Signature) {
        return Ok(None);
    }
    let decoded_len = |text: &str| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(text)
            .map_or(0, |bytes| bytes.len())
    };
    let (algorithm, stated) = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            // The library slices the key without looking at its length.
            if decoded_len(&key.x) != 32 {
                return Err("has no valid Ed25519 public key");
            }
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            if decoded_len(&key.x) != 32 || decoded_len(&key.y) != 32 {
                return Err("has no valid P-256 point");
            }
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::RSA(key) => {
            if decoded_len(&key.n) < MIN_RSA_MODULUS_LEN {
                return Err("is an RSA key of less than 2048 bits");
            }
            (Algorithm::RS256, KeyAlgorithm::RS256)
        }
        AlgorithmParameters::OctetKey(_) => {
            return Err("is symmetric: whoever verifies could also forge");
        }
        _ => return Ok(None),
    };
    match jwk.common.key_algorithm {
        Some(other) if other != stated => Ok(None),
        _ => Ok(Some(algorithm)),
    }
}
