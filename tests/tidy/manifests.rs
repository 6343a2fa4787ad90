//! Which crate may depend on which, and that all of them inherit the workspace's lints.

use std::path::Path;

use toml::{Table, Value};

use crate::source::{Finding, Source};

/// What each crate of ours may depend on among ours. The command, on top, may depend on all.
const MAY_DEPEND: [(&str, &[&str]); 6] = [
    ("latchkey-proto", &[]),
    ("latchkey-code", &[]),
    ("latchkey-group-commit", &[]),
    ("latchkey-service-kit", &["latchkey-proto"]),
    (
        "latchkey-keys",
        &[
            "latchkey-proto",
            "latchkey-service-kit",
            "latchkey-group-commit",
            "latchkey-code",
        ],
    ),
    (
        "latchkey-enrollment",
        &[
            "latchkey-proto",
            "latchkey-service-kit",
            "latchkey-group-commit",
            "latchkey-code",
        ],
    ),
];

pub(crate) fn wrong_dependencies(manifests: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in manifests {
        let table = parse(manifest);
        let name = table["package"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if name == "latchkey" {
            continue;
        }
        let Some((_, allowed)) = MAY_DEPEND.iter().find(|(known, _)| *known == name) else {
            let what = format!("`{name}` is not among the crates whose dependencies are ruled");
            findings.push(Finding::new(&manifest.path, 1, what));
            continue;
        };
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = table.get(section).and_then(Value::as_table) else {
                continue;
            };
            for dependency in dependencies
                .keys()
                .filter(|key| key.starts_with("latchkey"))
            {
                if !allowed.contains(&dependency.as_str()) {
                    findings.push(Finding::new(
                        &manifest.path,
                        1,
                        format!("`{name}` must not depend on `{dependency}`"),
                    ));
                }
            }
        }
    }
    findings
}

pub(crate) fn missing_lints(manifests: &[Source]) -> Vec<Finding> {
    let inherits = |manifest: &Source| {
        let table = parse(manifest);
        table
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(Value::as_bool)
            == Some(true)
    };
    let without = manifests.iter().filter(|manifest| !inherits(manifest));
    without
        .map(|manifest| Finding::new(&manifest.path, 1, "does not inherit the workspace's lints"))
        .collect()
}

/// Faults are for tests: whatever turns them on outside of dev-dependencies would ship them.
pub(crate) fn shipped_faults(manifests: &[Source]) -> Vec<Finding> {
    let asks = |dependency: &Value| {
        let features = dependency.get("features").and_then(Value::as_array);
        features.is_some_and(|features| {
            features
                .iter()
                .any(|feature| feature.as_str() == Some("faults"))
        })
    };
    let ships = |manifest: &Source| {
        let table = parse(manifest);
        let asked = ["dependencies", "build-dependencies"]
            .iter()
            .any(|section| {
                let dependencies = table.get(*section).and_then(Value::as_table);
                dependencies.is_some_and(|table| table.values().any(asks))
            });
        let features = table.get("features").and_then(Value::as_table);
        let passed_on = features.is_some_and(|features| {
            features.iter().any(|(name, implied)| {
                let implied = implied.as_array().into_iter().flatten();
                let mut implied = implied.filter_map(Value::as_str);
                name == "default" && implied.clone().any(|feature| feature == "faults")
                    || implied.any(|feature| feature.ends_with("/faults"))
            })
        });
        asked || passed_on
    };
    let shipping = manifests.iter().filter(|manifest| ships(manifest));
    shipping
        .map(|manifest| Finding::new(&manifest.path, 1, "turns faults on outside of tests"))
        .collect()
}

/// The lints that the project's rules rest on, with their levels.
pub(crate) fn weak_lints(root: &Path) -> Vec<Finding> {
    let text = std::fs::read_to_string(root).expect("the workspace's manifest");
    let table: Table = text.parse().expect("a manifest is TOML");
    let lints = &table["workspace"]["lints"];
    let held = [
        ("rust", "unsafe_code", "forbid"),
        ("rust", "missing_docs", "warn"),
        ("clippy", "disallowed_methods", "deny"),
    ];
    held.iter()
        .filter(|(tool, lint, level)| {
            lints
                .get(tool)
                .and_then(|lints| lints.get(lint))
                .and_then(Value::as_str)
                != Some(level)
        })
        .map(|(tool, lint, level)| {
            Finding::new(
                "Cargo.toml",
                1,
                format!("{tool} lint `{lint}` is not at `{level}`"),
            )
        })
        .collect()
}

fn parse(manifest: &Source) -> Table {
    manifest
        .text
        .parse()
        .unwrap_or_else(|error| panic!("{}: {error}", manifest.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> [Source; 1] {
        [Source::sample("crates/x/Cargo.toml", text)]
    }

    #[test]
    fn a_dependency_against_the_direction_is_found() {
        for text in [
            "[package]\nname = 'latchkey-keys'\n[dependencies]\nlatchkey-enrollment.workspace = true",
            "[package]\nname = 'latchkey-enrollment'\n[dev-dependencies]\nlatchkey-keys = { path = '../keys' }",
            "[package]\nname = 'latchkey-service-kit'\n[dependencies]\nlatchkey-code.workspace = true",
            "[package]\nname = 'latchkey-group-commit'\n[build-dependencies]\nlatchkey-proto.workspace = true",
            "[package]\nname = 'latchkey-unheard-of'",
        ] {
            assert_eq!(wrong_dependencies(&manifest(text)).len(), 1, "{text}");
        }
        let good = "[package]\nname = 'latchkey-keys'\n[dependencies]\nlatchkey-proto.workspace = true\ntonic = '1'";
        assert!(wrong_dependencies(&manifest(good)).is_empty());
    }

    #[test]
    fn faults_that_would_be_shipped_are_found() {
        for text in [
            "[dependencies]\nlatchkey-service-kit = { workspace = true, features = ['faults'] }",
            "[build-dependencies]\nlatchkey-service-kit = { path = 'x', features = ['a', 'faults'] }",
            "[features]\ndefault = ['faults']\nfaults = []",
            "[features]\nchaos = ['latchkey-service-kit/faults']",
        ] {
            assert_eq!(shipped_faults(&manifest(text)).len(), 1, "{text}");
        }
        let good = "[features]\nfaults = ['dep:fail']\n[dev-dependencies]\nlatchkey-service-kit = { workspace = true, features = ['faults'] }";
        assert!(shipped_faults(&manifest(good)).is_empty());
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        assert_eq!(missing_lints(&manifest("[package]\nname = 'a'")).len(), 1);
        assert_eq!(
            missing_lints(&manifest("[lints]\nworkspace = false")).len(),
            1
        );
        assert!(missing_lints(&manifest("[lints]\nworkspace = true")).is_empty());
    }
}
