//! The services' configuration files for a stack.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use latchkey_service_kit::identity::jwks_document;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::Service;
use super::databases::Provisioned;
use super::secrets::{Secrets, replace_private};
use super::tokens::{AUDIENCE, ISSUER, SERVICE_ISSUER};

/// The name of the development issuer's private key among the secrets.
pub const ISSUER_KEY: &str = "issuer.pem";
/// The name of the enrollment service's own signing key among the secrets.
pub const SERVICE_KEY: &str = "enrollment.pem";
/// The name of the keys service's keyring among the secrets.
const KEYRING: &str = "keyring.toml";
/// The name of the enrollment service's fingerprint key among the secrets.
const FINGERPRINT_KEY: &str = "fingerprint.key";

/// Files that are the same for every process of a stack.
#[derive(Debug, Clone)]
pub struct SharedFiles {
    /// The key set that the keys service believes: the issuer's and the enrollment service's.
    pub keys_jwks: PathBuf,
    /// The key set that the enrollment service believes: the issuer's.
    pub enrollment_jwks: PathBuf,
    /// The issuer's private key.
    pub issuer_key: PathBuf,
    service_key: PathBuf,
    keyring: PathBuf,
    fingerprint_key: PathBuf,
    keys_url: PathBuf,
    enrollment_url: PathBuf,
}

impl SharedFiles {
    /// Makes what is missing of them, and writes the URLs of the database that was provisioned.
    ///
    /// # Errors
    /// When a file can be neither read nor written.
    pub fn make(secrets: &Secrets, database: &Provisioned) -> anyhow::Result<Self> {
        let issuer = secrets.key_pair(ISSUER_KEY)?;
        let service = secrets.key_pair(SERVICE_KEY)?;
        secrets.password(KEYRING)?;
        secrets.password(FINGERPRINT_KEY)?;
        let public = |text: String| SecretString::from(text);
        Ok(Self {
            keys_jwks: secrets.put(
                "keys-jwks.json",
                &public(jwks_document([&issuer, &service])),
            )?,
            enrollment_jwks: secrets
                .put("enrollment-jwks.json", &public(jwks_document([&issuer])))?,
            issuer_key: secrets.path(ISSUER_KEY),
            service_key: secrets.path(SERVICE_KEY),
            keyring: secrets.path(KEYRING),
            fingerprint_key: secrets.path(FINGERPRINT_KEY),
            keys_url: secrets.put("keys-database.url", &database.keys_url)?,
            enrollment_url: secrets.put("enrollment-database.url", &database.enrollment_url)?,
        })
    }

    /// The file with the URL of a service's database.
    pub fn database_url(&self, service: Service) -> &Path {
        match service {
            Service::Keys => &self.keys_url,
            Service::Enrollment => &self.enrollment_url,
        }
    }

    /// Writes the configuration of one process of `service` to `path`: it listens on `listen`, and an enrollment
    /// service calls the keys service at `keys`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_config(
        &self,
        service: Service,
        path: &Path,
        listen: SocketAddr,
        keys: SocketAddr,
    ) -> anyhow::Result<()> {
        let config = match service {
            Service::Keys => self.keys_config(listen),
            Service::Enrollment => self.enrollment_config(listen, keys),
        };
        let text = toml::to_string_pretty(&config)?;
        replace_private(
            path,
            &format!("# Written by `latchkey` at each start of the stack.\n\n{text}"),
        )
    }

    fn keys_config(&self, listen: SocketAddr) -> Value {
        json!({
            "listen": { "address": listen },
            "database": { "url_file": self.keys_url },
            "identity": {
                "jwks_file": self.keys_jwks,
                "issuer": ISSUER,
                "service_issuer": SERVICE_ISSUER,
                "audience": AUDIENCE,
            },
            "keyring_file": self.keyring,
        })
    }

    fn enrollment_config(&self, listen: SocketAddr, keys: SocketAddr) -> Value {
        json!({
            "listen": { "address": listen },
            "database": { "url_file": self.enrollment_url },
            "identity": { "jwks_file": self.enrollment_jwks, "issuer": ISSUER, "audience": AUDIENCE },
            "keys": { "endpoint": format!("http://{keys}") },
            "own_identity": {
                "private_key_file": self.service_key,
                "issuer": SERVICE_ISSUER,
                "audience": AUDIENCE,
            },
            "fingerprint_key_file": self.fingerprint_key,
        })
    }
}
