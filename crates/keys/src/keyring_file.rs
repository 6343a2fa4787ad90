//! The file with the keyring.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use latchkey_service_kit::config::private::{PrivateFileError, read_private};
use secrecy::ExposeSecret;
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
    /// The file cannot be written.
    #[error("cannot write {path}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
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

    /// Puts in its place what `change` makes of the keyring; nothing, if that makes nothing. The file is there whole at any
    /// moment and on any crash, its owner, group and mode stay. Two changes at once are made one after the other.
    ///
    /// # Errors
    /// When it cannot be read, as [`KeyringFile::read`], or not be written.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&Keyring) -> Option<(Keyring, T)>,
    ) -> Result<Option<T>, KeyringFileError> {
        let unwritable = |source| KeyringFileError::Unwritable {
            path: self.0.clone(),
            source,
        };
        // Where a link leads: the link itself stays.
        let path = fs::canonicalize(&self.0).map_err(unwritable)?;
        let directory = path.parent().unwrap_or(Path::new("/"));
        let directory = File::open(directory).map_err(unwritable)?;
        // Held until the directory is closed, also if this process dies.
        directory.lock().map_err(unwritable)?;
        let Some((keyring, made)) = change(&self.read()?) else {
            return Ok(None);
        };
        let text = keyring.to_toml();
        replace(&path, text.expose_secret()).map_err(unwritable)?;
        directory.sync_all().map_err(unwritable)?;
        Ok(Some(made))
    }
}

/// Writes `text` beside `path`, as closed as what is there, and puts it in its place.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let old = fs::metadata(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    // Of somebody who did not come to an end.
    let _ = fs::remove_file(&beside);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut new| {
            let own = new.metadata()?;
            if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
                fchown(&new, Some(old.uid()), Some(old.gid()))?;
            }
            new.set_permissions(old.permissions())?;
            new.write_all(text.as_bytes())?;
            new.sync_all()
        })
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What could not be put in place is a copy of a secret.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use latchkey_service_kit::ids::os_random;

    use super::*;
    use crate::domain::keyring::Purpose;

    fn file_in(directory: &Path) -> KeyringFile {
        let path = directory.join("keyring.toml");
        let text = Keyring::generate(&mut os_random()).to_toml();
        fs::write(&path, text.expose_secret()).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
        KeyringFile::new(path)
    }

    fn add(file: &KeyringFile) {
        let added = file.change(|keyring| keyring.with_another(Purpose::Seal, &mut os_random()));
        assert!(added.unwrap().is_some());
    }

    #[test]
    fn many_changes_at_once_are_all_made_and_the_file_stays_as_closed_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let file = file_in(directory.path());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| add(&file));
            }
        });
        assert_eq!(file.read().unwrap().newest(Purpose::Seal), 9);
        let mode = fs::metadata(file.path()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o400);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_a_link_and_what_is_not_changed_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let behind = directory.path().join("behind");
        fs::create_dir(&behind).unwrap();
        let file = file_in(&behind);
        let link = directory.path().join("link.toml");
        symlink(file.path(), &link).unwrap();
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        let before = inode(file.path());
        let through = KeyringFile::new(&link);
        let nothing = through.change(|_| None::<(Keyring, ())>).unwrap();
        assert!(nothing.is_none());
        assert_eq!(inode(file.path()), before);
        add(&through);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(file.read().unwrap().newest(Purpose::Seal), 2);
    }
}
