//! That `docs/domain.md` names a test for every rule, and only tests that exist.
//!
//! A rule is a row of a table there. A test is named in backticks as the path of its file and its function, for example
//! `tests/e2e/races.rs::one_key_has_one_winner`.

use crate::source::{Finding, Source};
use crate::tokens;

const PAGE: &str = "docs/domain.md";
/// How many lines above its `fn` a test's attribute may stand: others may come between.
const ATTRIBUTE_WITHIN: usize = 4;

/// Rules without a test, and names that belong to no test in `sources`.
pub(crate) fn unheld_rules(page: &str, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut rules = 0;
    for (index, line) in page.lines().enumerate() {
        let names = test_names(line);
        if is_rule(line, page.lines().nth(index + 1)) {
            rules += 1;
            if names.is_empty() {
                findings.push(Finding::new(PAGE, index + 1, "a rule without a test"));
            }
        }
        for (path, function) in names {
            if !sources
                .iter()
                .any(|source| source.path == path && has_test(source, function))
            {
                let what = format!("there is no test `{path}::{function}`");
                findings.push(Finding::new(PAGE, index + 1, what));
            }
        }
    }
    if rules == 0 {
        findings.push(Finding::new(PAGE, 1, "there are no rules on the page"));
    }
    findings
}

/// Whether `line` is a row of a table, and neither its head (which has the ruler for its next line) nor that ruler.
fn is_rule(line: &str, next: Option<&str>) -> bool {
    let ruler = |line: &str| line.starts_with("|-") || line.starts_with("| -");
    line.starts_with('|') && !ruler(line) && !next.is_some_and(ruler)
}

/// The files and functions that a line names.
fn test_names(line: &str) -> Vec<(&str, &str)> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|text| text.split_once(".rs::").map(|(file, _)| (text, file.len())))
        .map(|(text, length)| (&text[..length + 3], &text[length + 5..]))
        .collect()
}

fn has_test(source: &Source, name: &str) -> bool {
    let lines: Vec<&str> = source.text.lines().collect();
    let functions = tokens::functions(tokens::lex(&source.path, &source.text));
    functions
        .iter()
        .filter(|function| function.name == name)
        .any(|function| {
            let end = function.first.saturating_sub(1);
            lines[end.saturating_sub(ATTRIBUTE_WITHIN)..end]
                .iter()
                .any(|line| line.trim_start().starts_with("#[") && line.contains("test"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rows: &str) -> usize {
        let file = "#[test]\nfn holds() {}\n\nfn is_no_test() {}\n\n\n\n\nfn nor_this() {}\n";
        let page = format!("# Rules\n\n| rule | test |\n|---|---|\n{rows}");
        unheld_rules(&page, &[Source::sample("tests/e2e/a.rs", file)]).len()
    }

    #[test]
    fn a_rule_is_held_by_a_test_that_exists() {
        assert_eq!(found("| it holds | `tests/e2e/a.rs::holds` |\n"), 0);
        for row in [
            "| it holds | some day |\n",
            "| it holds | `tests/e2e/a.rs::gone` |\n",
            "| it holds | `tests/e2e/b.rs::holds` |\n",
            "| it holds | `tests/e2e/a.rs::nor_this` |\n",
        ] {
            assert_eq!(found(row), 1, "{row}");
        }
        assert_eq!(found(""), 1, "a page without rules");
    }

    #[test]
    fn prose_that_names_a_test_is_checked_too() {
        assert_eq!(
            found("| a | `tests/e2e/a.rs::holds` |\n\nSee `tests/e2e/a.rs::gone`.\n"),
            1
        );
    }
}
