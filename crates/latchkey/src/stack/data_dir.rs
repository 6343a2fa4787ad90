//! The data directory of a development stack: where it is, who has it, and what is in it.

use std::fs::{File, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::unistd::geteuid;

/// A data directory that no other live stack has.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    ephemeral: bool,
    /// Whether it goes when this goes: it is ephemeral, and no guard of a Postgres in it will see to that.
    remove: bool,
    /// Holds the lock; the operating system gives it back when the process ends, however it ends.
    _lock: File,
}

/// The data directory when none is named: it survives a restart.
pub fn default_path() -> PathBuf {
    if geteuid().is_root() {
        // The home of root is closed to the account that Postgres then runs as.
        return PathBuf::from("/var/lib/latchkey/dev");
    }
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("."));
    data.unwrap_or_else(|| home.join(".local/share"))
        .join("latchkey/dev")
}

impl DataDir {
    /// Takes the directory at `path`, making it if need be.
    ///
    /// # Errors
    /// When another live stack has it, or it cannot be made.
    pub fn take(path: &Path) -> anyhow::Result<Self> {
        let path = std::path::absolute(path)?;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(mode())
            .create(&path)
            .with_context(|| format!("cannot make the data directory {}", path.display()))?;
        Self::lock(path, false)
    }

    /// Takes a new directory that is removed when the stack on it has ended.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn ephemeral() -> anyhow::Result<Self> {
        let made = tempfile::Builder::new()
            .prefix("latchkey-")
            .tempdir()
            .context("cannot make a temporary directory")?;
        std::fs::set_permissions(made.path(), Permissions::from_mode(mode()))?;
        Self::lock(made.keep(), true)
    }

    fn lock(path: PathBuf, ephemeral: bool) -> anyhow::Result<Self> {
        let lock_path = path.join("lock");
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .with_context(|| format!("cannot open {}", lock_path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = lock.read_to_string(&mut holder);
                bail!(
                    "the data directory {} belongs to a live stack (process {}): stop that one, or name another directory with --data-dir, or use --ephemeral",
                    path.display(),
                    holder.trim()
                );
            }
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", lock_path.display()));
            }
        }
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Self {
            path,
            ephemeral,
            remove: ephemeral,
            _lock: lock,
        })
    }

    /// Where it is; absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is removed at the end.
    pub fn is_ephemeral(&self) -> bool {
        self.ephemeral
    }

    /// Says that the guard of a Postgres in it removes it, once that has stopped.
    pub fn leave_to_guard(&mut self) {
        self.remove = false;
    }

    /// A directory in it that is closed to other accounts; made if need be.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn private(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)?;
        Ok(path)
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if self.remove {
            // Nobody is left to be told of a failure, and what is left is in the directory for such things.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Postgres may run as another account when we are root: it must be able to pass through, though not to look around.
fn mode() -> u32 {
    if geteuid().is_root() { 0o711 } else { 0o700 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_belongs_to_one_live_stack_at_a_time() {
        let outer = tempfile::tempdir().expect("temporary directory");
        let path = outer.path().join("stack");
        let first = DataDir::take(&path).expect("free");
        let refusal = DataDir::take(&path).expect_err("taken").to_string();
        assert!(
            refusal.contains(&format!("process {}", std::process::id())),
            "{refusal}"
        );
        assert!(refusal.contains("--data-dir"), "{refusal}");
        drop(first);
        DataDir::take(&path).expect("free again");
    }

    #[test]
    fn an_ephemeral_directory_goes_with_its_owner_unless_a_guard_has_it() {
        let ephemeral = DataDir::ephemeral().expect("made");
        let path = ephemeral.path().to_owned();
        assert!(path.exists());
        drop(ephemeral);
        assert!(!path.exists());

        let mut guarded = DataDir::ephemeral().expect("made");
        guarded.leave_to_guard();
        let path = guarded.path().to_owned();
        drop(guarded);
        assert!(path.exists());
        std::fs::remove_dir_all(path).expect("removed");
    }

    #[test]
    fn what_is_private_is_closed_to_others() {
        let outer = tempfile::tempdir().expect("temporary directory");
        let directory = DataDir::take(&outer.path().join("stack")).expect("free");
        let private = directory.private("secrets").expect("made");
        assert_eq!(
            private.metadata().expect("metadata").permissions().mode() & 0o777,
            0o700
        );
        assert_eq!(directory.private("secrets").expect("made before"), private);
    }
}
