//! What the service is told when it starts.

mod guessing;

use std::path::Path;

use guessing::GuessingConfig;
use latchkey_service_kit::command::Observation;
use latchkey_service_kit::config::{
    Check, ConfigError, DatabaseConfig, IdentityConfig, LimitsConfig, ListenConfig, LogConfig,
    MetricsConfig, Problems, ShutdownConfig, StreamConfig, TracesConfig, from_file,
};
use latchkey_service_kit::telemetry::Chain;
use serde::{Deserialize, Serialize};

use crate::keyring_file::KeyringFile;

/// What the names of environment variables that override the configuration begin with.
const ENVIRONMENT_PREFIX: &str = "LATCHKEY_KEYS";

/// The configuration of the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Where it listens.
    pub listen: ListenConfig,
    /// The database with the schema `keys`.
    pub database: DatabaseConfig,
    /// Whose tokens it believes.
    pub identity: IdentityConfig,
    /// The file with the keys that protect the codes. Nobody but its owner may be able to read it.
    pub keyring_file: KeyringFile,
    /// How many wrong guesses are too many.
    #[serde(default)]
    pub guessing: GuessingConfig,
    /// What it logs.
    #[serde(default)]
    pub log: LogConfig,
    /// Where its metrics can be scraped.
    #[serde(default)]
    pub metrics: MetricsConfig,
    /// Where its traces go.
    #[serde(default)]
    pub traces: TracesConfig,
    /// Bounds on what callers can make it do.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Bounds on exports.
    #[serde(default)]
    pub export: StreamConfig,
    /// Bounds on generations of more keys than one transaction makes.
    #[serde(default)]
    pub generation: StreamConfig,
    /// How it ends.
    #[serde(default)]
    pub shutdown: ShutdownConfig,
}

impl Config {
    /// Reads the TOML file at `path` (none: the environment alone) and the environment, where `LATCHKEY_KEYS__LISTEN__ADDRESS`
    /// overrides `listen.address`. Fails with all unknown fields and all values that make no sense; the keyring is read
    /// too.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        from_file(path, ENVIRONMENT_PREFIX)
    }

    /// The sections about what the service shows of itself.
    pub fn observation(&self) -> Observation<'_> {
        Observation {
            service: env!("CARGO_PKG_NAME"),
            log: &self.log,
            metrics: &self.metrics,
            traces: &self.traces,
        }
    }
}

impl Check for Config {
    fn check(&self, path: &str, problems: &mut Problems) {
        self.listen.check(&format!("{path}listen."), problems);
        self.database.check(&format!("{path}database."), problems);
        self.identity.check(&format!("{path}identity."), problems);
        self.guessing.check(&format!("{path}guessing."), problems);
        self.log.check(&format!("{path}log."), problems);
        self.traces.check(&format!("{path}traces."), problems);
        self.limits.check(&format!("{path}limits."), problems);
        self.export.check(&format!("{path}export."), problems);
        self.generation
            .check(&format!("{path}generation."), problems);
        if let Err(error) = self.keyring_file.read() {
            problems.add(&format!("{path}keyring_file"), Chain(&error));
        }
        problems.check(
            &format!("{path}identity.service_issuer"),
            self.identity.service_issuer.is_some(),
            "must be set: it is whose tokens the enrollment service signs itself",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use latchkey_service_kit::config::from_sources;
    use latchkey_service_kit::ids::os_random;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::domain::keyring::Keyring;

    struct Files {
        directory: tempfile::TempDir,
    }

    impl Files {
        fn make() -> Self {
            let files = Self {
                directory: tempfile::tempdir().unwrap(),
            };
            let keyring = Keyring::generate(&mut os_random()).to_toml();
            files.write("keyring.toml", keyring.expose_secret());
            files.write("jwks.json", "{}");
            files.write("config.toml", &files.text(""));
            files
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).unwrap();
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        }

        fn text(&self, more: &str) -> String {
            format!(
                r#"
                keyring_file = "{}"
                {more}
                [listen]
                address = "127.0.0.1:0"
                plaintext = true
                [database]
                url = "postgres://localhost/keys"
                [identity]
                jwks_file = "{}"
                issuer = "people"
                service_issuer = "services"
                service_jwks_file = "{}"
                audience = "latchkey"
                "#,
                self.path("keyring.toml").display(),
                self.path("jwks.json").display(),
                self.path("jwks.json").display(),
            )
        }

        fn load(&self, environment: &[(&str, &str)]) -> Result<Config, String> {
            let environment: HashMap<String, String> = environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            let config = self.path("config.toml");
            from_sources(Some(&config), ENVIRONMENT_PREFIX, environment)
                .map_err(|error| error.to_string())
        }
    }

    #[test]
    fn the_least_that_must_be_said_is_enough_and_the_environment_wins() {
        let files = Files::make();
        let config = files.load(&[]).unwrap();
        assert_eq!(config.limits, LimitsConfig::default());
        let config = files
            .load(&[("LATCHKEY_KEYS__LISTEN__ADDRESS", "127.0.0.1:7101")])
            .unwrap();
        assert_eq!(config.listen.address.port(), 7101);
    }

    #[test]
    fn unknown_fields_and_senseless_values_are_named_all_at_once() {
        let files = Files::make();
        files.write("config.toml", &files.text("keyring_fiel = \"x\""));
        let error = files
            .load(&[
                ("LATCHKEY_KEYS__LIMITS__MAX_CALLS", "0"),
                ("LATCHKEY_KEYS__LOG__FILTER", "a=b=c"),
                (
                    "LATCHKEY_KEYS__TRACES__OTLP_ENDPOINT",
                    "https://far.example.com",
                ),
                ("LATCHKEY_KEYS__TRACES__SAMPLE_RATIO", "1.5"),
            ])
            .unwrap_err();
        for named in [
            "keyring_fiel",
            "limits.max_calls",
            "log.filter",
            "traces.otlp_endpoint",
            "traces.sample_ratio",
        ] {
            assert!(error.contains(named), "{named} in {error}");
        }
    }

    #[test]
    fn without_an_issuer_for_services_nobody_could_use_the_keys() {
        let files = Files::make();
        let text = files.text("").replace("service_issuer", "# ");
        files.write("config.toml", &text);
        let error = files.load(&[]).unwrap_err();
        assert!(error.contains("identity.service_issuer"), "{error}");
    }

    #[test]
    fn the_enrollment_service_has_keys_of_its_own() {
        let files = Files::make();
        let text = files.text("").replace("service_jwks_file", "# ");
        files.write("config.toml", &text);
        let error = files.load(&[]).unwrap_err();
        assert!(error.contains("identity.service_jwks_file"), "{error}");
        files
            .load(&[(
                "LATCHKEY_KEYS__IDENTITY__SERVICE_JWKS_URL",
                "https://enrollment.example.com/jwks",
            )])
            .unwrap();
    }

    #[test]
    fn a_keyring_that_others_can_read_is_refused() {
        let files = Files::make();
        for mode in [0o640, 0o604, 0o660] {
            let open = fs::Permissions::from_mode(mode);
            fs::set_permissions(files.path("keyring.toml"), open).unwrap();
            let error = files.load(&[]).unwrap_err();
            assert!(error.contains("keyring_file"), "{error}");
            assert!(error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_damaged_keyring_is_refused_and_not_repeated() {
        let files = Files::make();
        files.write("keyring.toml", "[[seal]]\nversion = 1\nkey = \"hunter2\"\n");
        let error = files.load(&[]).unwrap_err();
        assert!(error.contains("keyring_file"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        fs::remove_file(files.path("keyring.toml")).unwrap();
        assert!(files.load(&[]).unwrap_err().contains("keyring_file"));
    }
}
