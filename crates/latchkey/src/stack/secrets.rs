//! Files with secrets: each made once, readable by their owner only.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use latchkey_service_kit::identity::KeyPair;
use latchkey_service_kit::ids::os_random;
use rand::Rng;
use secrecy::{ExposeSecret, SecretString};

/// A directory of secrets.
#[derive(Debug, Clone)]
pub struct Secrets {
    directory: PathBuf,
}

impl Secrets {
    /// The secrets in `directory`, which must exist and be closed to others.
    pub fn in_directory(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where the secret `name` is kept.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The secret `name`, made by `make` if it is not there yet. Two makers at once agree on the one that came first.
    ///
    /// # Errors
    /// When it can be neither read nor written.
    pub fn get_or_make(
        &self,
        name: &str,
        make: impl FnOnce() -> anyhow::Result<SecretString>,
    ) -> anyhow::Result<SecretString> {
        let path = self.path(name);
        if let Some(found) = read(&path)? {
            return Ok(found);
        }
        let fresh = make()?;
        match write_new(&path, fresh.expose_secret()) {
            Ok(()) => Ok(fresh),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                read(&path)?.with_context(|| format!("{} came and went", path.display()))
            }
            Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
        }
    }

    /// A password of 256 random bits, in hexadecimal.
    ///
    /// # Errors
    /// As [`Secrets::get_or_make`].
    pub fn password(&self, name: &str) -> anyhow::Result<SecretString> {
        self.get_or_make(name, || {
            let mut bytes = [0_u8; 32];
            os_random().fill_bytes(&mut bytes);
            Ok(SecretString::from(hex::encode(bytes)))
        })
    }

    /// An Ed25519 key pair, kept as PKCS#8 PEM.
    ///
    /// # Errors
    /// As [`Secrets::get_or_make`], and when the file is not such a key.
    pub fn key_pair(&self, name: &str) -> anyhow::Result<KeyPair> {
        let pem = self.get_or_make(name, || {
            Ok(KeyPair::generate(&mut os_random())?.private_pem().clone())
        })?;
        KeyPair::from_pem(pem).with_context(|| format!("cannot use {}", self.path(name).display()))
    }

    /// Writes the secret `name` anew, for what follows from other secrets, such as a URL with a password.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, name: &str, text: &SecretString) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        replace_private(&path, text.expose_secret())?;
        Ok(path)
    }
}

fn read(path: &Path) -> anyhow::Result<Option<SecretString>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(SecretString::from(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes beside, then links: the file is there whole or not at all, and never replaces another.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let beside = beside(path);
    write_private(&beside, text)?;
    let linked = std::fs::hard_link(&beside, path);
    std::fs::remove_file(&beside)?;
    linked
}

/// Writes a file that only its owner can read, whole or not at all, in place of what was there.
///
/// # Errors
/// When it cannot be written.
pub fn replace_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let beside = beside(path);
    write_private(&beside, text).with_context(|| format!("cannot write {}", beside.display()))?;
    std::fs::rename(&beside, path).with_context(|| format!("cannot write {}", path.display()))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    PathBuf::from(name)
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn secrets() -> (tempfile::TempDir, Secrets) {
        let directory = tempfile::tempdir().expect("temporary directory");
        let secrets = Secrets::in_directory(directory.path().to_owned());
        (directory, secrets)
    }

    #[test]
    fn a_secret_is_made_once_and_readable_by_its_owner_only() {
        let (_directory, secrets) = secrets();
        let first = secrets.password("password").expect("made");
        let again = secrets.password("password").expect("read");
        assert_eq!(first.expose_secret(), again.expose_secret());
        assert_eq!(first.expose_secret().len(), 64);
        let mode = secrets
            .path("password")
            .metadata()
            .expect("metadata")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = secrets.password("other").expect("made");
        assert_ne!(first.expose_secret(), other.expose_secret());
    }

    #[test]
    fn a_key_pair_comes_back_the_same() {
        let (_directory, secrets) = secrets();
        let first = secrets.key_pair("issuer.pem").expect("made");
        assert_eq!(
            secrets.key_pair("issuer.pem").expect("read").kid(),
            first.kid()
        );
        std::fs::write(secrets.path("bad.pem"), "no key").expect("written");
        let error = secrets.key_pair("bad.pem").expect_err("no key").to_string();
        assert!(error.contains("bad.pem"), "{error}");
    }

    #[test]
    fn what_is_put_again_replaces_what_was_there_and_leaves_nothing_beside() {
        let (directory, secrets) = secrets();
        secrets
            .put("url", &SecretString::from("one"))
            .expect("written");
        secrets
            .put("url", &SecretString::from("two"))
            .expect("written");
        assert_eq!(
            std::fs::read_to_string(secrets.path("url")).expect("read"),
            "two"
        );
        assert_eq!(
            std::fs::read_dir(directory.path())
                .expect("directory")
                .count(),
            1
        );
    }
}
