//! That `docs/metrics.md` lists exactly the metrics there are, and that dashboards and alerts ask for no others.

use std::collections::BTreeSet;

use regex::Regex;

use crate::source::{Finding, Source};

const PAGE: &str = "docs/metrics.md";
/// Roles of the database, which look like metrics.
const ROLES: [&str; 3] = ["latchkey_keys", "latchkey_enrollment", "latchkey_admin"];
/// What scraping adds to the name of a histogram.
const SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Metrics in `code` that are not on the page, and the reverse.
pub(crate) fn unlisted(page: &str, code: &[Source]) -> Vec<Finding> {
    let listed = listed(page);
    let literal = pattern(r#""(latchkey_[a-z0-9_]+)""#);
    let mut findings = Vec::new();
    let mut recorded = BTreeSet::new();
    for (source, line, name) in found(&literal, code) {
        if !listed.contains(&name) {
            let what = format!("`{name}` is not in {PAGE}");
            findings.push(Finding::new(&source.path, line, what));
        }
        recorded.insert(name);
    }
    for name in listed.difference(&recorded) {
        findings.push(Finding::new(
            PAGE,
            1,
            format!("`{name}` is nowhere in the code"),
        ));
    }
    findings
}

/// Metrics that `files` of `deploy/` ask for and that are not on the page.
pub(crate) fn asked_in_vain(page: &str, files: &[Source]) -> Vec<Finding> {
    let listed = listed(page);
    let known = |name: &str| {
        let whole = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
        listed.contains(name) || whole.is_some_and(|whole| listed.contains(whole))
    };
    found(&pattern(r"\b(latchkey_[a-z0-9_]+)"), files)
        .filter(|(_, _, name)| !known(name))
        .map(|(source, line, name)| {
            Finding::new(&source.path, line, format!("`{name}` is not in {PAGE}"))
        })
        .collect()
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

/// The names in the first column of the page's tables.
fn listed(page: &str) -> BTreeSet<String> {
    let row = pattern(r"^\| `(latchkey_[a-z0-9_]+)` \|");
    page.lines()
        .filter_map(|line| Some(row.captures(line)?[1].to_owned()))
        .collect()
}

fn found<'s>(
    name: &'s Regex,
    sources: &'s [Source],
) -> impl Iterator<Item = (&'s Source, usize, String)> {
    let lines = sources.iter().flat_map(|source| {
        source
            .text
            .lines()
            .enumerate()
            .map(move |line| (source, line))
    });
    lines
        .flat_map(move |(source, (index, line))| {
            name.captures_iter(line)
                .map(move |found| (source, index + 1, found[1].to_owned()))
        })
        .filter(|(_, _, name)| !ROLES.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "| name |\n|---|\n| `latchkey_a_seconds` | histogram |\n";

    fn source(text: &str) -> [Source; 1] {
        [Source::sample("crates/keys/src/a.rs", text)]
    }

    #[test]
    fn code_and_page_name_the_same_metrics() {
        let code = "histogram!(\"latchkey_a_seconds\"); connect(\"latchkey_keys\")";
        assert_eq!(unlisted(SAMPLE, &source(code)).len(), 0);
        assert_eq!(unlisted(SAMPLE, &source("")).len(), 1, "gone");
        let more = format!("{code}; counter!(\"latchkey_b_total\")");
        assert_eq!(unlisted(SAMPLE, &source(&more)).len(), 1, "new");
    }

    #[test]
    fn dashboards_ask_for_what_there_is() {
        for (query, findings) in [
            ("rate(latchkey_a_seconds_bucket[5m])", 0),
            ("rate(latchkey_a_seconds_total[5m])", 1),
            ("sum(latchkey_b)", 1),
        ] {
            assert_eq!(
                asked_in_vain(SAMPLE, &source(query)).len(),
                findings,
                "{query}"
            );
        }
    }
}
