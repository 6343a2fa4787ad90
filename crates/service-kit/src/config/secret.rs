//! Secrets, which stand in files of their own and never in the configuration.

use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Why a secret is not there.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file cannot be read as text.
    #[error("cannot read the secret file {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The file is empty.
    #[error("the secret file {0} is empty")]
    Empty(PathBuf),
}

/// The path of a file that holds a secret. Shown freely: a path is not a secret.
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

    /// Reads the secret, without the line break at its end.
    pub fn read(&self) -> Result<SecretString, SecretFileError> {
        let text =
            std::fs::read_to_string(&self.0).map_err(|source| SecretFileError::Unreadable {
                path: self.0.clone(),
                source,
            })?;
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(SecretFileError::Empty(self.0.clone()));
        }
        Ok(SecretString::from(secret))
    }
}
