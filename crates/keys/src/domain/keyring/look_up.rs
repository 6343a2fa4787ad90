//! Looking up: a keyed hash stands for a code wherever a code is searched for.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use latchkey_code::CanonicalCode;
use sha2::Sha256;

use super::{CurrentKeys, KeyBytes, Keyring};

/// The length of a hash, in bytes.
pub const HASH_LENGTH: usize = 32;

/// The keyed hash of a code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashedCode {
    /// HMAC-SHA-256 of the canonical code.
    pub hash: [u8; HASH_LENGTH],
    /// The version of the key.
    pub version: i16,
}

impl fmt::Debug for HashedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashedCode")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// One key for hashing, already scheduled.
pub(super) struct LookUpKey(Hmac<Sha256>);

impl LookUpKey {
    pub(super) fn new(key: &KeyBytes) -> Self {
        Self(Hmac::new_from_slice(key.as_slice()).expect("HMAC takes a key of any length"))
    }

    fn hash(&self, code: &CanonicalCode) -> [u8; HASH_LENGTH] {
        self.0
            .clone()
            .chain_update(code.expose())
            .finalize()
            .into_bytes()
            .into()
    }
}

impl CurrentKeys<'_> {
    /// The hash under which `code` is stored when it is issued now.
    pub fn hash(&self, code: &CanonicalCode) -> HashedCode {
        let (version, key) = self.look_up;
        HashedCode {
            hash: key.hash(code),
            version,
        }
    }
}

impl Keyring {
    /// The hashes under which `code` may be stored, by every version, the highest one first.
    pub fn hashes<'k>(&'k self, code: &'k CanonicalCode) -> impl Iterator<Item = HashedCode> + 'k {
        self.look_up.0.iter().map(|(version, key)| HashedCode {
            hash: key.hash(code),
            version: *version,
        })
    }

    /// How many hashes [`Keyring::hashes`] gives for each code.
    pub fn hashes_per_code(&self) -> usize {
        self.look_up.0.len()
    }
}
