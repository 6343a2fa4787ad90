//! `latchkey keyring`, run as operators run it: with the configuration of the keys service.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::harness::cluster::executable;
use crate::harness::{Stack, eventually};

/// The keyring of a stack.
pub(crate) struct Keyring {
    config: PathBuf,
    /// The keyring file.
    pub(crate) file: PathBuf,
}

/// How a run of the command ended.
pub(crate) struct Ended {
    success: bool,
    said: String,
}

impl Ended {
    pub(crate) fn is_success(&self) -> bool {
        self.success
    }

    /// All that it said.
    pub(crate) fn text(&self) -> String {
        self.said.clone()
    }

    #[track_caller]
    pub(crate) fn succeeded(self) {
        assert!(self.success, "{}", self.said);
    }
}

impl Keyring {
    /// That of the first process of keys.
    pub(crate) fn of(stack: &Stack) -> Self {
        let config = stack.site().keys[0].config.clone();
        let text = std::fs::read_to_string(&config).expect("its configuration");
        let table: toml::Table = text.parse().expect("TOML");
        let file = table["keyring_file"].as_str().expect("a path").into();
        Self { config, file }
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "").await
    }

    /// Runs it with faults in its own process.
    pub(crate) async fn run_with(&self, arguments: &[&str], faults: &str) -> Ended {
        let output = Command::new(executable())
            .arg("keyring")
            .args(arguments)
            .arg("--config")
            .arg(&self.config)
            .env("FAILPOINTS", faults)
            .stdin(Stdio::null())
            .output()
            .await
            .expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        Ended {
            success: output.status.success(),
            said: String::from_utf8_lossy(&said).into_owned(),
        }
    }

    pub(crate) async fn remove(&self, purpose: &str, version: i16) -> Ended {
        let version = version.to_string();
        let arguments = [
            "remove-version",
            "--purpose",
            purpose,
            "--version",
            &version,
        ];
        self.run(&arguments).await
    }

    pub(crate) async fn status(&self) -> Status {
        let ended = self.run(&["status", "--json"]).await;
        assert!(ended.success, "{}", ended.said);
        let line = ended.said.lines().next().unwrap_or_default();
        Status(serde_json::from_str(line).expect("JSON"))
    }

    /// Returns when every process has what stands in the file.
    pub(crate) async fn processes_have_read(&self) {
        eventually("all processes have read it", async || {
            let status = self.status().await;
            let processes = status.0["processes"].as_array().expect("a list").clone();
            let behind = |process: &&Value| process["lacks"] != serde_json::json!([]);
            let behind: Vec<&Value> = processes.iter().filter(behind).collect();
            if behind.is_empty() && !processes.is_empty() {
                Ok(())
            } else {
                Err(format!("{behind:?} of {}", processes.len()))
            }
        })
        .await;
    }
}

/// What `status` says.
pub(crate) struct Status(Value);

impl Status {
    fn find(&self, purpose: &str, version: i16) -> Option<&Value> {
        let keys = self.0["keys"].as_array().expect("a list");
        keys.iter()
            .find(|key| key["purpose"] == purpose && key["version"] == version)
    }

    #[track_caller]
    fn of(&self, purpose: &str, version: i16) -> &Value {
        let found = self.find(purpose, version);
        found.unwrap_or_else(|| panic!("no version {version} of {purpose} in {}", self.0))
    }

    /// Whether a process at this address runs.
    pub(crate) fn knows(&self, address: &str) -> bool {
        let processes = self.0["processes"].as_array().expect("a list");
        processes
            .iter()
            .any(|process| process["address"] == address)
    }

    /// Whether anything knows of this version.
    pub(crate) fn has(&self, purpose: &str, version: i16) -> bool {
        self.find(purpose, version).is_some()
    }

    #[track_caller]
    pub(crate) fn state(&self, purpose: &str, version: i16) -> String {
        let state = self.of(purpose, version)["state"].as_str();
        state.expect("a state").to_owned()
    }

    #[track_caller]
    pub(crate) fn rows(&self, purpose: &str, version: i16) -> i64 {
        self.of(purpose, version)["rows"]
            .as_i64()
            .expect("a number")
    }
}
