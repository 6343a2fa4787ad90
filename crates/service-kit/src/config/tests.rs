use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Whole {
    listen: ListenConfig,
    database: DatabaseConfig,
    #[serde(default)]
    limits: LimitsConfig,
    #[serde(default)]
    log: LogConfig,
}

impl Check for Whole {
    fn check(&self, path: &str, problems: &mut Problems) {
        self.database.check(&format!("{path}database."), problems);
        self.limits.check(&format!("{path}limits."), problems);
        self.log.check(&format!("{path}log."), problems);
    }
}

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Whole, ConfigError> {
    let files = Files::new();
    let path = files.put("service.toml", toml);
    let environment: HashMap<String, String> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    from_sources(Some(&path), "LATCHKEY_TEST", environment)
}

const GOOD: &str = r#"
    [listen]
    address = "127.0.0.1:0"
    [database]
    url = "postgres://latchkey@localhost/latchkey"
"#;

#[test]
fn the_environment_overrides_the_file_and_the_rest_is_default() {
    let environment = [
        ("LATCHKEY_TEST__DATABASE__MAX_CONNECTIONS", "3"),
        ("LATCHKEY_TEST__LOG__FORMAT", "json"),
        ("LATCHKEY_TEST__LISTEN__REFLECTION", "false"),
        ("LATCHKEY_TEST__LIMITS__MAX_CALLS", "7"),
        ("OTHER__THING", "ignored"),
    ];
    let loaded = load(GOOD, &environment).unwrap();
    assert_eq!(loaded.database.max_connections, 3);
    assert_eq!(loaded.log.format, LogFormat::Json);
    assert!(!loaded.listen.reflection);
    assert_eq!(
        loaded.limits,
        LimitsConfig {
            max_calls: 7,
            ..LimitsConfig::default()
        }
    );
    assert_eq!(loaded.database.statement_timeout_ms, 5_000);
}

#[test]
fn all_unknown_fields_and_all_problems_are_named_at_once() {
    let toml = r#"
        nonsense = 1
        [listen]
        address = "127.0.0.1:0"
        adress = "x"
        [database]
        url = "postgres://latchkey:hunter2@localhost/latchkey"
        max_connections = 0
        idle_in_transaction_timeout_ms = 6000
        [log]
        filter = "a=b=c"
    "#;
    let text = load(toml, &[("LATCHKEY_TEST__DATABASE__TYPO", "1")])
        .unwrap_err()
        .to_string();
    for expected in [
        "nonsense: there is no such field",
        "listen.adress: there is no such field",
        "database.typo: there is no such field",
        "database.url: has a password in it",
        "database.max_connections: must be at least 1",
        "database.idle_in_transaction_timeout_ms: must be 1 to 5000",
        "log.filter: ",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_wrong_type_names_its_field() {
    let text = load(&GOOD.replace("127.0.0.1:0", "nowhere"), &[])
        .unwrap_err()
        .to_string();
    assert!(text.contains("listen.address"), "{text}");
}

#[test]
fn a_missing_file_is_an_error_and_no_file_is_fine() {
    let missing =
        from_sources::<Whole>(Some(&PathBuf::from("/nowhere/x.toml")), "P", HashMap::new());
    assert!(missing.unwrap_err().to_string().contains("/nowhere/x.toml"));
    let environment = HashMap::from(
        [
            ("P__LISTEN__ADDRESS", "127.0.0.1:1"),
            ("P__DATABASE__URL", "postgres://u@h/d"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    from_sources::<Whole>(None, "P", environment).unwrap();
}

#[test]
fn a_database_needs_exactly_one_url() {
    let text = load(&GOOD.replace("url =", "# url ="), &[])
        .unwrap_err()
        .to_string();
    assert!(text.contains("database.url_file: must be set"), "{text}");
    let text = load(GOOD, &[("LATCHKEY_TEST__DATABASE__URL_FILE", "/nowhere")])
        .unwrap_err()
        .to_string();
    assert!(text.contains("together"), "{text}");
}

#[test]
fn secrets_come_from_their_files_without_the_line_break() {
    let files = Files::new();
    let secret = SecretFile::new(files.put("secret", "hunter2\r\n"));
    let read = secret.read().unwrap();
    assert_eq!(read.expose_secret(), "hunter2");
    assert!(!format!("{read:?}{secret:?}").contains("hunter2"));
    assert!(matches!(
        SecretFile::new(files.put("empty", "\n")).read(),
        Err(SecretFileError::Empty(_))
    ));
    assert!(matches!(
        SecretFile::new("/nowhere").read(),
        Err(SecretFileError::Unreadable { .. })
    ));
}

#[test]
fn a_printed_configuration_shows_no_password_and_can_be_loaded_again() {
    let loaded = load(GOOD, &[]).unwrap();
    assert_eq!(load(&redacted(&loaded).unwrap(), &[]).unwrap(), loaded);

    for url in [
        "postgres://u:hunter2@h/d",
        "postgres://u:hun:ter2@h",
        "postgres://h/d?password=hunter2",
    ] {
        let mut unchecked = load(GOOD, &[]).unwrap();
        unchecked.database.url = Some(url.to_owned());
        let printed = redacted(&unchecked).unwrap();
        assert!(
            printed.contains("***") && !printed.contains("ter2"),
            "{printed}"
        );
    }
}

#[test]
fn the_endpoint_of_another_service_must_be_a_plain_url() {
    for (endpoint, good) in [
        ("http://127.0.0.1:7101", true),
        ("http://keys.internal:7101", true),
        ("https://keys", false),
        ("127.0.0.1:7101", false),
        ("", false),
    ] {
        let client = ClientConfig {
            endpoint: endpoint.to_owned(),
            connect_timeout_ms: 1,
            call_timeout_ms: 1,
        };
        let mut problems = Problems::default();
        client.check("keys.", &mut problems);
        assert_eq!(
            format!("{problems:?}").contains("keys.endpoint"),
            !good,
            "{endpoint}"
        );
    }
}
