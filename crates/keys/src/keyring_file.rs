//! The file with the keyring.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::keyring::{Keyring, KeyringError};

/// The permissions of a file's group and of everybody else: a keyring has none of them.
const OF_OTHERS: u32 = 0o077;

/// The largest keyring file that is read, in bytes: some hundred keys.
const MAX_BYTES: u64 = 64 * 1024;

/// Why there is no keyring to work with. Never repeats anything of the file but its path.
#[derive(Debug, thiserror::Error)]
pub enum KeyringFileError {
    /// The file cannot be read as text.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Somebody else may read or change the file.
    #[error("others than its owner have rights to {path} (mode {mode:03o}): chmod 600 it")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
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
        let (text, mode) = self.text().map_err(|source| KeyringFileError::Unreadable {
            path: self.0.clone(),
            source,
        })?;
        if mode & OF_OTHERS != 0 {
            return Err(KeyringFileError::Open {
                path: self.0.clone(),
                mode: mode & 0o777,
            });
        }
        Keyring::parse(&text).map_err(|source| KeyringFileError::Malformed {
            path: self.0.clone(),
            source,
        })
    }

    /// The text and the mode of one and the same file, whatever is put in its place meanwhile.
    fn text(&self) -> io::Result<(Zeroizing<String>, u32)> {
        let file = File::open(&self.0)?;
        let mode = file.metadata()?.mode();
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_BYTES).read_to_string(&mut text)?;
        Ok((text, mode))
    }
}
