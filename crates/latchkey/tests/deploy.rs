//! The configuration files in `deploy/` load, name every setting there is, and state the defaults that are in force.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use latchkey::stack::config_files::SharedFiles;
use latchkey::stack::databases::Provisioned;
use latchkey::stack::secrets::Secrets;
use latchkey_service_kit::config::{Check, from_sources};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Value;

/// Where the files say that secrets and key sets are.
const ETC: &str = "/etc/latchkey";

/// The file as it stands, but for the directory of secrets; and the same with every default spelled out.
fn texts(name: &str, secrets: &Path) -> (String, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy")
        .join(name);
    let text = std::fs::read_to_string(path).expect("the file");
    let text = text.replace(ETC, secrets.to_str().expect("a path of text"));
    let spelled_out: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            // A setting with its default follows the sign at once, prose after a space.
            Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting,
            _ => line,
        })
        .collect();
    let spelled_out = spelled_out.join("\n");
    (text, spelled_out)
}

/// All secrets and key sets that the files name.
fn secrets(directory: &Path) {
    let url = || SecretString::from("postgres://localhost/latchkey");
    let database = Provisioned {
        keys_url: url(),
        enrollment_url: url(),
        made: Vec::new(),
    };
    let secrets = Secrets::in_directory(directory.to_owned());
    SharedFiles::make(&secrets, &database, &[]).expect("the files");
}

fn names(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                let dot = if path.is_empty() { "" } else { "." };
                names(value, &format!("{path}{dot}{name}"), into);
            }
        }
        _ => {
            into.insert(path.to_owned());
        }
    }
}

fn names_of(value: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    names(value, "", &mut all);
    all
}

fn load<T: DeserializeOwned + Check>(directory: &Path, text: &str) -> T {
    let path: PathBuf = directory.join("config.toml");
    std::fs::write(&path, text).expect("written");
    from_sources(Some(&path), "NOBODY_SETS_THIS", HashMap::new())
        .unwrap_or_else(|error| panic!("{error}\nin\n{text}"))
}

fn check<T: DeserializeOwned + Check + Serialize>(name: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    secrets(directory.path());
    let (as_it_stands, spelled_out) = texts(name, directory.path());
    let config: T = load(directory.path(), &as_it_stands);
    let in_force = Value::try_from(&config).expect("TOML");
    let defaults: T = load(directory.path(), &spelled_out);
    assert_eq!(
        Value::try_from(&defaults).expect("TOML"),
        in_force,
        "{name} states another default than the one in force"
    );
    let stated: Value = toml::from_str(&spelled_out).expect("TOML");
    assert_eq!(
        names_of(&stated),
        names_of(&in_force),
        "{name} has a setting too many or too few"
    );
}

#[test]
fn the_configuration_of_the_keys_service_loads_and_is_complete() {
    check::<latchkey_keys::Config>("keys.toml");
}

#[test]
fn the_configuration_of_the_enrollment_service_loads_and_is_complete() {
    check::<latchkey_enrollment::Config>("enrollment.toml");
}

#[test]
fn the_configurations_for_kubernetes_load() {
    let directory = tempfile::tempdir().expect("a directory");
    secrets(directory.path());
    let text = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../deploy/kubernetes/base/config")
            .join(name);
        let text = std::fs::read_to_string(path).expect("the file");
        let secrets = directory.path().to_str().expect("a path of text");
        text.replace("/etc/latchkey/secrets", secrets)
    };
    let _: latchkey_keys::Config = load(directory.path(), &text("keys.toml"));
    let _: latchkey_enrollment::Config = load(directory.path(), &text("enrollment.toml"));
}
