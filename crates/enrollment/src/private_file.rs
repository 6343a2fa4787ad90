//! Files with this service's own secrets.

use std::path::{Path, PathBuf};

use latchkey_service_kit::config::private::{self as read, read_private};
use latchkey_service_kit::identity::{KeyPair, KeyPairError};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::domain::fingerprint::{FingerprintKey, KeyTooShort};

/// Why a secret cannot be used. Never repeats anything of the file but its path.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// The file cannot be read, or others may read it too.
    #[error(transparent)]
    File(#[from] read::PrivateFileError),
    /// The file's content is no private key.
    #[error("{path} cannot be used")]
    NoPrivateKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyPairError,
    },
    /// The file's content is no hexadecimal number of whole bytes.
    #[error("{path} is not hexadecimal")]
    NotHexadecimal {
        /// The file.
        path: PathBuf,
    },
    /// The file's content is too easy to guess.
    #[error("{path} cannot be used")]
    TooShort {
        /// The file.
        path: PathBuf,
        /// How long it must be.
        source: KeyTooShort,
    },
}

/// The path of a file that nobody but its owner has any right to. Shown freely: a path is not a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrivateFile(PathBuf);

impl PrivateFile {
    /// The secret in the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads an Ed25519 private key in PKCS#8 PEM form.
    pub fn private_key(&self) -> Result<SecretString, PrivateFileError> {
        let pem = SecretString::from(read_private(&self.0)?.as_str());
        let pair = KeyPair::from_pem(pem).map_err(|source| PrivateFileError::NoPrivateKey {
            path: self.0.clone(),
            source,
        })?;
        Ok(SecretString::from(pair.private_pem().expose_secret()))
    }

    /// Reads a text, without the space around it.
    pub fn text(&self) -> Result<SecretString, PrivateFileError> {
        Ok(SecretString::from(read_private(&self.0)?.trim()))
    }

    /// Reads a key of fingerprints: random bytes in hexadecimal.
    pub fn fingerprint_key(&self) -> Result<FingerprintKey, PrivateFileError> {
        let text = read_private(&self.0)?;
        let bytes = hex::decode(text.trim());
        // The decoder's error has a part of the secret in it.
        let bytes = bytes.map_err(|_| PrivateFileError::NotHexadecimal {
            path: self.0.clone(),
        })?;
        FingerprintKey::new(bytes).map_err(|source| PrivateFileError::TooShort {
            path: self.0.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use tempfile::NamedTempFile;

    use super::*;

    #[test]
    fn only_whole_bytes_in_hexadecimal_are_a_key() {
        let file = NamedTempFile::new().unwrap();
        let read = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            PrivateFile::new(file.path()).fingerprint_key()
        };
        read(&"0fA1".repeat(16)).unwrap();
        for wrong in ["0", "0g", "+1", "0 1", "é"] {
            let read = read(wrong);
            assert!(
                matches!(read, Err(PrivateFileError::NotHexadecimal { .. })),
                "{wrong}"
            );
        }
    }
}
