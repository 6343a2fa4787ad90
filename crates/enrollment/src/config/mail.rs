//! How people are told.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use latchkey_service_kit::config::{Check, Problems};
use latchkey_service_kit::telemetry::Chain;
use serde::{Deserialize, Serialize};

use crate::app::notifications::send_letters::Patience;
use crate::clients::smtp::{Encryption, SmtpOptions, TIMEOUTS};
use crate::domain::notification::is_page;
use crate::private_file::{PrivateFile, PrivateFileError};

/// How long it may take to write two letters, one after the other, before they are sent.
const WRITING: Duration = Duration::from_secs(10);

/// What is written to people, and by which mail server. Without a server nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MailConfig {
    /// The page on which students sign in and type their keys: an `https` address.
    pub login_page: Option<String>,
    /// The mail server; nothing is sent unless it is set.
    pub server: Option<String>,
    /// Its port.
    pub port: u16,
    /// How letters get there in confidence.
    pub encryption: MailEncryption,
    /// The authority of its certificate (PEM), if it is not one of the system's.
    pub ca_file: Option<PathBuf>,
    /// The name to sign in with, if it wants that.
    pub user_name: Option<String>,
    /// The file with the password. Nobody but its owner may be able to read it.
    pub password_file: Option<PrivateFile>,
    /// The address that letters are from.
    pub from: Option<String>,
    /// The domains that plans may have letters from besides that address's.
    pub from_domains: Vec<String>,
    /// How long the server may take over one step, in milliseconds.
    pub timeout_ms: u64,
    /// The pause after a first failure, in milliseconds: doubled after each further one.
    pub retry_first_ms: u64,
    /// The longest pause, in milliseconds.
    pub retry_longest_ms: u64,
    /// After how long a letter is given up, in seconds.
    pub give_up_s: u64,
}

/// How letters get to the mail server in confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailEncryption {
    /// TLS from the first byte.
    Tls,
    /// TLS after a greeting in clear; without it nothing is sent.
    StartTls,
    /// None: for a server on this machine only.
    None,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            login_page: None,
            server: None,
            port: 587,
            encryption: MailEncryption::StartTls,
            ca_file: None,
            user_name: None,
            password_file: None,
            from: None,
            from_domains: Vec::new(),
            timeout_ms: 10_000,
            retry_first_ms: 30_000,
            retry_longest_ms: 3_600_000,
            give_up_s: 259_200,
        }
    }
}

/// Why a file that is named cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MailFileError {
    /// The password.
    #[error(transparent)]
    Password(#[from] PrivateFileError),
    /// The authority.
    #[error("cannot read {path}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}

impl MailConfig {
    /// The mail server, if there is one. Reads the files.
    pub fn smtp(&self) -> Result<Option<SmtpOptions>, MailFileError> {
        let Some(server) = self.server.clone() else {
            return Ok(None);
        };
        let authority = self.ca_file.as_ref().map(|path| {
            std::fs::read(path).map_err(|source| MailFileError::Authority {
                path: path.clone(),
                source,
            })
        });
        let credentials = match (&self.user_name, &self.password_file) {
            (Some(name), Some(file)) => Some((name.clone(), file.text()?)),
            _ => None,
        };
        Ok(Some(SmtpOptions {
            server,
            port: self.port,
            encryption: match self.encryption {
                MailEncryption::Tls => Encryption::Tls,
                MailEncryption::StartTls => Encryption::StartTls,
                MailEncryption::None => Encryption::None,
            },
            authority: authority.transpose()?,
            credentials,
            timeout: Duration::from_millis(self.timeout_ms),
            from: self.from.clone().unwrap_or_default(),
            from_domains: self.from_domains.clone(),
        }))
    }

    /// How long what fails is tried again.
    pub fn patience(&self) -> Patience {
        Patience {
            first: Duration::from_millis(self.retry_first_ms),
            longest: Duration::from_millis(self.retry_longest_ms),
            give_up: Duration::from_secs(self.give_up_s),
            lease: 3 * TIMEOUTS * Duration::from_millis(self.timeout_ms) + WRITING,
        }
    }

    fn check_server(&self, server: &str, path: &str, problems: &mut Problems) {
        let here = server
            .parse::<IpAddr>()
            .map_or(server == "localhost", |address| address.is_loopback());
        problems.check(
            &format!("{path}encryption"),
            self.encryption != MailEncryption::None || here,
            "must be `starttls` or `tls` for a server on another machine",
        );
        problems.check(
            &format!("{path}from"),
            self.from
                .as_ref()
                .is_some_and(|from| from.parse::<lettre::Address>().is_ok()),
            "must be an e-mail address",
        );
        problems.check(
            &format!("{path}password_file"),
            self.user_name.is_some() == self.password_file.is_some(),
            "must be set together with `user_name`",
        );
        if let Err(error) = self.smtp() {
            problems.add(&format!("{path}server"), Chain(&error));
        }
    }
}

impl Check for MailConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        if let Some(page) = &self.login_page {
            problems.check(
                &format!("{path}login_page"),
                is_page(page),
                "must be an address that begins with `https://` (or `http://localhost`)",
            );
        }
        for (field, value, most) in [
            ("timeout_ms", self.timeout_ms, 30_000),
            ("retry_first_ms", self.retry_first_ms, 3_600_000),
            ("retry_longest_ms", self.retry_longest_ms, 86_400_000),
            ("give_up_s", self.give_up_s, 2_592_000),
        ] {
            problems.check(
                &format!("{path}{field}"),
                (1..=most).contains(&value),
                format_args!("must be 1 to {most}"),
            );
        }
        if let Some(server) = &self.server {
            self.check_server(server, path, problems);
        }
    }
}
