//! Every fuzzed parser over its corpus: what must hold whatever it is given holds, and the corpus has inputs that it
//! accepts and inputs that it refuses.

#[path = "../../../fuzz/src/lib.rs"]
#[expect(
    unreachable_pub,
    reason = "there it is a library, of which the fuzzers are made"
)]
mod latchkey_fuzz;

use std::path::Path;

/// How many inputs a corpus has at least.
const LEAST: usize = 10;

#[test]
fn every_input_of_the_corpus_is_borne() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, target) in latchkey_fuzz::TARGETS {
        let (mut accepted, mut refused) = (0, 0);
        for entry in std::fs::read_dir(corpora.join(name)).expect(name) {
            let path = entry.expect("a readable directory").path();
            let input = std::fs::read(&path).expect("an input");
            // What a fuzzer makes of them first.
            for length in 0..input.len() {
                target(&input[..length]);
            }
            println!("{}", path.display());
            if target(&input) {
                accepted += 1;
            } else {
                refused += 1;
            }
        }
        assert!(accepted > 0, "{name}: nothing is accepted");
        assert!(refused > 0, "{name}: nothing is refused");
        assert!(accepted + refused >= LEAST, "{name}: too few inputs");
    }
}

#[test]
fn every_corpus_and_every_target_is_among_them() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut known: Vec<String> = latchkey_fuzz::TARGETS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    known.sort();
    for (directory, extension) in [("corpus", ""), ("fuzz_targets", ".rs")] {
        let entries = std::fs::read_dir(fuzz.join(directory)).expect(directory);
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.expect("a readable directory").file_name();
            name.to_string_lossy()
                .trim_end_matches(extension)
                .to_owned()
        };
        let mut found: Vec<String> = entries.map(name).collect();
        found.sort();
        assert_eq!(found, known, "{directory}");
    }
}

#[test]
fn each_fuzzer_runs_the_parser_of_its_name() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).expect("a manifest");
    for (name, _) in latchkey_fuzz::TARGETS {
        let path = format!("fuzz_targets/{name}.rs");
        let program = std::fs::read_to_string(fuzz.join(&path)).expect(name);
        assert!(
            program.contains(&format!("latchkey_fuzz::{name}(bytes);")),
            "{program}"
        );
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"{path}\"")));
    }
}
