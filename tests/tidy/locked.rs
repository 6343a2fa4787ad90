//! That whatever builds, builds what Cargo.lock says: in CI, in the image, and in what the documents tell people to type.

use crate::source::{Finding, Source, repository};

/// Cargo's commands that resolve dependencies, and would change the lock file on the way.
const RESOLVING: [&str; 10] = [
    "auditable",
    "bench",
    "build",
    "check",
    "clippy",
    "deny",
    "doc",
    "install",
    "run",
    "test",
];

/// What follows these words is said about a command, not to be typed.
const SPOKEN_OF: [&str; 1] = ["…"];

/// The files that give commands: scripts of CI, the image's recipe, and the pages.
pub(crate) fn files() -> Vec<Source> {
    let root = repository();
    let mut paths = vec!["README.md".to_owned(), "deploy/Dockerfile".to_owned()];
    for directory in [".ci", "docs", "deploy"] {
        for entry in std::fs::read_dir(root.join(directory)).expect(directory) {
            let entry = entry.expect("a readable directory");
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{directory}/{name}");
            let told = directory == ".ci" || entry.path().extension().is_some_and(|it| it == "md");
            if told && entry.file_type().expect("its type").is_file() {
                paths.push(path);
            }
        }
    }
    let read = |path: String| Source {
        text: std::fs::read_to_string(root.join(&path)).expect(&path),
        path,
    };
    paths.into_iter().map(read).collect()
}

/// Commands without `--locked`, up to the end of their line or of what stands in backticks.
pub(crate) fn unlocked(files: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        for (index, line) in file.text.lines().enumerate() {
            for command in commands(line) {
                let what = format!("`{command}` does not say --locked");
                findings.push(Finding::new(&file.path, index + 1, what));
            }
        }
    }
    findings
}

/// The commands in `line` that resolve dependencies as they like.
fn commands(line: &str) -> impl Iterator<Item = &str> {
    let starts = line.match_indices("cargo ").map(|(at, _)| &line[at..]);
    starts.filter_map(|rest| {
        let command = rest
            .split(['`', '|', ';', '&', '"', '(', '#'])
            .next()
            .unwrap_or(rest)
            .trim();
        let mut words = command.split_whitespace().skip(1);
        let verb = words.find(|word| !word.starts_with('+'))?;
        let rest: Vec<&str> = words.collect();
        // `cargo test` alone, in prose, names the tool; what is to be typed has arguments.
        let to_be_typed = !rest.is_empty() && !rest.iter().any(|word| SPOKEN_OF.contains(word));
        let asks_only = rest.iter().any(|word| word.starts_with("--version"));
        let resolves = RESOLVING.contains(&verb) && to_be_typed && !asks_only;
        (resolves && !rest.contains(&"--locked")).then_some(command)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> usize {
        unlocked(&[Source::sample("docs/page.md", line)]).len()
    }

    #[test]
    fn a_command_that_may_change_the_lock_file_is_found() {
        assert_eq!(found("cargo build --release"), 1);
        assert_eq!(
            found("run `cargo test --workspace`, then `cargo run -- dev`"),
            2
        );
        assert_eq!(found("RUN cargo +nightly install cargo-fuzz"), 1);
        assert_eq!(found("cargo check -q && cargo check --locked -q"), 1);
    }

    #[test]
    fn a_locked_command_and_one_that_is_only_spoken_of_are_not() {
        assert_eq!(found("cargo build --locked --release"), 0);
        assert_eq!(found("what `cargo test` compiles"), 0);
        assert_eq!(found("`cargo run … -- COMMAND` is a command"), 0);
        assert_eq!(found("cargo deny --version"), 0);
        assert_eq!(found("cargo fmt --all --check"), 0);
    }
}
