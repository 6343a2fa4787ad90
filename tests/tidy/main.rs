//! Holds the shape of the project: which room may see what, how long files and functions may be, what names are worth
//! having, and that tables and documents cover the whole contract.
//!
//! Each check is a function from sources to findings, so that it is itself tested on small samples that break it.

mod contract;
mod deed_names;
mod locked;
mod manifests;
mod metric_names;
mod names;
mod rooms;
mod rules_page;
mod sizes;
mod source;
mod tokens;

use source::{Finding, Source, repository};

/// The Rust sources that are written by hand: those of the crates and of the tests.
fn sources() -> Vec<Source> {
    let found = source::read(&["crates", "tests"], "rs");
    assert!(
        found.len() > 50,
        "only {} sources found: is the search broken?",
        found.len()
    );
    found
}

/// Fails with all findings, one a line, so that an editor can jump to each.
fn hold(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(
        findings.is_empty(),
        "{} findings:\n{}\n",
        findings.len(),
        lines.join("\n")
    );
}

#[test]
fn no_file_is_longer_than_500_lines() {
    hold(&sizes::long_files(&sources()));
}

#[test]
fn no_function_is_longer_than_70_lines() {
    hold(&sizes::long_functions(&sources()));
}

#[test]
fn no_module_is_a_dumping_ground() {
    hold(&names::dumping_grounds(&sources()));
}

#[test]
fn rooms_see_only_what_they_may() {
    let sources = sources();
    for room in ["domain", "store", "app", "rpc"] {
        for service in ["keys", "enrollment"] {
            let prefix = format!("crates/{service}/src/{room}");
            assert!(
                sources
                    .iter()
                    .any(|source| source.path.starts_with(&prefix)),
                "there is no room {prefix}"
            );
        }
    }
    hold(&rooms::trespasses(&sources));
}

#[test]
fn crates_depend_in_one_direction() {
    hold(&manifests::wrong_dependencies(&source::manifests()));
}

#[test]
fn every_crate_inherits_the_workspaces_lints() {
    hold(&manifests::missing_lints(&source::manifests()));
    hold(&manifests::weak_lints(&repository().join("Cargo.toml")));
}

#[test]
fn whatever_builds_builds_what_the_lock_file_says() {
    hold(&locked::unlocked(&locked::files()));
}

#[test]
fn faults_are_compiled_in_for_tests_only() {
    hold(&manifests::shipped_faults(&source::manifests()));
}

#[test]
fn the_access_tables_cover_every_method() {
    hold(&contract::uncovered_methods(
        &sources(),
        &contract::methods(),
    ));
}

#[test]
fn every_reason_is_documented_with_its_code() {
    let page =
        std::fs::read_to_string(repository().join("docs/errors.md")).expect("docs/errors.md");
    hold(&contract::undocumented_reasons(&page, &contract::reasons()));
    hold(&contract::undocumented_warnings(
        &page,
        &contract::warnings(),
    ));
}

#[test]
fn every_reason_states_the_code_it_comes_with() {
    hold(&contract::misstated_codes(&contract::reasons()));
}

#[test]
fn every_rule_of_the_domain_names_the_test_that_holds_it() {
    let page =
        std::fs::read_to_string(repository().join("docs/domain.md")).expect("docs/domain.md");
    hold(&rules_page::unheld_rules(&page, &sources()));
}

#[test]
fn every_deed_is_documented_and_no_other() {
    let page =
        std::fs::read_to_string(repository().join("docs/domain.md")).expect("docs/domain.md");
    let code: Vec<Source> = sources()
        .into_iter()
        .filter(|source| source.path.ends_with("/src/domain/audit.rs"))
        .collect();
    hold(&deed_names::unlisted(&page, &code));
}

#[test]
fn every_metric_is_documented_and_no_other_is_asked_for() {
    let page =
        std::fs::read_to_string(repository().join("docs/metrics.md")).expect("docs/metrics.md");
    let code: Vec<Source> = source::read(&["crates"], "rs")
        .into_iter()
        .filter(|source| source.path.contains("/src/"))
        .collect();
    hold(&metric_names::unlisted(&page, &code));
    for extension in ["json", "yaml", "yml"] {
        let files = source::read(&["deploy"], extension);
        hold(&metric_names::asked_in_vain(&page, &files));
    }
}
