//! The keyring: the secrets that protect codes, kept outside the database.
//!
//! Three purposes, each with keys of its own and versions: *seal* (codes at rest can be shown again), *look up* (a typed
//! code finds its row without the code standing anywhere), *fingerprint* (a repeated request is recognised). The database
//! says which version everything new is made with, and which ones may stand somewhere ([`InUse`]): a version that was only
//! added to the file waits until every replica has read it.

mod document;
mod fingerprint;
mod in_use;
mod look_up;
mod seal;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use rand::CryptoRng;
use secrecy::SecretString;
use sha2::Sha256;
use zeroize::Zeroizing;

pub use document::KeyringError;
pub use fingerprint::Fingerprint;
pub use in_use::{InUse, KeyVersion, Lacking, Purpose, Versions};
pub use look_up::{HASH_LENGTH, HashedCode};
pub use seal::{CodePlace, SealedCode, Unsealable};

use fingerprint::FingerprintKey;
use look_up::LookUpKey;
use seal::SealKey;

/// The length of every key, in bytes: what XChaCha20-Poly1305 takes, and a full HMAC-SHA-256 key.
const KEY_LENGTH: usize = 32;

/// A key as it stands in the keyring's document.
type KeyBytes = Zeroizing<[u8; KEY_LENGTH]>;

/// Begins what the digest of a key is made of, so that it is the digest of nothing else.
const DIGEST_CONTEXT: &[u8] = b"latchkey.keys.digest.1";

/// How much of a key's digest is told, in bytes: enough that no two keys of one version are taken for each other.
const DIGEST_LENGTH: usize = 8;

/// All keys, ready for use. Shows nothing of them.
pub struct Keyring {
    seal: Numbered<SealKey>,
    look_up: Numbered<LookUpKey>,
    fingerprint: Numbered<FingerprintKey>,
    document: document::Document,
}

/// The keys that everything new is made with.
#[derive(Clone, Copy)]
pub struct CurrentKeys<'k> {
    seal: (i16, &'k SealKey),
    look_up: (i16, &'k LookUpKey),
    fingerprint: (i16, &'k FingerprintKey),
}

/// A key of the keyring, as it may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldKey {
    /// Which one.
    pub key: KeyVersion,
    /// A digest, in hexadecimal: two keys of the same purpose and version with the same one are the same key. Tells nothing
    /// of it.
    pub digest: String,
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

    /// This keyring with one more key for `purpose`; its version is one above the highest. `None` if there is no higher one.
    pub fn with_another(
        &self,
        purpose: Purpose,
        random: &mut impl CryptoRng,
    ) -> Option<(Self, KeyVersion)> {
        let version = self.newest(purpose).checked_add(1)?;
        let document = self.document.with(purpose, version, random);
        Some((Self::of(document), KeyVersion { purpose, version }))
    }

    /// This keyring without a key; `None` if it does not have it, or no other of its purpose.
    pub fn without(&self, key: KeyVersion) -> Option<Self> {
        self.document.without(key).map(Self::of)
    }

    /// The highest version of `purpose`.
    pub fn newest(&self, purpose: Purpose) -> i16 {
        let versions = self.document.of(purpose).iter().map(|entry| entry.version);
        versions.max().expect("each purpose of a keyring has a key")
    }

    /// Every key, as it may be told.
    pub fn held(&self) -> Vec<HeldKey> {
        let of = |purpose: Purpose| {
            self.document.of(purpose).iter().map(move |entry| {
                let version = entry.version;
                HeldKey {
                    key: KeyVersion { purpose, version },
                    digest: digest(purpose, entry),
                }
            })
        };
        Purpose::ALL.into_iter().flat_map(of).collect()
    }

    /// Whether it has a key.
    pub fn has(&self, key: KeyVersion) -> bool {
        let mut entries = self.document.of(key.purpose).iter();
        entries.any(|entry| entry.version == key.version)
    }

    /// Whether it has every version that is in use; if not, one that it lacks.
    pub fn covers(&self, in_use: &InUse) -> Result<(), Lacking> {
        for purpose in Purpose::ALL {
            for &version in &in_use.of(purpose).all {
                let key = KeyVersion { purpose, version };
                if !self.has(key) {
                    return Err(Lacking(key));
                }
            }
        }
        Ok(())
    }

    /// The keys that everything new is made with.
    pub fn current(&self, in_use: &InUse) -> Result<CurrentKeys<'_>, Lacking> {
        Ok(CurrentKeys {
            seal: self.seal.current(Purpose::Seal, in_use)?,
            look_up: self.look_up.current(Purpose::LookUp, in_use)?,
            fingerprint: self.fingerprint.current(Purpose::Fingerprint, in_use)?,
        })
    }

    fn of(document: document::Document) -> Self {
        Self {
            seal: Numbered::of(document.of(Purpose::Seal), SealKey::new),
            look_up: Numbered::of(document.of(Purpose::LookUp), LookUpKey::new),
            fingerprint: Numbered::of(document.of(Purpose::Fingerprint), FingerprintKey::new),
            document,
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring([redacted])")
    }
}

impl fmt::Debug for CurrentKeys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentKeys([redacted])")
    }
}

fn digest(purpose: Purpose, entry: &document::Entry) -> String {
    let digest = <Hmac<Sha256>>::new_from_slice(entry.key.as_slice())
        .expect("HMAC takes a key of any length")
        .chain_update(DIGEST_CONTEXT)
        .chain_update(purpose.name())
        .chain_update(entry.version.to_be_bytes())
        .finalize()
        .into_bytes();
    hex::encode(&digest[..DIGEST_LENGTH])
}

/// The keys of one purpose, the highest version first.
struct Numbered<K>(Vec<(i16, K)>);

impl<K> Numbered<K> {
    fn of(entries: &[document::Entry], make: impl Fn(&KeyBytes) -> K) -> Self {
        let mut keys: Vec<(i16, K)> = entries
            .iter()
            .map(|entry| (entry.version, make(&entry.key)))
            .collect();
        keys.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        Self(keys)
    }

    fn current(&self, purpose: Purpose, in_use: &InUse) -> Result<(i16, &K), Lacking> {
        let version = in_use.of(purpose).current;
        let key = self.get(version);
        let key = key.ok_or(Lacking(KeyVersion { purpose, version }))?;
        Ok((version, key))
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
