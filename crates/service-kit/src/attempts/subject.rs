//! Who is counted.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Who or what a limit is about: 128 bits that identify it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(Uuid);

impl Subject {
    /// What has this id.
    pub const fn id(id: Uuid) -> Self {
        Self(id)
    }

    /// What has this digest, of which the first 16 bytes count. For personal data: a keyed digest of it.
    pub fn digest(digest: &[u8]) -> Self {
        let mut bytes = [0; 16];
        for (byte, given) in bytes.iter_mut().zip(digest) {
            *byte = *given;
        }
        Self(Uuid::from_bytes(bytes))
    }

    /// The caller whom `issuer` calls `subject`.
    pub fn caller(issuer: &str, subject: &str) -> Self {
        let mut digest = Sha256::new();
        // With its length, so that the two never run into each other.
        digest.update((issuer.len() as u64).to_be_bytes());
        digest.update(issuer);
        digest.update(subject);
        Self::digest(&digest.finalize())
    }

    /// The same as an id.
    pub fn as_uuid(self) -> Uuid {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_told_apart_by_issuer_and_subject() {
        let one = Subject::caller("https://a.example.com", "ann");
        assert_eq!(one, Subject::caller("https://a.example.com", "ann"));
        assert_ne!(one, Subject::caller("https://b.example.com", "ann"));
        assert_ne!(one, Subject::caller("https://a.example.co", "mann"));
    }
}
