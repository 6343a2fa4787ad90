//! The public keys of an issuer.

use std::collections::HashMap;

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

/// The shortest RSA modulus that is accepted, in bytes: 2048 bits, the least that NIST SP 800-131A allows.
const MIN_RSA_MODULUS_LEN: usize = 256;

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

/// A public key and the one algorithm it is for.
pub(super) struct VerifyingKey {
    pub(super) key: DecodingKey,
    pub(super) validation: Validation,
    pub(super) algorithm: Algorithm,
}

/// The keys by their `kid`.
pub(super) struct KeySet(HashMap<String, VerifyingKey>);

impl KeySet {
    /// The usable keys in the JSON document `jwks`.
    pub(super) fn parse(jwks: &str) -> Result<Self, JwksError> {
        let set: JwkSet = serde_json::from_str(jwks).map_err(JwksError::Malformed)?;
        let mut keys = HashMap::new();
        for (position, jwk) in set.keys.iter().enumerate() {
            let kid = jwk.common.key_id.clone();
            let name = kid.clone().unwrap_or_else(|| format!("#{position}"));
            let fault = |fault| JwksError::Key {
                key: name.clone(),
                fault,
            };
            let Some(algorithm) = usable_algorithm(jwk).map_err(fault)? else {
                tracing::warn!(key = %name, "skipped a key that cannot verify tokens");
                continue;
            };
            let kid = kid.ok_or_else(|| fault("has no kid"))?;
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
            Err(JwksError::Empty)
        } else {
            Ok(Self(keys))
        }
    }

    pub(super) fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.get(kid)
    }

    /// The names of the keys.
    pub(super) fn kids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
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
