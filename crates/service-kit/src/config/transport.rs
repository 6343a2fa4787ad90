//! How calls travel: addresses and TLS.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::private::read_private;
use super::{Check, Problems};
use crate::telemetry::Chain;

/// Where the service listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenConfig {
    /// Address and port. Port 0 takes a free one.
    pub address: SocketAddr,
    /// The certificate that clients are shown. Must be set, or `plaintext`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTlsConfig>,
    /// Serves without TLS, on a loopback address only: tokens and codes are open to whoever can listen there.
    #[serde(default)]
    pub plaintext: bool,
    /// Whether the contract can be asked for by gRPC reflection.
    #[serde(default = "yes")]
    pub reflection: bool,
}

/// What a server shows its clients, and wants to see of them. The files are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerTlsConfig {
    /// The certificate, and those between it and its authority: PEM.
    pub certificate_file: PathBuf,
    /// Its private key: PEM, of mode 0600.
    pub private_key_file: PathBuf,
    /// The authorities whose certificates clients may show: PEM. Without it, clients are not asked for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca_file: Option<PathBuf>,
    /// Whether clients must show one, where they are asked.
    #[serde(default)]
    pub client_certificates: ClientCertificates,
}

/// Whether clients must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    /// Without one, there is no connection.
    #[default]
    Required,
    /// One that is shown must be good; without one, tokens alone say who calls.
    Optional,
}

/// Another service that this one calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientConfig {
    /// Its address, for example `https://keys.internal:7401`; of several processes all their addresses, with commas between
    /// them, which are called in turn. `http` only on a loopback address.
    pub endpoint: String,
    /// Whom to believe at an address with `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTlsConfig>,
    /// How long connecting may take, in milliseconds.
    #[serde(default = "one_second")]
    pub connect_timeout_ms: u64,
    /// How long a call may take, in milliseconds.
    #[serde(default = "five_seconds")]
    pub call_timeout_ms: u64,
}

/// What a client believes of servers, and shows them. The files are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientTlsConfig {
    /// The authorities whose certificates servers may show: PEM.
    pub ca_file: PathBuf,
    /// A certificate of this client's own, for servers that ask for one: PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// Its private key: PEM, of mode 0600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key_file: Option<PathBuf>,
}

fn yes() -> bool {
    true
}
fn one_second() -> u64 {
    1_000
}
fn five_seconds() -> u64 {
    5_000
}

impl ClientConfig {
    /// The addresses.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.endpoint.split(',').map(str::trim)
    }

    /// How long a call may take.
    pub fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }

    fn any(&self, scheme: &str) -> bool {
        self.endpoints().any(|url| scheme_of(url) == Some(scheme))
    }
}

impl ClientTlsConfig {
    /// Believes the authorities in `ca_file` and shows no certificate.
    pub fn of_authorities(ca_file: impl Into<PathBuf>) -> Self {
        Self {
            ca_file: ca_file.into(),
            certificate_file: None,
            private_key_file: None,
        }
    }

    /// The files of its own certificate and private key.
    pub(crate) fn own(&self) -> Option<(&Path, &Path)> {
        let certificate = self.certificate_file.as_deref()?;
        Some((certificate, self.private_key_file.as_deref()?))
    }
}

fn scheme_of(url: &str) -> Option<&'static str> {
    let uri = url.parse::<http::Uri>().ok()?;
    uri.host()?;
    ["http", "https"]
        .into_iter()
        .find(|scheme| uri.scheme_str() == Some(scheme))
}

/// Whether nobody can listen on the way to `url`: it begins with https, or leads to this very machine.
pub fn is_confidential(url: &str) -> bool {
    match scheme_of(url) {
        Some("https") => true,
        Some(_) => is_loopback(url),
        None => false,
    }
}

/// Whether `url` leads to this very machine.
pub(super) fn is_loopback(url: &str) -> bool {
    let uri = url.parse::<http::Uri>();
    uri.is_ok_and(|uri| uri.host().is_some_and(is_loopback_host))
}

/// Whether a URL's `host` is this very machine.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl Check for ListenConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        problems.check(
            &format!("{path}tls"),
            self.tls.is_some() || self.plaintext,
            "must be set: a certificate and its private key (or `plaintext = true`, on a loopback address only)",
        );
        problems.check(
            &format!("{path}plaintext"),
            !(self.plaintext && self.tls.is_some()),
            "must not be set together with `tls`",
        );
        problems.check(
            &format!("{path}plaintext"),
            !self.plaintext || self.address.ip().is_loopback(),
            "is for loopback addresses only: whoever can listen on the way reads tokens and codes",
        );
        if let Some(tls) = &self.tls {
            tls.check(&format!("{path}tls."), problems);
        }
    }
}

impl Check for ServerTlsConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        readable(path, "certificate_file", &self.certificate_file, problems);
        private(path, &self.private_key_file, problems);
        if let Some(file) = &self.client_ca_file {
            readable(path, "client_ca_file", file, problems);
        }
        let unasked = self.client_certificates == ClientCertificates::Optional;
        problems.check(
            &format!("{path}client_certificates"),
            self.client_ca_file.is_some() || !unasked,
            "needs `client_ca_file`",
        );
    }
}

impl Check for ClientConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        problems.check(
            &format!("{path}endpoint"),
            self.endpoints().all(|url| scheme_of(url).is_some()),
            "must be a URL such as https://127.0.0.1:7401, or several with commas between them",
        );
        problems.check(
            &format!("{path}endpoint"),
            self.endpoints().all(is_confidential),
            "must begin with https unless it is a loopback address: whoever can listen on the way reads codes",
        );
        problems.check(
            &format!("{path}tls"),
            self.tls.is_some() || !self.any("https"),
            "must be set (`ca_file`): the endpoint begins with https",
        );
        if let Some(tls) = &self.tls {
            tls.check(&format!("{path}tls."), problems);
        }
        problems.check(
            &format!("{path}connect_timeout_ms"),
            self.connect_timeout_ms > 0,
            "must be at least 1",
        );
        problems.check(
            &format!("{path}call_timeout_ms"),
            self.call_timeout_ms > 0,
            "must be at least 1",
        );
    }
}

impl Check for ClientTlsConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        readable(path, "ca_file", &self.ca_file, problems);
        problems.check(
            &format!("{path}private_key_file"),
            self.certificate_file.is_some() == self.private_key_file.is_some(),
            "and `certificate_file` go together",
        );
        if let Some((certificate, key)) = self.own() {
            readable(path, "certificate_file", certificate, problems);
            private(path, key, problems);
        }
    }
}

/// The same of the private key, which nobody else may read.
fn private(path: &str, file: &Path, problems: &mut Problems) {
    if let Err(error) = read_private(file) {
        problems.add(&format!("{path}private_key_file"), Chain(&error));
    }
}

/// A file that cannot be read is told with its field, like every other problem.
pub(super) fn readable(path: &str, field: &str, file: &Path, problems: &mut Problems) {
    if let Err(error) = std::fs::File::open(file) {
        let problem = format!("cannot read {}: {error}", file.display());
        problems.add(&format!("{path}{field}"), problem);
    }
}
