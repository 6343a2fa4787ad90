//! Whose tokens are believed, and what of them.

use std::sync::Arc;

use super::Role;
use super::cache::TokenCache;
use super::keyset::{JwksError, KeySet, VerifyingKey};

/// What is believed of an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belief {
    /// Every role but that of a service: services have an issuer and keys of their own.
    People,
    /// Only the role of a service.
    Services,
}

impl Belief {
    pub(super) fn accepts(self, role: Role) -> bool {
        match self {
            Self::People => role != Role::EnrollmentService,
            Self::Services => role == Role::EnrollmentService,
        }
    }
}

/// An issuer, its keys, and what of its tokens is believed.
pub(super) struct Trust {
    pub(super) issuer: String,
    pub(super) keys: Arc<KeySet>,
    pub(super) belief: Belief,
}

/// The issuers whose tokens are believed, with the public keys of each.
///
/// Tokens once verified are remembered here until they expire: the memory belongs to the keys and goes with them, so that a
/// key that is taken away takes its tokens along.
pub struct Trusts {
    all: Vec<Trust>,
    pub(super) cache: TokenCache,
}

impl std::fmt::Debug for Trusts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let issuers = self.all.iter().map(|trust| &trust.issuer);
        let kids = self.all.iter().flat_map(|trust| trust.keys.kids());
        f.debug_struct("Trusts")
            .field("issuers", &issuers.collect::<Vec<_>>())
            .field("kids", &kids.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Trusts {
    /// Believes `issuers`, by the keys of the JSON Web Key Set in `jwks`, whatever they say of people; nobody of them makes
    /// a service.
    ///
    /// Keys for other uses than signatures and of other kinds are skipped; a symmetric key is refused, because then whoever
    /// can verify could also forge.
    pub fn new(jwks: &str, issuers: Vec<String>) -> Result<Self, JwksError> {
        let keys = Arc::new(KeySet::parse(jwks)?);
        let trust = |issuer| Trust {
            issuer,
            keys: Arc::clone(&keys),
            belief: Belief::People,
        };
        Ok(Self {
            all: issuers.into_iter().map(trust).collect(),
            cache: TokenCache::default(),
        })
    }

    /// Also accepts services that sign their own tokens, with `issuer` for their `iss` and a key of the set in `jwks`. They
    /// are believed to be services and nothing else: neither can a service sign for the issuer of people's tokens, nor that
    /// issuer for a service.
    pub fn with_service_issuer(mut self, issuer: &str, jwks: &str) -> Result<Self, JwksError> {
        let keys = KeySet::parse(jwks)?;
        if let Some(kid) = keys.kids().find(|kid| self.key(kid).is_some()) {
            return Err(JwksError::Key {
                key: kid.to_owned(),
                fault: "is also a key of the other issuer",
            });
        }
        let keys = Arc::new(keys);
        self.all.push(Trust {
            issuer: issuer.to_owned(),
            keys,
            belief: Belief::Services,
        });
        Ok(self)
    }

    /// The key with this name, whoever's it is.
    pub(super) fn key(&self, kid: &str) -> Option<&VerifyingKey> {
        self.all.iter().find_map(|trust| trust.keys.get(kid))
    }

    /// What is believed of `issuer` when it signs with the key `kid`: a key speaks for its own issuers only.
    pub(super) fn belief(&self, issuer: &str, kid: &str) -> Option<Belief> {
        let fits = |trust: &&Trust| trust.issuer == issuer && trust.keys.get(kid).is_some();
        self.all.iter().find(fits).map(|trust| trust.belief)
    }
}
