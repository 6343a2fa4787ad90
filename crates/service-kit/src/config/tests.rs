use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::private::PrivateFileError;
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
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
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
            ("P__DATABASE__URL", "postgres://u@localhost/d"),
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
fn a_database_url_that_others_can_read_is_refused() {
    let files = Files::new();
    let file = files.put("database.url", "postgres://u:hunter2@localhost/d\n");
    let toml = format!("url_file = '{}'", file.display());
    let problems = || {
        let database: DatabaseConfig = toml::from_str(&toml).unwrap();
        let mut problems = Problems::default();
        database.check("database.", &mut problems);
        format!("{problems:?}")
    };
    assert!(!problems().contains("database."), "{}", problems());
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let open = problems();
    assert!(open.contains("database.url_file") && open.contains("chmod 600"));
    assert!(!open.contains("hunter2"), "{open}");
}

#[test]
fn a_database_that_could_be_anybody_is_refused_unless_told_so() {
    let files = Files::new();
    let authority = files.put("ca.pem", "");
    let problems = |url: &str, more: &str| {
        let text = format!("url = '{url}'\n{more}");
        let database: DatabaseConfig = toml::from_str(&text).unwrap();
        let mut problems = Problems::default();
        database.check("database.", &mut problems);
        format!("{problems:?}")
    };
    let far = "postgres://u@db.internal/d";
    assert!(problems(far, "").contains("database.ca_file"));
    let fine = |url: &str, more: &str| {
        let text = problems(url, more);
        assert!(!text.contains("database."), "{text}");
    };
    fine("postgres://u@127.0.0.1/d", "");
    fine(&format!("{far}?sslmode=verify-full"), "");
    fine(far, &format!("ca_file = '{}'", authority.display()));
    fine(far, "unverified_server = true");
    let nowhere = problems(far, "ca_file = '/nowhere'\nunverified_server = true");
    assert!(nowhere.contains("/nowhere") && nowhere.contains("together"));
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
        Err(SecretFileError::File(PrivateFileError::Unreadable { .. }))
    ));
    for mode in [0o640, 0o604, 0o444] {
        fs::set_permissions(secret.path(), Permissions::from_mode(mode)).unwrap();
        let refused = secret.read();
        let open = matches!(
            refused,
            Err(SecretFileError::File(PrivateFileError::Open { .. }))
        );
        assert!(open, "{mode:o}: {refused:?}");
    }
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
fn nobody_can_listen_on_the_way_to_another_service() {
    for (endpoint, good) in [
        ("http://127.0.0.1:7101", true),
        ("http://[::1]:7101,http://localhost:7101", true),
        ("http://keys.internal:7101", false),
        ("https://keys.internal:7101", true),
        (
            "https://keys.internal:7101,http://keys.internal:7101",
            false,
        ),
        ("ftp://127.0.0.1", false),
        ("127.0.0.1:7101", false),
        ("", false),
    ] {
        let client = ClientConfig {
            endpoint: endpoint.to_owned(),
            tls: None,
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

#[test]
fn a_service_listens_in_plain_text_only_where_nobody_else_can_hear_it() {
    let problems = |toml: &str| {
        let listen: ListenConfig = toml::from_str(toml).unwrap();
        let mut problems = Problems::default();
        listen.check("listen.", &mut problems);
        format!("{problems:?}")
    };
    assert!(problems("address = '127.0.0.1:1'").contains("listen.tls"));
    let open = problems("address = '0.0.0.0:1'\nplaintext = true");
    assert!(open.contains("listen.plaintext"), "{open}");
    for loopback in ["127.0.0.1:1", "[::1]:1"] {
        let text = problems(&format!("address = '{loopback}'\nplaintext = true"));
        assert!(!text.contains("listen."), "{text}");
    }
    let both = "address = '127.0.0.1:1'\nplaintext = true\n\
                [tls]\ncertificate_file = '/none.pem'\nprivate_key_file = '/none.key'\n\
                client_certificates = 'optional'";
    let text = problems(both);
    for field in [
        "listen.plaintext",
        "listen.tls.certificate_file",
        "listen.tls.private_key_file",
        "listen.tls.client_certificates",
    ] {
        assert!(text.contains(field), "{field} in {text}");
    }
}

#[test]
fn the_keys_of_issuers_come_from_one_place_that_can_be_believed() {
    let problems = |toml: &str| {
        let text = format!("issuer = 'i'\naudience = 'a'\n{toml}");
        let identity: IdentityConfig = toml::from_str(&text).unwrap();
        let mut problems = Problems::default();
        identity.check("", &mut problems);
        format!("{problems:?}")
    };
    assert!(problems("").contains("jwks_file"));
    let good = problems("jwks_url = 'https://issuer.example.com/jwks'");
    assert!(!good.contains("jwks"), "{good}");
    let open = problems("jwks_url = 'http://issuer.example.com/jwks'");
    assert!(open.contains("jwks_url"), "{open}");
    let both = problems("jwks_url = 'https://i'\njwks_file = '/none'");
    assert!(
        both.contains("together") && both.contains("/none"),
        "{both}"
    );
    let lonely = problems("jwks_url = 'https://i'\nservice_jwks_url = 'https://s'");
    assert!(lonely.contains("service_issuer"), "{lonely}");
    let shared = problems("jwks_url = 'https://i'\nservice_issuer = 's'");
    assert!(shared.contains("service_jwks_file"), "{shared}");
    let hasty = problems("jwks_url = 'https://i'\njwks_max_age_s = 200");
    assert!(hasty.contains("jwks_max_age_s"), "{hasty}");
}

#[test]
fn traces_leave_this_machine_by_a_collector_on_it_only() {
    for (endpoint, good) in [
        ("http://127.0.0.1:4317", true),
        ("http://[::1]:4317", true),
        ("http://localhost:4317", true),
        ("http://collector.internal:4317", false),
        ("http://10.0.0.7:4317", false),
        ("https://127.0.0.1:4317", false),
        ("127.0.0.1:4317", false),
        ("", false),
    ] {
        let traces = TracesConfig {
            otlp_endpoint: Some(endpoint.to_owned()),
            ..TracesConfig::default()
        };
        let mut problems = Problems::default();
        traces.check("traces.", &mut problems);
        let told = format!("{problems:?}").contains("traces.otlp_endpoint");
        assert_eq!(told, !good, "{endpoint}");
    }
}
