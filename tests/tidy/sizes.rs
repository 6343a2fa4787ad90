//! How long files and functions may be.

use crate::source::{Finding, Source};
use crate::tokens;

/// The most lines of a file.
const FILE_LINES: usize = 500;
/// The most lines of a function, from its `fn` to its closing brace: what a reader can keep in view.
const FUNCTION_LINES: usize = 70;

pub(crate) fn long_files(sources: &[Source]) -> Vec<Finding> {
    let long = |source: &Source| {
        let lines = source.text.lines().count();
        (lines > FILE_LINES).then(|| {
            Finding::new(
                &source.path,
                1,
                format!("{lines} lines; at most {FILE_LINES} are allowed"),
            )
        })
    };
    sources.iter().filter_map(long).collect()
}

pub(crate) fn long_functions(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for function in tokens::functions(tokens::lex(&source.path, &source.text)) {
            let lines = function.last - function.first + 1;
            if lines > FUNCTION_LINES {
                let what = format!(
                    "`{}` has {lines} lines; at most {FUNCTION_LINES} are allowed",
                    function.name
                );
                findings.push(Finding::new(&source.path, function.first, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_501_lines_is_found_and_one_of_500_is_not() {
        let file = |lines: usize| [Source::sample("a.rs", &"//\n".repeat(lines))];
        assert!(long_files(&file(500)).is_empty());
        assert_eq!(long_files(&file(501)).len(), 1);
    }

    #[test]
    fn a_function_of_71_lines_is_found_and_one_of_70_is_not() {
        let file = |lines: usize| {
            [Source::sample(
                "a.rs",
                &format!("\nfn f() {{\n{}}}\n", "//\n".repeat(lines - 2)),
            )]
        };
        assert!(long_functions(&file(70)).is_empty());
        let found = long_functions(&file(71));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 2);
    }
}
