//! The operating-system account that runs Postgres. Postgres refuses to run as root, so root lends it another.

use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};

/// Accounts that root runs Postgres as, in this order: the one that packages of Postgres create, then the one that
/// every Unix has.
const ACCOUNTS_FOR_ROOT: [&str; 2] = ["postgres", "nobody"];

/// Whom a Postgres process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    name: String,
    uid: u32,
    gid: u32,
    /// Whether processes must be switched to it, because we are root.
    switched: bool,
}

impl Account {
    /// Our own account, or for root the first of `postgres` and `nobody` that exists.
    ///
    /// # Errors
    /// When we are root and neither account exists.
    pub fn for_postgres() -> io::Result<Self> {
        if !geteuid().is_root() {
            let name = User::from_uid(geteuid())
                .ok()
                .flatten()
                .map_or_else(|| geteuid().to_string(), |user| user.name);
            return Ok(Self {
                name,
                uid: geteuid().as_raw(),
                gid: getegid().as_raw(),
                switched: false,
            });
        }
        for name in ACCOUNTS_FOR_ROOT {
            if let Some(user) = User::from_name(name).map_err(io::Error::from)? {
                return Ok(Self {
                    name: user.name,
                    uid: user.uid.as_raw(),
                    gid: user.gid.as_raw(),
                    switched: true,
                });
            }
        }
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            "Postgres refuses to run as root, and there is neither an account `postgres` nor `nobody` to run it as",
        ))
    }

    /// The account with these ids, for a process that was told them by its parent.
    pub fn from_ids(uid: u32, gid: u32) -> Self {
        let name = User::from_uid(Uid::from_raw(uid))
            .ok()
            .flatten()
            .map_or_else(|| uid.to_string(), |user| user.name);
        Self {
            name,
            uid,
            gid,
            switched: geteuid().is_root() && uid != 0,
        }
    }

    /// Its name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its user and group id.
    pub fn ids(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// Makes `command` run as this account, without the supplementary groups of ours, in a directory that it can
    /// surely enter.
    pub fn apply(&self, command: &mut Command) {
        if self.switched {
            command
                .uid(self.uid)
                .gid(self.gid)
                .current_dir("/")
                .env("HOME", "/nonexistent")
                .env_remove("XDG_RUNTIME_DIR");
        }
    }

    /// Gives `path` to this account.
    pub fn own(&self, path: &Path) -> io::Result<()> {
        if self.switched {
            chown(path, Some(self.uid), Some(self.gid))?;
        }
        Ok(())
    }

    /// Whether the account may enter `directory`, or, where that does not exist yet, the directories above it that do.
    pub fn can_reach(&self, directory: &Path) -> bool {
        if !self.switched {
            return true;
        }
        let Ok(absolute) = std::path::absolute(directory) else {
            return false;
        };
        let existing = absolute
            .ancestors()
            .find_map(|ancestor| ancestor.canonicalize().ok());
        existing
            .unwrap_or_else(|| PathBuf::from("/"))
            .ancestors()
            .all(|ancestor| self.can_enter(ancestor))
    }

    fn can_enter(&self, directory: &Path) -> bool {
        let Ok(metadata) = directory.metadata() else {
            return false;
        };
        let wanted = if metadata.uid() == self.uid {
            0o100
        } else if metadata.gid() == self.gid || self.is_member(metadata.gid()) {
            0o010
        } else {
            0o001
        };
        metadata.is_dir() && metadata.mode() & wanted != 0
    }

    /// Processes are started without supplementary groups, so only the primary group counts.
    fn is_member(&self, gid: u32) -> bool {
        !self.switched
            && Group::from_gid(Gid::from_raw(gid))
                .ok()
                .flatten()
                .is_some_and(|group| group.mem.contains(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn stranger() -> Account {
        Account {
            name: "stranger".into(),
            uid: 4_000_000,
            gid: 4_000_000,
            switched: true,
        }
    }

    #[test]
    fn a_directory_below_a_private_one_cannot_be_reached() {
        let outer = tempfile::tempdir().expect("temporary directory");
        let inner = outer.path().join("inner");
        std::fs::create_dir(&inner).expect("inner directory");
        std::fs::set_permissions(outer.path(), PermissionsExt::from_mode(0o700))
            .expect("permissions");
        assert!(!stranger().can_reach(&inner));
        assert!(!stranger().can_reach(&inner.join("not/yet/there")));

        std::fs::set_permissions(outer.path(), PermissionsExt::from_mode(0o711))
            .expect("permissions");
        std::fs::set_permissions(&inner, PermissionsExt::from_mode(0o711)).expect("permissions");
        assert!(stranger().can_reach(&inner.join("not/yet/there")));
    }

    #[test]
    fn postgres_never_runs_as_root() {
        let account = Account::for_postgres().expect("an account");
        assert_ne!(account.ids().0, 0);
    }
}
