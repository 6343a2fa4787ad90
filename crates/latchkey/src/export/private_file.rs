//! A file that nobody but its owner can read, and that is whole or not there.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tempfile::{Builder, NamedTempFile};

/// A file that is being written under another name beside its own. Dropped before it is kept, it is removed.
pub(super) struct PrivateFile {
    temporary: NamedTempFile,
    directory: PathBuf,
    target: PathBuf,
    overwrite: bool,
}

impl PrivateFile {
    /// Begins the file that will be `target`.
    ///
    /// # Errors
    /// When `target` is there already and may not be overwritten, or its directory cannot be written to.
    pub(super) fn beside(target: &Path, overwrite: bool) -> anyhow::Result<Self> {
        if target.file_name().is_none() {
            bail!("{} is no name of a file", target.display());
        }
        if !overwrite && target.symlink_metadata().is_ok() {
            bail!(there_already(target));
        }
        let directory = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let temporary = Builder::new()
            .prefix(".latchkey-export-")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(&directory)
            .with_context(|| format!("cannot make a file in {}", directory.display()))?;
        Ok(Self {
            temporary,
            directory,
            target: target.to_owned(),
            overwrite,
        })
    }

    /// Writes on.
    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = self.temporary.write_all(bytes);
        written.with_context(|| format!("cannot write {}", self.target.display()))
    }

    /// Gives it its name, once it is on the disk. Who made a file of that name meanwhile keeps it, unless it may be
    /// overwritten.
    pub(super) fn keep(self) -> anyhow::Result<()> {
        let Self {
            temporary,
            directory,
            target,
            overwrite,
        } = self;
        let synced = temporary.as_file().sync_all();
        synced.with_context(|| format!("cannot write {}", target.display()))?;
        let named = if overwrite {
            temporary.persist(&target)
        } else {
            temporary.persist_noclobber(&target)
        };
        if let Err(error) = named {
            if error.error.kind() == std::io::ErrorKind::AlreadyExists {
                bail!(there_already(&target));
            }
            return Err(error.error).with_context(|| format!("cannot name {}", target.display()));
        }
        // Else the name may be gone after a power cut.
        let entry = File::open(&directory).and_then(|directory| directory.sync_all());
        entry.with_context(|| format!("cannot write {}", directory.display()))
    }
}

fn there_already(target: &Path) -> String {
    format!(
        "{} is there already: name another file, or give --force",
        target.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).expect("a directory");
        entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .collect()
    }

    #[test]
    fn it_is_its_owners_alone_and_has_its_name_only_when_it_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("keys.csv");
        let mut file = PrivateFile::beside(&target, false).expect("begun");
        file.write(b"one,").expect("written");
        assert!(!target.exists());
        let [temporary] = &names(directory.path())[..] else {
            panic!("one file is being written")
        };
        let mode = |name: &str| {
            let path = directory.path().join(name);
            path.metadata().expect("metadata").permissions().mode() & 0o777
        };
        assert_eq!(mode(temporary), 0o600);
        file.write(b"two").expect("written");
        file.keep().expect("kept");
        assert_eq!(std::fs::read(&target).expect("the file"), b"one,two");
        assert_eq!(names(directory.path()), ["keys.csv"]);
        assert_eq!(mode("keys.csv"), 0o600);
    }

    #[test]
    fn nothing_is_left_of_one_that_is_not_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("keys.csv");
        let mut file = PrivateFile::beside(&target, false).expect("begun");
        file.write(b"secret").expect("written");
        drop(file);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn another_file_is_overwritten_only_when_that_is_wished() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("keys.csv");
        let late = PrivateFile::beside(&target, false).expect("begun");
        std::fs::write(&target, "mine").expect("written");
        let Err(error) = PrivateFile::beside(&target, false) else {
            panic!("it is there already")
        };
        assert!(error.to_string().contains("--force"), "{error}");
        late.keep().expect_err("somebody was first");
        assert_eq!(std::fs::read(&target).expect("the file"), b"mine");
        assert_eq!(names(directory.path()), ["keys.csv"]);

        let mut forced = PrivateFile::beside(&target, true).expect("begun");
        forced.write(b"new").expect("written");
        forced.keep().expect("kept");
        assert_eq!(std::fs::read(&target).expect("the file"), b"new");
        for nowhere in [Path::new("/"), Path::new("/no/such/directory/keys.csv")] {
            assert!(PrivateFile::beside(nowhere, true).is_err());
        }
    }
}
