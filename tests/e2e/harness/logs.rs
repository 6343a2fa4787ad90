//! The logs of a stack's processes.

use super::site::{Replica, Site};

/// How much of a log is shown with a test that failed.
const SHOWN: usize = 25;

/// The end of a process's log.
pub(crate) fn last_words(replica: &Replica) -> String {
    let text = std::fs::read_to_string(&replica.log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
    format!("--- {} ends:\n{end}", replica.log.display())
}

/// Everything that the processes logged.
pub(crate) fn all(site: &Site) -> String {
    site.replicas()
        .map(|replica| std::fs::read_to_string(&replica.log).unwrap_or_default())
        .collect()
}

/// Fails unless the logs tell of no panic.
pub(crate) fn show_no_panics(site: &Site) {
    for replica in site.replicas() {
        let text = std::fs::read_to_string(&replica.log).unwrap_or_default();
        let panics: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("panicked at"))
            .collect();
        assert!(
            panics.is_empty(),
            "{}:\n{}",
            replica.log.display(),
            panics.join("\n")
        );
    }
}

/// Fails unless the logs tell of exactly so many inner faults and of no panic.
pub(crate) fn show_no_faults(site: &Site, expected: usize) {
    show_no_panics(site);
    let text = all(site);
    let faults: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("\"INTERNAL\""))
        .collect();
    assert_eq!(
        faults.len(),
        expected,
        "inner faults:\n{}",
        faults.join("\n")
    );
}
