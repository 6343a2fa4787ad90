//! The services' configuration files for a stack.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use latchkey_keys::Keyring;
use latchkey_service_kit::database::is_verified;
use latchkey_service_kit::identity::jwks_document;
use latchkey_service_kit::ids::os_random;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;

use super::Service;
use super::certificates::{CertificateFiles, Certificates};
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
    /// The public key of the issuer, whose tokens both services believe.
    pub issuer_jwks: PathBuf,
    /// The public key of the enrollment service, whose own tokens the keys service believes.
    pub service_jwks: PathBuf,
    /// The issuer's private key.
    pub issuer_key: PathBuf,
    /// What the services show each other and their clients.
    pub certificates: Certificates,
    /// The mail server of this machine by which enrollment writes to people, at once; without one nobody is written to.
    pub mail_server: Option<SocketAddr>,
    service_key: PathBuf,
    keyring: PathBuf,
    fingerprint_key: PathBuf,
    keys_url: PathBuf,
    enrollment_url: PathBuf,
    /// Whether the database is on another machine and nothing says that it is the right one.
    unverified_server: bool,
}

impl SharedFiles {
    /// Makes what is missing of them, new certificates, and writes the URLs of the database that was provisioned. The
    /// services are called by `names` besides those of their own machine.
    ///
    /// # Errors
    /// When a file can be neither read nor written, or a name makes no sense.
    pub fn make(
        secrets: &Secrets,
        database: &Provisioned,
        names: &[String],
    ) -> anyhow::Result<Self> {
        let issuer = secrets.key_pair(ISSUER_KEY)?;
        let service = secrets.key_pair(SERVICE_KEY)?;
        secrets.get_or_make(
            KEYRING,
            || Ok(Keyring::generate(&mut os_random()).to_toml()),
        )?;
        secrets.password(FINGERPRINT_KEY)?;
        let public = |pair| SecretString::from(jwks_document([pair]));
        Ok(Self {
            issuer_jwks: secrets.put("issuer-jwks.json", &public(&issuer))?,
            service_jwks: secrets.put("enrollment-jwks.json", &public(&service))?,
            issuer_key: secrets.path(ISSUER_KEY),
            certificates: Certificates::make(secrets, names)?,
            mail_server: None,
            service_key: secrets.path(SERVICE_KEY),
            keyring: secrets.path(KEYRING),
            fingerprint_key: secrets.path(FINGERPRINT_KEY),
            unverified_server: is_unverified(&database.keys_url)?,
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

    /// Writes the configuration of one process of `service` to `path`: it listens on `listen`, shows its metrics at
    /// `metrics` if that is given, and an enrollment service calls the keys service at `keys`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_config(
        &self,
        service: Service,
        path: &Path,
        listen: SocketAddr,
        metrics: Option<SocketAddr>,
        keys: SocketAddr,
    ) -> anyhow::Result<()> {
        let mut config = match service {
            Service::Keys => self.keys_config(listen),
            Service::Enrollment => self.enrollment_config(listen, keys),
        };
        if let Some(address) = metrics {
            config["metrics"] = json!({ "address": address });
        }
        let text = toml::to_string_pretty(&config)?;
        replace_private(
            path,
            &format!("# Written by `latchkey` at each start of the stack.\n\n{text}"),
        )
    }

    fn database(&self, url: &Path) -> Value {
        let mut database = json!({ "url_file": url });
        if self.unverified_server {
            // Whoever names such a server for a development stack has it so.
            database["unverified_server"] = json!(true);
        }
        database
    }

    fn keys_config(&self, listen: SocketAddr) -> Value {
        let mut tls = server_tls(&self.certificates.keys);
        // Everybody who calls keys proves who they are by a token; enrollment shows a certificate as well.
        tls["client_ca_file"] = json!(self.certificates.authority);
        tls["client_certificates"] = json!("optional");
        json!({
            "listen": { "address": listen, "tls": tls },
            "database": self.database(&self.keys_url),
            "identity": {
                "jwks_file": self.issuer_jwks,
                "issuer": ISSUER,
                "service_issuer": SERVICE_ISSUER,
                "service_jwks_file": self.service_jwks,
                "audience": AUDIENCE,
            },
            "keyring_file": self.keyring,
        })
    }

    fn enrollment_config(&self, listen: SocketAddr, keys: SocketAddr) -> Value {
        let certificates = &self.certificates;
        let tls = server_tls(&certificates.enrollment);
        let mut config = json!({
            "listen": { "address": listen, "tls": tls },
            "database": self.database(&self.enrollment_url),
            "identity": { "jwks_file": self.issuer_jwks, "issuer": ISSUER, "audience": AUDIENCE },
            "keys": {
                "endpoint": format!("https://{keys}"),
                "tls": {
                    "ca_file": certificates.authority,
                    "certificate_file": certificates.enrollment_client.certificate,
                    "private_key_file": certificates.enrollment_client.private_key,
                },
            },
            "own_identity": {
                "private_key_file": self.service_key,
                "issuer": SERVICE_ISSUER,
                "audience": AUDIENCE,
            },
            "fingerprint_key_file": self.fingerprint_key,
        });
        if let Some(server) = self.mail_server {
            config["mail"] = json!({
                "server": server.ip(),
                "port": server.port(),
                "encryption": "none",
                "from": "training@example.com",
                "login_page": "https://learn.example.com",
            });
            config["sweeper"] = json!({ "look_interval_ms": 100, "sweep_interval_ms": 200 });
        }
        config
    }
}

fn is_unverified(url: &SecretString) -> anyhow::Result<bool> {
    let options: PgConnectOptions = url
        .expose_secret()
        .parse()
        // The parser's error may repeat a part of the URL, which has a password in it.
        .map_err(|_| anyhow::anyhow!("the database's address is not a URL of Postgres"))?;
    Ok(!is_verified(&options))
}

fn server_tls(files: &CertificateFiles) -> Value {
    json!({ "certificate_file": files.certificate, "private_key_file": files.private_key })
}
