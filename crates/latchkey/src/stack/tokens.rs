//! Tokens of the development issuer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use chrono::TimeDelta;
use latchkey_service_kit::clock::{Clock, SystemClock};
use latchkey_service_kit::identity::{Claims, KeyPair, Role, SignerOptions, TokenSigner};
use secrecy::SecretString;
use uuid::Uuid;

/// The `iss` of the development issuer's tokens.
pub const ISSUER: &str = "https://dev.latchkey.localhost";
/// The `iss` of the tokens that the enrollment service signs for itself.
pub const SERVICE_ISSUER: &str = "https://enrollment.latchkey.localhost";
/// The `aud` of all tokens of a development stack.
pub const AUDIENCE: &str = "latchkey";

/// Whom a token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// What the bearer may be.
    pub roles: Vec<Role>,
    /// The organization the bearer belongs to.
    pub organization: Option<Uuid>,
    /// Who the bearer is; a student's is the student id.
    pub subject: String,
    /// How long the token holds.
    pub lifetime: TimeDelta,
}

/// Signs the tokens of a development stack.
#[derive(Debug)]
pub struct Issuer {
    signer: TokenSigner,
    clock: Arc<dyn Clock>,
}

impl Issuer {
    /// The issuer with this key.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub fn new(pair: &KeyPair) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        // These are for a signer's own standing token; every token here states its own claims.
        let options = SignerOptions {
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            subject: "dev".to_owned(),
            roles: Vec::new(),
            organization: None,
            lifetime: TimeDelta::hours(1),
        };
        let signer = TokenSigner::new(pair.private_pem(), options, Arc::clone(&clock))?;
        Ok(Self { signer, clock })
    }

    /// The issuer whose private key is in the file at `path`.
    ///
    /// # Errors
    /// When there is no such file or it is not a key.
    pub fn from_file(path: &Path) -> anyhow::Result<Self> {
        let pem = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::new(
            &KeyPair::from_pem(SecretString::from(pem))
                .with_context(|| format!("cannot use {}", path.display()))?,
        )
    }

    /// A token, valid from now on.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn mint(&self, request: &TokenRequest) -> anyhow::Result<String> {
        let mut claims = Claims::new(
            ISSUER,
            AUDIENCE,
            &request.subject,
            self.clock.now(),
            request.lifetime,
        );
        claims = claims.with_roles(&request.roles);
        if let Some(organization) = request.organization {
            claims = claims.with_organization(organization);
        }
        Ok(self.signer.sign(&claims)?)
    }
}

/// The file in `directory` that holds the token of `role`.
pub fn token_file(directory: &Path, role: Role) -> PathBuf {
    directory.join(format!("{}.jwt", role.name()))
}

#[cfg(test)]
mod tests {
    use latchkey_service_kit::ids::os_random;

    use super::*;

    #[test]
    fn a_minted_token_says_who_it_is_for() {
        use base64::Engine as _;
        let pair = KeyPair::generate(&mut os_random()).expect("key pair");
        let issuer = Issuer::new(&pair).expect("issuer");
        let organization = Uuid::from_u128(7);
        let request = TokenRequest {
            roles: vec![Role::Instructor],
            organization: Some(organization),
            subject: "ines".into(),
            lifetime: TimeDelta::minutes(5),
        };
        let token = issuer.mint(&request).expect("token");
        let parts: Vec<&str> = token.split('.').collect();
        let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(parts[1])
            .expect("base64");
        let claims: Claims = serde_json::from_slice(&decoded).expect("claims");
        assert_eq!(claims.iss, ISSUER);
        assert_eq!(claims.sub, "ines");
        assert_eq!(claims.org, Some(organization.to_string()));
        assert_eq!(claims.roles, ["instructor"]);
        assert!((claims.exp - claims.iat.expect("time") - 300.0).abs() < f64::EPSILON);
    }
}
