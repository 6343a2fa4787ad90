//! Which versions of the keys are in use: recorded in the database, so that every replica goes by the same ones from the
//! same moment on, whatever its file says.

use std::fmt;

/// What keys are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Codes at rest can be shown again.
    Seal,
    /// A typed code finds its row.
    LookUp,
    /// A repeated request is recognised.
    Fingerprint,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::Seal, Self::LookUp, Self::Fingerprint];

    /// Its name, in keyring files and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seal => "seal",
            Self::LookUp => "look_up",
            Self::Fingerprint => "fingerprint",
        }
    }

    /// The purpose of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The versions of one purpose that are in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// What everything new is made with.
    pub current: i16,
    /// What anything that is stored may have been made with; the current one is among them.
    pub all: Vec<i16>,
    /// Whether all that can be made anew was, since the current one is current.
    pub rotated: bool,
}

/// The versions of every purpose that are in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InUse {
    /// Of keys that seal.
    pub seal: Versions,
    /// Of keys that look up.
    pub look_up: Versions,
    /// Of keys that make fingerprints.
    pub fingerprint: Versions,
}

impl InUse {
    /// The versions of `purpose`.
    pub fn of(&self, purpose: Purpose) -> &Versions {
        match purpose {
            Purpose::Seal => &self.seal,
            Purpose::LookUp => &self.look_up,
            Purpose::Fingerprint => &self.fingerprint,
        }
    }
}

/// A version of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyVersion {
    /// What the key is for.
    pub purpose: Purpose,
    /// Its number.
    pub version: i16,
}

impl fmt::Display for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {} of the `{}` keys", self.version, self.purpose)
    }
}

/// A version is in use, and the keyring does not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the keyring lacks {0}, which is in use")]
pub struct Lacking(pub KeyVersion);
