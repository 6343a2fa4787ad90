//! Files that nobody but the service may read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use zeroize::Zeroizing;

/// What nobody but a file's owner may have: the rights of its group and of everybody else.
const OF_OTHERS: u32 = 0o077;

/// The same of a file that belongs to root and is handed to the service by its group, as orchestrators do: the group may
/// read it.
const OF_OTHERS_BUT_READING_BY_THE_GROUP: u32 = 0o037;

/// The most that is read, in bytes: many times what any key takes.
const MAX_BYTES: u64 = 64 * 1024;

/// Why a private file cannot be used. Never repeats anything of the file but its path.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
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
}

/// The text of the file at `path`, if nobody else may read or change it: its rights are its owner's alone; or it is
/// root's, this process is not, and the group may read it.
pub fn read_private(path: &Path) -> Result<Zeroizing<String>, PrivateFileError> {
    let (text, mode, owner) = read(path).map_err(|source| PrivateFileError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let handed_by_group = owner == 0 && !geteuid().is_root();
    if mode & forbidden(handed_by_group) != 0 {
        return Err(PrivateFileError::Open {
            path: path.to_owned(),
            mode: mode & 0o777,
        });
    }
    Ok(text)
}

fn forbidden(handed_by_group: bool) -> u32 {
    if handed_by_group {
        OF_OTHERS_BUT_READING_BY_THE_GROUP
    } else {
        OF_OTHERS
    }
}

/// The text, the mode and the owner of one and the same file, whatever is put in its place meanwhile.
fn read(path: &Path) -> io::Result<(Zeroizing<String>, u32, u32)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok((text, metadata.mode(), metadata.uid()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn others_may_have_no_rights_but_a_group_that_root_has_given_the_file_to() {
        for (mode, alone, by_group) in [
            (0o600, true, true),
            (0o400, true, true),
            (0o440, false, true),
            (0o460, false, false),
            (0o604, false, false),
            (0o444, false, false),
        ] {
            assert_eq!(mode & forbidden(false) == 0, alone, "{mode:o}");
            assert_eq!(mode & forbidden(true) == 0, by_group, "{mode:o}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_not_used() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret").unwrap();
        let set = |mode| {
            std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode)).unwrap();
        };
        set(0o600);
        assert_eq!(read_private(file.path()).unwrap().as_str(), "secret");
        set(0o644);
        let refusal = read_private(file.path()).unwrap_err().to_string();
        assert!(refusal.contains("mode 644"), "{refusal}");
        assert!(!refusal.contains("secret\n"), "{refusal}");
    }
}
