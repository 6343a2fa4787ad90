//! The files that are checked, and what is found in them.

use std::fmt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// One file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Its path below the repository, with `/` between its parts.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

impl Source {
    /// A file that exists only in a test of a check.
    #[cfg(test)]
    pub(crate) fn sample(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// In which file.
    pub(crate) path: String,
    /// On which line; 1 when it is about the whole file.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) what: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .and_then(Path::parent)
        .expect("the package lies two levels below the root")
        .to_owned()
}

/// The files with this extension below these directories, in order of their paths.
pub(crate) fn read(directories: &[&str], extension: &str) -> Vec<Source> {
    let root = repository();
    let mut found = Vec::new();
    for directory in directories {
        for entry in WalkDir::new(root.join(directory)).sort_by_file_name() {
            let entry = entry.expect("a readable directory");
            let wanted = entry
                .path()
                .extension()
                .is_some_and(|found| found == extension);
            if entry.file_type().is_file() && wanted {
                found.push(file(&root, entry.path()));
            }
        }
    }
    found
}

/// The manifests of the workspace's crates.
pub(crate) fn manifests() -> Vec<Source> {
    let found: Vec<Source> = read(&["crates"], "toml")
        .into_iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
        .collect();
    assert!(found.len() >= 7, "only {} manifests found", found.len());
    found
}

fn file(root: &Path, path: &Path) -> Source {
    let below = path
        .strip_prefix(root)
        .expect("a path below the root")
        .to_string_lossy()
        .replace('\\', "/");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{below}: {error}"));
    Source { path: below, text }
}
