//! The keyring: the secrets that protect codes, kept outside the database.
//!
//! Three purposes, each with keys of its own and versions: *seal* (codes at rest can be shown again), *look up* (a typed
//! code finds its row without the code standing anywhere), *fingerprint* (a repeated request is recognised). New work uses
//! the highest version of a purpose; older versions stay for what was made with them.

mod document;
mod fingerprint;
mod look_up;
mod seal;

use std::fmt;

use rand::CryptoRng;
use secrecy::SecretString;
use zeroize::Zeroizing;

pub use document::KeyringError;
pub use fingerprint::Fingerprint;
pub use look_up::{HASH_LENGTH, HashedCode};
pub use seal::{CodePlace, SealedCode, Unsealable};

use fingerprint::FingerprintKey;
use look_up::LookUpKey;
use seal::SealKey;

/// The length of every key, in bytes: what XChaCha20-Poly1305 takes, and a full HMAC-SHA-256 key.
const KEY_LENGTH: usize = 32;

/// A key as it stands in the keyring's document.
type KeyBytes = Zeroizing<[u8; KEY_LENGTH]>;

/// All keys, ready for use. Shows nothing of them.
pub struct Keyring {
    seal: Versions<SealKey>,
    look_up: Versions<LookUpKey>,
    fingerprint: Versions<FingerprintKey>,
    document: document::Document,
}

impl Keyring {
    /// A new keyring with version 1 of each purpose.
    pub fn generate(random: &mut impl CryptoRng) -> Self {
        let document = document::Document::generate(random);
        Self::of(document)
    }

    /// The keyring in the TOML text of a keyring file.
    ///
    /// Fails when the text is not such a document, a purpose has no key or two of one version, a key does not have 32
    /// bytes, or one key serves twice. The error never repeats anything of the text.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        document::Document::parse(text).map(Self::of)
    }

    /// The TOML text of this keyring, for its file, which only its owner may be able to read.
    pub fn to_toml(&self) -> SecretString {
        self.document.to_toml()
    }

    fn of(document: document::Document) -> Self {
        Self {
            seal: Versions::of(&document.seal, SealKey::new),
            look_up: Versions::of(&document.look_up, LookUpKey::new),
            fingerprint: Versions::of(&document.fingerprint, FingerprintKey::new),
            document,
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring([redacted])")
    }
}

/// The keys of one purpose, the highest version first.
struct Versions<K>(Vec<(i16, K)>);

impl<K> Versions<K> {
    fn of(entries: &[document::Entry], make: impl Fn(&KeyBytes) -> K) -> Self {
        let mut keys: Vec<(i16, K)> = entries
            .iter()
            .map(|entry| (entry.version, make(&entry.key)))
            .collect();
        keys.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        Self(keys)
    }

    /// The key for new work. A document without one is refused when it is parsed.
    fn current(&self) -> (i16, &K) {
        let (version, key) = self.0.first().expect("each purpose of a keyring has a key");
        (*version, key)
    }

    fn get(&self, version: i16) -> Option<&K> {
        self.0
            .iter()
            .find(|(own, _)| *own == version)
            .map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests;
