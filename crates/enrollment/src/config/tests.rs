use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use latchkey_service_kit::config::from_sources;
use latchkey_service_kit::identity::KeyPair;
use latchkey_service_kit::ids::os_random;
use secrecy::ExposeSecret;

use super::*;

struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn make() -> Self {
        let files = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let pair = KeyPair::generate(&mut os_random()).unwrap();
        files.write("own.pem", pair.private_pem().expose_secret());
        files.write("fingerprint.key", &format!("{}\n", "a7".repeat(32)));
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
            fingerprint_key_file = "{}"
            {more}
            [listen]
            address = "127.0.0.1:0"
            plaintext = true
            [database]
            url = "postgres://localhost/enrollment"
            [identity]
            jwks_file = "{}"
            issuer = "people"
            audience = "latchkey"
            [keys]
            endpoint = "http://127.0.0.1:7401"
            [own_identity]
            private_key_file = "{}"
            issuer = "services"
            audience = "latchkey"
            "#,
            self.path("fingerprint.key").display(),
            self.path("jwks.json").display(),
            self.path("own.pem").display(),
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
    assert_eq!(config.passwords, PasswordsConfig::default());
    let config = files
        .load(&[("LATCHKEY_ENROLLMENT__LISTEN__ADDRESS", "127.0.0.1:7102")])
        .unwrap();
    assert_eq!(config.listen.address.port(), 7102);
}

#[test]
fn unknown_fields_and_senseless_values_are_named_all_at_once() {
    let files = Files::make();
    files.write("config.toml", &files.text("fingerprint_key = \"x\""));
    let error = files
        .load(&[
            ("LATCHKEY_ENROLLMENT__KEYS__ENDPOINT", "nowhere"),
            ("LATCHKEY_ENROLLMENT__OWN_IDENTITY__ISSUER", ""),
            ("LATCHKEY_ENROLLMENT__PASSWORDS__AT_ONCE", "0"),
            ("LATCHKEY_ENROLLMENT__PASSWORDS__WAITING", "10001"),
            ("LATCHKEY_ENROLLMENT__PASSWORDS__PASSES", "0"),
            ("LATCHKEY_ENROLLMENT__PASSWORDS__MEMORY_KIB", "4000000000"),
            ("LATCHKEY_ENROLLMENT__LIMITS__MAX_CALLS", "0"),
            ("LATCHKEY_ENROLLMENT__LOG__FILTER", "a=b=c"),
        ])
        .unwrap_err();
    for named in [
        "fingerprint_key: there is no such field",
        "keys.endpoint",
        "own_identity.issuer",
        "passwords.at_once",
        "passwords.waiting",
        "passwords: ",
        "passwords.memory_kib",
        "limits.max_calls",
        "log.filter",
    ] {
        assert!(error.contains(named), "{named} in {error}");
    }
}

#[test]
fn keys_that_others_can_read_are_refused() {
    for (file, field) in [
        ("own.pem", "own_identity.private_key_file"),
        ("fingerprint.key", "fingerprint_key_file"),
    ] {
        let files = Files::make();
        for mode in [0o640, 0o604, 0o660] {
            let open = fs::Permissions::from_mode(mode);
            fs::set_permissions(files.path(file), open).unwrap();
            let error = files.load(&[]).unwrap_err();
            assert!(error.contains(field), "{error}");
            assert!(error.contains("chmod 600"), "{error}");
        }
    }
}

#[test]
fn keys_that_cannot_be_used_are_refused_and_not_repeated() {
    let short = "a7".repeat(31);
    for (file, field, text) in [
        ("own.pem", "own_identity.private_key_file", "hunter2"),
        ("fingerprint.key", "fingerprint_key_file", "hunter2"),
        ("fingerprint.key", "fingerprint_key_file", &short),
        ("fingerprint.key", "fingerprint_key_file", ""),
    ] {
        let files = Files::make();
        files.write(file, text);
        let error = files.load(&[]).unwrap_err();
        assert!(error.contains(field), "{error}");
        assert!(text.is_empty() || !error.contains(text), "{error}");
        fs::remove_file(files.path(file)).unwrap();
        assert!(files.load(&[]).unwrap_err().contains(field));
    }
}
