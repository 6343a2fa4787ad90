//! The keyring's file format: TOML, one table per key.
//!
//! ```toml
//! [[seal]]
//! version = 1
//! key = "…"           # 32 bytes in base64
//!
//! [[look_up]]
//! version = 1
//! key = "…"
//!
//! [[fingerprint]]
//! version = 1
//! key = "…"
//! ```
//!
//! Which version is current does not stand here: the database says it, to all replicas at once.

use std::collections::HashSet;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::CryptoRng;
use secrecy::SecretString;
use serde::Deserialize;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::{KEY_LENGTH, KeyBytes, KeyVersion, Purpose};

/// What stands at the head of a keyring file.
const HEADER: &str = "# The keys that protect training codes. Without this file no code can be looked up or shown again.\n\
                      # Keep it outside the database and its backups, readable by the service alone.\n";

/// Why a text is no keyring. Never repeats anything of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// Not TOML, or a field is missing, unknown or of the wrong type.
    #[error("the keyring is not a keyring document{}", .line.map(|line| format!(" (line {line})")).unwrap_or_default())]
    NotADocument {
        /// Where, counted from 1, if it is at one place.
        line: Option<usize>,
    },
    /// A purpose has no key.
    #[error("the keyring has no `{purpose}` key")]
    NoKey {
        /// The purpose.
        purpose: &'static str,
    },
    /// A version is below 1 or occurs twice.
    #[error(
        "the versions of the keyring's `{purpose}` keys must be different and at least 1; {version} is wrong"
    )]
    BadVersion {
        /// The purpose.
        purpose: &'static str,
        /// The version.
        version: i16,
    },
    /// A key is not 32 bytes in base64.
    #[error(
        "version {version} of the keyring's `{purpose}` keys is not {KEY_LENGTH} bytes in base64"
    )]
    BadKey {
        /// The purpose.
        purpose: &'static str,
        /// The version.
        version: i16,
    },
    /// One key occurs twice: a leak of one would be a leak of the other.
    #[error("version {version} of the keyring's `{purpose}` keys occurs twice in the keyring")]
    KeyReused {
        /// The purpose of the second one.
        purpose: &'static str,
        /// Its version.
        version: i16,
    },
}

/// A key and its version.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) version: i16,
    pub(super) key: KeyBytes,
}

impl Entry {
    fn draw(version: i16, random: &mut impl CryptoRng) -> Self {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        random.fill_bytes(key.as_mut_slice());
        Self { version, key }
    }
}

/// A keyring as it is kept.
#[derive(Clone)]
pub(super) struct Document {
    seal: Vec<Entry>,
    look_up: Vec<Entry>,
    fingerprint: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDocument {
    #[serde(default)]
    seal: Vec<RawEntry>,
    #[serde(default)]
    look_up: Vec<RawEntry>,
    #[serde(default)]
    fingerprint: Vec<RawEntry>,
}

#[derive(Deserialize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    version: i16,
    key: String,
}

impl Document {
    pub(super) fn generate(random: &mut impl CryptoRng) -> Self {
        let mut first = || vec![Entry::draw(1, random)];
        Self {
            seal: first(),
            look_up: first(),
            fingerprint: first(),
        }
    }

    /// The keys for `purpose`: one at least.
    pub(super) fn of(&self, purpose: Purpose) -> &[Entry] {
        match purpose {
            Purpose::Seal => &self.seal,
            Purpose::LookUp => &self.look_up,
            Purpose::Fingerprint => &self.fingerprint,
        }
    }

    fn of_mut(&mut self, purpose: Purpose) -> &mut Vec<Entry> {
        match purpose {
            Purpose::Seal => &mut self.seal,
            Purpose::LookUp => &mut self.look_up,
            Purpose::Fingerprint => &mut self.fingerprint,
        }
    }

    /// The same with a new key of this version.
    pub(super) fn with(&self, purpose: Purpose, version: i16, random: &mut impl CryptoRng) -> Self {
        let mut more = self.clone();
        more.of_mut(purpose).push(Entry::draw(version, random));
        more
    }

    /// The same without a key; `None` if it does not have it, or no other for its purpose.
    pub(super) fn without(&self, key: KeyVersion) -> Option<Self> {
        let mut less = self.clone();
        let entries = less.of_mut(key.purpose);
        let before = entries.len();
        entries.retain(|entry| entry.version != key.version);
        let gone = !entries.is_empty() && entries.len() < before;
        gone.then_some(less)
    }

    pub(super) fn parse(text: &str) -> Result<Self, KeyringError> {
        // The library's own message quotes the line at fault, which may be a key.
        let raw: RawDocument =
            toml::from_str(text).map_err(|error| KeyringError::NotADocument {
                line: error
                    .span()
                    .and_then(|span| text.get(..span.start))
                    .map(|before| before.matches('\n').count() + 1),
            })?;
        let mut seen = Vec::new();
        Ok(Self {
            seal: entries(Purpose::Seal.name(), &raw.seal, &mut seen)?,
            look_up: entries(Purpose::LookUp.name(), &raw.look_up, &mut seen)?,
            fingerprint: entries(Purpose::Fingerprint.name(), &raw.fingerprint, &mut seen)?,
        })
    }

    pub(super) fn to_toml(&self) -> SecretString {
        let mut text = HEADER.to_owned();
        for purpose in Purpose::ALL {
            for entry in self.of(purpose) {
                let key = Zeroizing::new(STANDARD.encode(entry.key.as_slice()));
                // Writing to a string cannot fail.
                let _ = write!(
                    text,
                    "\n[[{purpose}]]\nversion = {}\nkey = \"{}\"\n",
                    entry.version,
                    key.as_str()
                );
            }
        }
        SecretString::from(text)
    }
}

fn entries(
    purpose: &'static str,
    raw: &[RawEntry],
    seen: &mut Vec<KeyBytes>,
) -> Result<Vec<Entry>, KeyringError> {
    if raw.is_empty() {
        return Err(KeyringError::NoKey { purpose });
    }
    let mut versions = HashSet::new();
    raw.iter()
        .map(|entry| {
            let version = entry.version;
            if version < 1 || !versions.insert(version) {
                return Err(KeyringError::BadVersion { purpose, version });
            }
            let bytes = STANDARD
                .decode(entry.key.trim())
                .map(Zeroizing::new)
                .unwrap_or_default();
            let Ok(key) = <[u8; KEY_LENGTH]>::try_from(bytes.as_slice()).map(Zeroizing::new) else {
                return Err(KeyringError::BadKey { purpose, version });
            };
            if seen.contains(&key) {
                return Err(KeyringError::KeyReused { purpose, version });
            }
            seen.push(key.clone());
            Ok(Entry { version, key })
        })
        .collect()
}
