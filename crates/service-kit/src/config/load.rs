//! Loading and checking.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat};
use serde::de::DeserializeOwned;

/// Why there is no configuration to start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, is not TOML, or a value has the wrong type.
    #[error("the configuration cannot be read: {0}")]
    Unreadable(#[from] config::ConfigError),
    /// There are fields that mean nothing, or values that make no sense: all of them, one a line.
    #[error("{}", list(.0))]
    Wrong(Vec<String>),
}

fn list(problems: &[String]) -> String {
    format!(
        "the configuration is wrong:\n  - {}",
        problems.join("\n  - ")
    )
}

/// The problems found in a configuration so far.
#[derive(Debug, Default)]
pub struct Problems {
    found: Vec<String>,
}

impl Problems {
    /// Notes that `field` (its full path, for example `database.max_connections`) has a `problem`.
    pub fn add(&mut self, field: &str, problem: impl fmt::Display) {
        self.found.push(format!("{field}: {problem}"));
    }

    /// Notes a problem with `field` unless `holds`.
    pub fn check(&mut self, field: &str, holds: bool, problem: impl fmt::Display) {
        if !holds {
            self.add(field, problem);
        }
    }
}

/// A configuration, or a part of one, that can tell what is wrong with it.
pub trait Check {
    /// Notes every problem. `path` is where this part stands, with a dot at its end unless it is the root.
    fn check(&self, path: &str, problems: &mut Problems);
}

/// Loads a `T` from the TOML file at `path` (none: defaults and environment only) and the process's environment.
///
/// The variable `PREFIX__SECTION__FIELD` overrides `section.field`. Fields that `T` does not have are refused, in the
/// file and in the environment, all of them by name; so are all problems that [`Check`] finds.
pub fn from_file<T: DeserializeOwned + Check>(
    path: Option<&Path>,
    prefix: &str,
) -> Result<T, ConfigError> {
    load(path.map(Path::to_path_buf), prefix, None)
}

/// Like [`from_file`], with an environment given as an argument.
#[expect(
    clippy::implicit_hasher,
    reason = "the configuration library takes no other map"
)]
pub fn from_sources<T: DeserializeOwned + Check>(
    path: Option<&Path>,
    prefix: &str,
    environment: HashMap<String, String>,
) -> Result<T, ConfigError> {
    load(path.map(Path::to_path_buf), prefix, Some(environment))
}

fn load<T: DeserializeOwned + Check>(
    path: Option<PathBuf>,
    prefix: &str,
    environment: Option<HashMap<String, String>>,
) -> Result<T, ConfigError> {
    let mut builder = Config::builder();
    if let Some(path) = path {
        builder = builder.add_source(File::from(path).format(FileFormat::Toml));
    }
    let environment = Environment::with_prefix(prefix)
        .separator("__")
        .source(environment);
    let merged = builder.add_source(environment).build()?;

    let mut unknown = Vec::new();
    let loaded: T = serde_ignored::deserialize(merged, |path| {
        unknown.push(format!("{path}: there is no such field"));
    })?;
    let mut problems = Problems { found: unknown };
    loaded.check("", &mut problems);
    if problems.found.is_empty() {
        Ok(loaded)
    } else {
        Err(ConfigError::Wrong(problems.found))
    }
}
