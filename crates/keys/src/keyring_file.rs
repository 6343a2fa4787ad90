//! The file with the keyring.

use std::path::{Path, PathBuf};

use latchkey_service_kit::config::private::{PrivateFileError, read_private};
use serde::{Deserialize, Serialize};

use crate::domain::keyring::{Keyring, KeyringError};

/// Why there is no keyring to work with. Never repeats anything of the file but its path.
#[derive(Debug, thiserror::Error)]
pub enum KeyringFileError {
    /// The file cannot be read, or others may read it too.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The file's content is no keyring.
    #[error("{path} cannot be used")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyringError,
    },
}

/// The path of a keyring file. Shown freely: a path is not a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyringFile(PathBuf);

impl KeyringFile {
    /// The keyring in the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the keyring. Refused if others have any right to the file, or if it is no keyring.
    pub fn read(&self) -> Result<Keyring, KeyringFileError> {
        let text = read_private(&self.0)?;
        Keyring::parse(&text).map_err(|source| KeyringFileError::Malformed {
            path: self.0.clone(),
            source,
        })
    }
}
