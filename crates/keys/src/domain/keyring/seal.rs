//! Sealing: a code at rest, which can be shown again and cannot be moved to another row.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rand::CryptoRng;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{CurrentKeys, KeyBytes, Keyring};

/// The length of the random nonce in front of each sealed code, in bytes: that of `XChaCha20`, long enough to be drawn at
/// random for every code there will ever be.
const NONCE_LENGTH: usize = 24;

/// Begins the authenticated data of every sealed code, so that nothing sealed for another use fits.
const CONTEXT: &[u8] = b"latchkey.keys.code.1";

/// The row that a code belongs to. A sealed code opens in its own row only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodePlace {
    /// The key.
    pub key_id: Uuid,
    /// The generation of the code.
    pub generation: i32,
}

/// A code as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedCode {
    /// Nonce, ciphertext and tag.
    pub bytes: Vec<u8>,
    /// The version of the key that sealed it.
    pub version: i16,
}

impl fmt::Debug for SealedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedCode")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Why a sealed code cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsealable {
    /// The keyring has no such version.
    #[error("the keyring has no version {0} of the `seal` keys")]
    NoSuchVersion(i16),
    /// It was changed, belongs to another row, or was sealed by another key.
    #[error("a sealed code does not open in its row")]
    Damaged,
}

/// One key for sealing.
pub(super) struct SealKey(XChaCha20Poly1305);

impl SealKey {
    pub(super) fn new(key: &KeyBytes) -> Self {
        Self(XChaCha20Poly1305::new((&**key).into()))
    }
}

impl CurrentKeys<'_> {
    /// Seals `text`, the code as people are shown it, for the row `place`.
    pub fn seal(&self, place: CodePlace, text: &str, random: &mut impl CryptoRng) -> SealedCode {
        let (version, key) = self.seal;
        let mut nonce = [0; NONCE_LENGTH];
        random.fill_bytes(&mut nonce);
        let payload = Payload {
            msg: text.as_bytes(),
            aad: &place.bound(version),
        };
        let sealed = key
            .0
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a code is shorter than 2^38 bytes");
        let mut bytes = Vec::with_capacity(NONCE_LENGTH + sealed.len());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        SealedCode { bytes, version }
    }
}

impl Keyring {
    /// Opens what was sealed for the row `place`.
    pub fn unseal(
        &self,
        place: CodePlace,
        sealed: &SealedCode,
    ) -> Result<Zeroizing<String>, Unsealable> {
        let key = self
            .seal
            .get(sealed.version)
            .ok_or(Unsealable::NoSuchVersion(sealed.version))?;
        let (nonce, ciphertext) = sealed
            .bytes
            .split_first_chunk::<NONCE_LENGTH>()
            .ok_or(Unsealable::Damaged)?;
        let payload = Payload {
            msg: ciphertext,
            aad: &place.bound(sealed.version),
        };
        let text = key
            .0
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| Unsealable::Damaged)?;
        String::from_utf8(text)
            .map(Zeroizing::new)
            .map_err(|_| Unsealable::Damaged)
    }
}

impl CodePlace {
    /// What the seal is bound to. Every part but the first has a fixed length.
    fn bound(self, version: i16) -> Vec<u8> {
        [
            CONTEXT,
            self.key_id.as_bytes(),
            &self.generation.to_be_bytes(),
            &version.to_be_bytes(),
        ]
        .concat()
    }
}
