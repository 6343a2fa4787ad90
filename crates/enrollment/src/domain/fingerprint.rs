//! Keyed digests of what was asked, so that the same id with other content is recognised without keeping the content.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The length of a fingerprint and the least length of its key, in bytes.
pub const LENGTH: usize = 32;

/// The key of fingerprints. A secret: who has it and a copy of the database can test guesses of what was asked.
#[derive(Clone)]
pub struct FingerprintKey(Zeroizing<Vec<u8>>);

/// Why something cannot be the key of fingerprints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint key has at least {LENGTH} bytes")]
pub struct KeyTooShort;

impl FingerprintKey {
    /// Takes random bytes, at least [`LENGTH`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, KeyTooShort> {
        let bytes = Zeroizing::new(bytes);
        if bytes.len() < LENGTH {
            Err(KeyTooShort)
        } else {
            Ok(Self(bytes))
        }
    }

    /// Begins the fingerprint of a request to `method`. The method is part of it.
    pub fn begin(&self, method: &str) -> Fingerprint {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        Fingerprint(mac).text(method)
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey([redacted])")
    }
}

/// A fingerprint in the making. Each part is added with its length, so that parts never run into each other.
#[must_use = "a fingerprint is made by `finish`"]
pub struct Fingerprint(Hmac<Sha256>);

impl Fingerprint {
    /// Adds bytes.
    pub fn bytes(mut self, part: &[u8]) -> Self {
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    /// Adds a text.
    pub fn text(self, part: &str) -> Self {
        self.bytes(part.as_bytes())
    }

    /// Adds a text that may be missing; missing differs from empty.
    pub fn optional(self, part: Option<&str>) -> Self {
        match part {
            Some(part) => self.bytes(&[1]).text(part),
            None => self.bytes(&[0]),
        }
    }

    /// Adds a number.
    pub fn number(self, part: i64) -> Self {
        self.bytes(&part.to_be_bytes())
    }

    /// The fingerprint: [`LENGTH`] bytes.
    pub fn finish(self) -> Vec<u8> {
        self.0.finalize().into_bytes().to_vec()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> FingerprintKey {
        FingerprintKey::new(vec![byte; LENGTH]).unwrap()
    }

    #[test]
    fn the_same_content_has_the_same_fingerprint() {
        let make = || {
            key(1)
                .begin("Create")
                .text("a")
                .optional(None)
                .number(7)
                .finish()
        };
        assert_eq!(make(), make());
        assert_eq!(make().len(), LENGTH);
    }

    #[test]
    fn method_key_and_every_part_count() {
        let all = [
            key(1).begin("Create").text("ab").text("c").finish(),
            key(2).begin("Create").text("ab").text("c").finish(),
            key(1).begin("Enroll").text("ab").text("c").finish(),
            key(1).begin("Create").text("a").text("bc").finish(),
            key(1).begin("Create").text("abc").finish(),
            key(1).begin("Create").optional(None).finish(),
            key(1).begin("Create").optional(Some("")).finish(),
            key(1).begin("Create").number(1).finish(),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all[index + 1..].iter().all(|other| other != one), "{index}");
        }
    }

    #[test]
    fn a_short_key_is_refused_and_no_key_is_shown() {
        assert_eq!(
            FingerprintKey::new(vec![1; LENGTH - 1]).unwrap_err(),
            KeyTooShort
        );
        assert_eq!(format!("{:?}", key(7)), "FingerprintKey([redacted])");
    }
}
