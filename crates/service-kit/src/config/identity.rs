//! Whose tokens are believed.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::transport::{is_confidential, readable};
use super::{Check, Problems};

/// Whose tokens are believed. Files are read again when they change, URLs are fetched again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityConfig {
    /// A JSON Web Key Set with the issuer's public keys. Must be set, or `jwks_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_file: Option<PathBuf>,
    /// The same, where the issuer publishes it: `https`, or `http` on a loopback address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// The `iss` that tokens must have.
    pub issuer: String,
    /// Another `iss` that is accepted: that of services that sign their own tokens. They are believed to be services
    /// and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_issuer: Option<String>,
    /// A JSON Web Key Set with those services' public keys. Neither issuer's keys can speak for the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_jwks_file: Option<PathBuf>,
    /// The same behind a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_jwks_url: Option<String>,
    /// The `aud` that tokens must have.
    pub audience: String,
    /// The authorities that are believed at these URLs, PEM; by default those of the operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_ca_file: Option<PathBuf>,
    /// How often the URLs are fetched, in seconds: so long a key that was taken away is still believed.
    #[serde(default = "five_minutes")]
    pub jwks_refresh_s: u64,
    /// How long keys are believed that could not be read or fetched anew, in seconds: so long outlives an issuer's outage, and
    /// so long a key that was taken away is believed by who keeps us from hearing of it. Then nobody is believed, and the
    /// service is not ready.
    #[serde(default = "twelve_hours")]
    pub jwks_max_age_s: u64,
}

fn five_minutes() -> u64 {
    300
}

fn twelve_hours() -> u64 {
    12 * 60 * 60
}

impl IdentityConfig {
    /// How long keys are believed that could not be read or fetched anew.
    pub fn jwks_max_age(&self) -> Duration {
        Duration::from_secs(self.jwks_max_age_s)
    }

    /// How often the URLs are fetched.
    pub fn jwks_refresh(&self) -> Duration {
        Duration::from_secs(self.jwks_refresh_s)
    }

    /// Whether services that sign their own tokens have an issuer and keys of their own.
    fn check_services(&self, path: &str, problems: &mut Problems) {
        let separate = self.service_jwks_file.is_some() || self.service_jwks_url.is_some();
        problems.check(
            &format!("{path}service_issuer"),
            self.service_issuer.is_some() || !separate,
            "must be set: its keys are",
        );
        problems.check(
            &format!("{path}service_jwks_file"),
            separate || self.service_issuer.is_none(),
            "must be set (or `service_jwks_url`): services sign with keys of their own, not with those of people's issuer",
        );
        let confused = self.service_issuer.as_ref() == Some(&self.issuer);
        problems.check(
            &format!("{path}service_issuer"),
            !confused,
            "must not be the same as `issuer`",
        );
    }
}

impl Check for IdentityConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        let files = [
            ("jwks_file", &self.jwks_file),
            ("service_jwks_file", &self.service_jwks_file),
            ("jwks_ca_file", &self.jwks_ca_file),
        ];
        for (field, file) in files {
            if let Some(file) = file {
                readable(path, field, file, problems);
            }
        }
        let urls = [
            ("jwks_url", &self.jwks_url, &self.jwks_file),
            (
                "service_jwks_url",
                &self.service_jwks_url,
                &self.service_jwks_file,
            ),
        ];
        for (field, url, file) in urls {
            let field = format!("{path}{field}");
            let both = url.is_some() && file.is_some();
            problems.check(&field, !both, "must not be set together with the file");
            let good = url.as_deref().is_none_or(is_confidential);
            let rule = "must be a URL with https, or with http at a loopback address";
            problems.check(&field, good, rule);
        }
        let some = self.jwks_file.is_some() || self.jwks_url.is_some();
        problems.check(
            &format!("{path}jwks_file"),
            some,
            "must be set (or `jwks_url`)",
        );
        self.check_services(path, problems);
        problems.check(
            &format!("{path}issuer"),
            !self.issuer.is_empty(),
            "must be set",
        );
        problems.check(
            &format!("{path}audience"),
            !self.audience.is_empty(),
            "must be set",
        );
        problems.check(
            &format!("{path}jwks_refresh_s"),
            (1..=86_400).contains(&self.jwks_refresh_s),
            "must be 1 to 86400",
        );
        problems.check(
            &format!("{path}jwks_max_age_s"),
            (self.jwks_refresh_s..=604_800).contains(&self.jwks_max_age_s),
            "must be `jwks_refresh_s` to 604800",
        );
    }
}
