//! Ed25519 key pairs for token issuers, made here for development stacks and for services' own identities.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey};
use rand::CryptoRng;
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What stands before the 32 bytes of the private key in a PKCS#8 document (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Why a private key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("not an Ed25519 private key in PKCS#8 PEM form")]
pub struct KeyPairError(#[source] jsonwebtoken::errors::Error);

/// An Ed25519 key pair: the private key as PEM, and how the public half is published.
#[derive(Debug)]
pub struct KeyPair {
    private_pem: SecretString,
    public: String,
}

impl KeyPair {
    /// A new key pair from `random`.
    pub fn generate(random: &mut impl CryptoRng) -> Result<Self, KeyPairError> {
        let mut der = PKCS8_PREFIX.to_vec();
        let mut seed = [0; 32];
        random.fill_bytes(&mut seed);
        der.extend_from_slice(&seed);
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(&der)
        );
        Self::from_pem(SecretString::from(pem))
    }

    /// The key pair of a private key in PKCS#8 PEM form.
    pub fn from_pem(private_pem: SecretString) -> Result<Self, KeyPairError> {
        let public = public_key(&encoding_key(&private_pem)?)?;
        Ok(Self {
            private_pem,
            public,
        })
    }

    /// The private key, to be written to a file that only its owner can read.
    pub fn private_pem(&self) -> &SecretString {
        &self.private_pem
    }

    /// The name of the key in tokens and key sets: the first 16 characters of its RFC 7638 thumbprint.
    pub fn kid(&self) -> String {
        kid(&self.public)
    }

    /// The public half as a JSON Web Key.
    pub fn public_jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": self.public, "kid": self.kid(), "use": "sig", "alg": "EdDSA"})
    }
}

/// A JSON Web Key Set with these public keys.
pub fn jwks_document<'k>(pairs: impl IntoIterator<Item = &'k KeyPair>) -> String {
    let keys: Vec<Value> = pairs.into_iter().map(KeyPair::public_jwk).collect();
    format!("{:#}\n", json!({"keys": keys}))
}

pub(super) fn encoding_key(private_pem: &SecretString) -> Result<EncodingKey, KeyPairError> {
    use secrecy::ExposeSecret;
    EncodingKey::from_ed_pem(private_pem.expose_secret().as_bytes()).map_err(KeyPairError)
}

/// The public key, base64url, as a JWK has it in `x`.
pub(super) fn public_key(key: &EncodingKey) -> Result<String, KeyPairError> {
    match Jwk::from_encoding_key(key, Algorithm::EdDSA)
        .map_err(KeyPairError)?
        .algorithm
    {
        AlgorithmParameters::OctetKeyPair(parameters) => Ok(parameters.x),
        _ => Err(KeyPairError(
            jsonwebtoken::errors::ErrorKind::InvalidEddsaKey.into(),
        )),
    }
}

pub(super) fn kid(public: &str) -> String {
    // RFC 7638: the required members in lexical order, without white space.
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public}"}}"#);
    let mut thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes()));
    thumbprint.truncate(16);
    thumbprint
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn the_thumbprint_of_the_example_in_rfc_8037() {
        let expected = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
        assert_eq!(
            kid("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
            expected[..16]
        );
    }

    #[test]
    fn a_key_pair_comes_back_from_its_pem_and_hides_it() {
        let pair = KeyPair::generate(&mut crate::ids::os_random()).unwrap();
        let again = KeyPair::from_pem(pair.private_pem().clone()).unwrap();
        assert_eq!(pair.public_jwk(), again.public_jwk());
        let secret = pair.private_pem().expose_secret().lines().nth(1).unwrap();
        assert!(!format!("{pair:?}").contains(secret));
        assert!(!jwks_document([&pair]).contains(secret));
    }

    #[test]
    fn something_else_is_no_key() {
        KeyPair::from_pem(SecretString::from("hello")).unwrap_err();
    }
}
