//! Signing tokens: a service's own identity towards another service, and the tokens of a development issuer.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::SecretString;
use uuid::Uuid;

use super::keypair::{self, KeyPairError};
use super::{Claims, Role};
use crate::clock::Clock;

/// A token is replaced once less than this share of its life is left (a quarter), so that it never expires on its way.
const RENEW_SHARE: i32 = 4;

/// Why a token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct SigningError(#[source] jsonwebtoken::errors::Error);

/// What the tokens of a [`TokenSigner`] say.
#[derive(Debug, Clone)]
pub struct SignerOptions {
    /// Their `iss`.
    pub issuer: String,
    /// Their `aud`.
    pub audience: String,
    /// Their `sub`.
    pub subject: String,
    /// Their roles.
    pub roles: Vec<Role>,
    /// Their `org`.
    pub organization: Option<Uuid>,
    /// How long each holds.
    pub lifetime: TimeDelta,
}

/// Signs tokens with an Ed25519 key.
pub struct TokenSigner {
    key: EncodingKey,
    kid: String,
    options: SignerOptions,
    clock: Arc<dyn Clock>,
    current: Mutex<Option<Current>>,
}

struct Current {
    token: Arc<str>,
    renew_at: DateTime<Utc>,
}

impl std::fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSigner")
            .field("kid", &self.kid)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl TokenSigner {
    /// A signer with the private key in `private_pem` (PKCS#8). The tokens name it by the same `kid` as
    /// [`super::KeyPair`] publishes it under.
    pub fn new(
        private_pem: &SecretString,
        options: SignerOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyPairError> {
        let key = keypair::encoding_key(private_pem)?;
        let kid = keypair::kid(&keypair::public_key(&key)?);
        Ok(Self {
            key,
            kid,
            options,
            clock,
            current: Mutex::new(None),
        })
    }

    /// A token with the claims of this signer's options: the last one while it is fresh, else a new one.
    pub fn token(&self) -> Result<Arc<str>, SigningError> {
        let now = self.clock.now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = current.as_ref().filter(|current| now < current.renew_at) {
            return Ok(Arc::clone(&current.token));
        }
        let options = &self.options;
        let mut claims = Claims::new(
            &options.issuer,
            &options.audience,
            &options.subject,
            now,
            options.lifetime,
        )
        .with_roles(&options.roles);
        claims.org = options
            .organization
            .map(|organization| organization.to_string());
        let token: Arc<str> = self.sign(&claims)?.into();
        let renew_at = now + options.lifetime - options.lifetime / RENEW_SHARE;
        *current = Some(Current {
            token: Arc::clone(&token),
            renew_at,
        });
        Ok(token)
    }

    /// A token with any `claims`, for the development issuer and for tests.
    pub fn sign(&self, claims: &Claims) -> Result<String, SigningError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(SigningError)
    }
}
