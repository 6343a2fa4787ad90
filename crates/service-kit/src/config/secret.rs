//! Secrets, which stand in files of their own and never in the configuration.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::private::{PrivateFileError, read_private};

/// Why a secret is not there.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file cannot be read as text, or others than its owner can read it too.
    #[error("the secret is not there")]
    File(#[from] PrivateFileError),
    /// The file is empty.
    #[error("the secret file {0} is empty")]
    Empty(PathBuf),
}

/// The path of a file that holds a secret and that nobody but its owner has any right to. Shown freely: a path is not a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretFile(PathBuf);

impl SecretFile {
    /// The secret in the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where the secret stands.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the secret, without the line break at its end, if nobody else can read it.
    pub fn read(&self) -> Result<SecretString, SecretFileError> {
        let text = read_private(&self.0)?;
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(SecretFileError::Empty(self.0.clone()));
        }
        Ok(SecretString::from(secret))
    }
}
