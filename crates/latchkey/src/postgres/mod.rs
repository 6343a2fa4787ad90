//! A Postgres of our own: found or downloaded, initialised, started, adopted, and stopped when its owner ends.

pub mod account;
pub mod cluster;
pub mod download;
pub mod find;
pub mod guard;
mod pid_file;

use std::fmt;

pub use account::Account;
pub use cluster::{Cluster, ClusterOptions};
pub use find::{Attempt, Binaries, Places};

use crate::progress::Progress;

/// No Postgres: what was tried, and what to do about it.
#[derive(Debug)]
pub struct NoPostgres {
    /// Everything that was tried, in order.
    pub attempts: Vec<Attempt>,
    /// The one command that helps on this operating system.
    pub remedy: String,
}

impl fmt::Display for NoPostgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "no PostgreSQL server found, and none could be downloaded. Tried:"
        )?;
        for attempt in &self.attempts {
            writeln!(f, "  - {attempt}")?;
        }
        write!(f, "To mend it: {}", self.remedy)
    }
}

impl std::error::Error for NoPostgres {}

/// The server binaries: of this machine, else downloaded; of the `major` version if a cluster needs that one.
///
/// # Errors
/// One error that names each thing tried and the remedy.
pub async fn binaries(
    places: &Places,
    account: &Account,
    major: Option<u32>,
    progress: &Progress,
) -> Result<Binaries, NoPostgres> {
    let mut attempts = vec![Attempt {
        what: "DATABASE_URL".into(),
        outcome: "not set; it would name a server to use instead".into(),
    }];
    match places.find(account, major) {
        Ok(binaries) => return Ok(binaries),
        Err(more) => attempts.extend(more),
    }
    match download::download(&places.archives, account, major, progress).await {
        Ok(binaries) => Ok(binaries),
        Err(outcome) => {
            let what = format!(
                "download from {} to {}",
                places.archives,
                download::cache_directory(account).display()
            );
            attempts.push(Attempt { what, outcome });
            Err(NoPostgres {
                attempts,
                remedy: remedy(&std::fs::read_to_string("/etc/os-release").unwrap_or_default()),
            })
        }
    }
}

/// The one line that installs Postgres on the operating system that `os_release` (the text of `/etc/os-release`)
/// describes.
fn remedy(os_release: &str) -> String {
    let packages = [
        (
            ["debian", "ubuntu"].as_slice(),
            "apt-get install postgresql",
        ),
        (
            &["fedora", "rhel", "centos"],
            "dnf install postgresql-server",
        ),
        (&["suse", "opensuse"], "zypper install postgresql-server"),
        (&["arch"], "pacman -S postgresql"),
        (&["alpine"], "apk add postgresql"),
    ];
    let ids: Vec<&str> = os_release
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ID=")
                .or_else(|| line.strip_prefix("ID_LIKE="))
        })
        .flat_map(|value| value.trim_matches('"').split_whitespace())
        .collect();
    let known = packages
        .iter()
        .find(|(names, _)| ids.iter().any(|id| names.contains(id)));
    match known {
        Some((_, command)) => (*command).to_owned(),
        None if cfg!(target_os = "macos") => "brew install postgresql@17".to_owned(),
        None => format!(
            "install the PostgreSQL server ({} or newer) with this system's package manager, or set DATABASE_URL",
            find::OLDEST_MAJOR
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_is_that_of_the_operating_system() {
        assert_eq!(
            remedy("NAME=\"Debian GNU/Linux\"\nID=debian\n"),
            "apt-get install postgresql"
        );
        assert_eq!(
            remedy("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"),
            "apt-get install postgresql"
        );
        assert_eq!(
            remedy("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
            "dnf install postgresql-server"
        );
        if !cfg!(target_os = "macos") {
            assert!(remedy("").contains("DATABASE_URL"));
        }
    }

    /// Neither on this machine nor by download: what somebody sees who has neither Postgres nor a network.
    #[tokio::test]
    async fn where_none_is_found_or_fetched_the_error_says_what_to_do() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let places = Places {
            path: directory.path().into(),
            packaged: vec![format!("{}/*/bin", directory.path().display())],
            archives: "https://archives.invalid/postgres".to_owned(),
        };
        let account = Account::for_postgres().expect("an account");
        // A version that nobody has in the cache.
        let missing = binaries(&places, &account, Some(9_999), &Progress::hidden()).await;
        let text = missing.expect_err("there is none").to_string();
        let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        for part in [
            "DATABASE_URL: not set",
            "`postgres` on the PATH: not there",
            "`pg_config --bindir`: not there",
            "/*/bin: not there",
            "download from https://archives.invalid/postgres to ",
            &format!("To mend it: {}", remedy(&os_release)),
        ] {
            assert!(text.contains(part), "{part} in:\n{text}");
        }
    }

    #[test]
    fn one_error_names_each_thing_tried_and_the_remedy() {
        let attempts = vec![
            Attempt {
                what: "here".into(),
                outcome: "not there".into(),
            },
            Attempt {
                what: "download".into(),
                outcome: "no network".into(),
            },
        ];
        let text = NoPostgres {
            attempts,
            remedy: "apt-get install postgresql".into(),
        }
        .to_string();
        assert!(text.contains("- here: not there\n"), "{text}");
        assert!(text.contains("- download: no network\n"), "{text}");
        assert!(
            text.ends_with("To mend it: apt-get install postgresql"),
            "{text}"
        );
    }
}
