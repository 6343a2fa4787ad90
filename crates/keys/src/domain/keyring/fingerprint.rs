//! Fingerprints: a keyed digest of what was asked, so that the same request id with other content is recognised without
//! keeping the content, which may be a code.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{CurrentKeys, KeyBytes, Keyring};

/// The keyed digest of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// HMAC-SHA-256 of the request's parts.
    pub bytes: Vec<u8>,
    /// The version of the key.
    pub version: i16,
}

/// One key for fingerprints.
pub(super) struct FingerprintKey(Hmac<Sha256>);

impl FingerprintKey {
    pub(super) fn new(key: &KeyBytes) -> Self {
        Self(Hmac::new_from_slice(key.as_slice()).expect("HMAC takes a key of any length"))
    }

    /// Each part goes in behind its length, so that no two lists of parts look alike.
    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        parts.iter().fold(self.0.clone(), |mac, part| {
            mac.chain_update((part.len() as u64).to_be_bytes())
                .chain_update(part)
        })
    }
}

impl CurrentKeys<'_> {
    /// The fingerprint of a request with these parts.
    pub fn fingerprint(&self, parts: &[&[u8]]) -> Fingerprint {
        let (version, key) = self.fingerprint;
        Fingerprint {
            bytes: key.mac(parts).finalize().into_bytes().to_vec(),
            version,
        }
    }
}

impl Keyring {
    /// Whether `recorded` is the fingerprint of a request with these parts; `None` if the keyring lacks its version.
    pub fn fits(&self, recorded: &Fingerprint, parts: &[&[u8]]) -> Option<bool> {
        let key = self.fingerprint.get(recorded.version)?;
        Some(key.mac(parts).verify_slice(&recorded.bytes).is_ok())
    }
}
