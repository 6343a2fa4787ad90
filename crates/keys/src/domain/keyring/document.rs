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

use std::collections::HashSet;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::CryptoRng;
use secrecy::SecretString;
use serde::Deserialize;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::{KEY_LENGTH, KeyBytes};

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
pub(super) struct Entry {
    pub(super) version: i16,
    pub(super) key: KeyBytes,
}

/// A keyring as it is kept.
pub(super) struct Document {
    pub(super) seal: Vec<Entry>,
    pub(super) look_up: Vec<Entry>,
    pub(super) fingerprint: Vec<Entry>,
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
        let mut first = || {
            let mut key = Zeroizing::new([0; KEY_LENGTH]);
            random.fill_bytes(key.as_mut_slice());
            vec![Entry { version: 1, key }]
        };
        Self {
            seal: first(),
            look_up: first(),
            fingerprint: first(),
        }
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
            seal: entries("seal", &raw.seal, &mut seen)?,
            look_up: entries("look_up", &raw.look_up, &mut seen)?,
            fingerprint: entries("fingerprint", &raw.fingerprint, &mut seen)?,
        })
    }

    pub(super) fn to_toml(&self) -> SecretString {
        let mut text = HEADER.to_owned();
        for (purpose, entries) in [
            ("seal", &self.seal),
            ("look_up", &self.look_up),
            ("fingerprint", &self.fingerprint),
        ] {
            for entry in entries {
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
