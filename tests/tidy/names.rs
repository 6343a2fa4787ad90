//! Names that say nothing.

use crate::source::{Finding, Source};
use crate::tokens;

/// Modules with these names collect whatever has no place.
const DUMPING_GROUNDS: [&str; 6] = ["utils", "util", "common", "helpers", "helper", "misc"];

pub(crate) fn dumping_grounds(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for part in source.path.split('/') {
            let name = part.trim_end_matches(".rs");
            if DUMPING_GROUNDS.contains(&name) {
                findings.push(Finding::new(
                    &source.path,
                    1,
                    format!("`{name}` says nothing about what belongs here"),
                ));
            }
        }
        for (name, line) in tokens::modules(tokens::lex(&source.path, &source.text)) {
            if DUMPING_GROUNDS.contains(&name.as_str()) {
                findings.push(Finding::new(
                    &source.path,
                    line,
                    format!("`mod {name}` says nothing about its content"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumping_grounds_are_found_as_files_directories_and_modules() {
        for (path, text) in [
            ("crates/keys/src/utils.rs", ""),
            ("tests/common/mod.rs", ""),
            ("crates/keys/src/lib.rs", "mod helpers;"),
            ("crates/keys/src/lib.rs", "mod tests { mod util { } }"),
        ] {
            assert_eq!(
                dumping_grounds(&[Source::sample(path, text)]).len(),
                1,
                "{path} {text}"
            );
        }
        assert!(
            dumping_grounds(&[Source::sample(
                "crates/keys/src/store/codes.rs",
                "mod tests;"
            )])
            .is_empty()
        );
    }
}
