//! That tables and documents cover the contract: every method, every reason, every warning.

use latchkey_proto::errors::v1::ErrorReason;
use prost_reflect::{DescriptorPool, EnumDescriptor};

use crate::source::{Finding, Source};

/// A method of the contract, as its path: `/latchkey.keys.v1.TrainingKeyService/GetTrainingKey`.
pub(crate) fn methods() -> Vec<String> {
    let services: Vec<_> = pool()
        .services()
        .filter(|service| service.full_name().starts_with("latchkey."))
        .collect();
    let methods = services.iter().flat_map(|service| {
        service
            .methods()
            .map(|method| format!("/{}/{}", service.full_name(), method.name()))
            .collect::<Vec<_>>()
    });
    methods.collect()
}

/// A reason and the first word of its description in the contract: the code it comes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) name: String,
    pub(crate) stated_code: String,
}

/// The reasons of the contract, without the unspecified one.
pub(crate) fn reasons() -> Vec<Reason> {
    let descriptor = enumeration("latchkey.errors.v1.ErrorReason");
    let file = descriptor.parent_file();
    let source_info = file
        .file_descriptor_proto()
        .source_code_info
        .clone()
        .unwrap_or_default();
    let comment = |path: &[i32]| {
        let location = source_info
            .location
            .iter()
            .find(|location| location.path == path);
        location
            .and_then(|location| location.leading_comments.clone())
            .unwrap_or_default()
    };
    let values = descriptor.values().filter(|value| value.number() != 0);
    values
        .map(|value| {
            let text = comment(value.path());
            let stated_code = text.trim().split('.').next().unwrap_or_default().to_owned();
            Reason {
                name: value.name().trim_start_matches("ERROR_REASON_").to_owned(),
                stated_code,
            }
        })
        .collect()
}

/// The warnings of the contract, without the unspecified one.
pub(crate) fn warnings() -> Vec<String> {
    let descriptor = enumeration("latchkey.errors.v1.WarningReason");
    let values = descriptor.values().filter(|value| value.number() != 0);
    values
        .map(|value| {
            value
                .name()
                .trim_start_matches("WARNING_REASON_")
                .to_owned()
        })
        .collect()
}

fn pool() -> DescriptorPool {
    DescriptorPool::decode(latchkey_proto::FILE_DESCRIPTOR_SET).expect("the contract's descriptors")
}

fn enumeration(name: &str) -> EnumDescriptor {
    pool()
        .get_enum_by_name(name)
        .unwrap_or_else(|| panic!("the contract has no {name}"))
}

/// Methods that no access table names, and names in access tables that are no methods.
pub(crate) fn uncovered_methods(sources: &[Source], methods: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let tables: Vec<&Source> = sources
        .iter()
        .filter(|source| {
            source.path.starts_with("crates/") && source.path.contains("/src/rpc/access")
        })
        .collect();
    for method in methods {
        let quoted = format!("\"{method}\"");
        // The one service that both serve, each for its own rows.
        let wanted = if method.starts_with("/latchkey.audit.") {
            2
        } else {
            1
        };
        let named = tables
            .iter()
            .filter(|table| table.text.contains(&quoted))
            .count();
        if named != wanted {
            let what = format!("`{method}` stands in {named} access tables instead of {wanted}");
            findings.push(Finding::new("crates/*/src/rpc/access.rs", 1, what));
        }
    }
    for table in tables {
        for (index, line) in table.text.lines().enumerate() {
            for text in line
                .split('"')
                .filter(|text| text.starts_with("/latchkey."))
            {
                if !methods.iter().any(|method| method == text) {
                    findings.push(Finding::new(
                        &table.path,
                        index + 1,
                        format!("`{text}` is no method of the contract"),
                    ));
                }
            }
        }
    }
    findings
}

/// Reasons that the page on errors lacks or shows under another code, and reasons on it that do not exist.
pub(crate) fn undocumented_reasons(page: &str, reasons: &[Reason]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let shown = rows_by_heading(page, "## The reasons");
    for reason in reasons {
        let rows: Vec<_> = shown
            .iter()
            .filter(|(_, name, _)| *name == reason.name)
            .collect();
        let [(heading, _, line)] = rows.as_slice() else {
            let what = format!("`{}` has {} rows instead of one", reason.name, rows.len());
            findings.push(Finding::new("docs/errors.md", 1, what));
            continue;
        };
        if *heading != reason.stated_code {
            let what = format!(
                "`{}` stands under {heading} and is {}",
                reason.name, reason.stated_code
            );
            findings.push(Finding::new("docs/errors.md", *line, what));
        }
    }
    for (_, name, line) in &shown {
        if !reasons.iter().any(|reason| reason.name == *name) {
            findings.push(Finding::new(
                "docs/errors.md",
                *line,
                format!("`{name}` is no reason of the contract"),
            ));
        }
    }
    findings
}

/// Warnings that the page on errors lacks.
pub(crate) fn undocumented_warnings(page: &str, warnings: &[String]) -> Vec<Finding> {
    let shown = rows_by_heading(page, "## Warnings");
    let missing = warnings
        .iter()
        .filter(|warning| !shown.iter().any(|(_, name, _)| name == *warning));
    missing
        .map(|warning| {
            Finding::new(
                "docs/errors.md",
                1,
                format!("the warning `{warning}` has no row"),
            )
        })
        .collect()
}

/// The table rows below a heading of second level, each with the heading of third level above it, its name, its line.
fn rows_by_heading(page: &str, section: &str) -> Vec<(String, String, usize)> {
    let mut rows = Vec::new();
    let mut inside = false;
    let mut heading = String::new();
    for (index, line) in page.lines().enumerate() {
        if line.starts_with("## ") {
            inside = line == section;
        } else if let Some(text) = line.strip_prefix("### ") {
            text.trim().clone_into(&mut heading);
        } else if inside && let Some(row) = line.strip_prefix("| `") {
            let name = row.split('`').next().unwrap_or_default().to_owned();
            rows.push((heading.clone(), name, index + 1));
        }
    }
    rows
}

/// Reasons whose description in the contract does not begin with the code that the services send with them.
pub(crate) fn misstated_codes(reasons: &[Reason]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for reason in reasons {
        let known = ErrorReason::from_str_name(&format!("ERROR_REASON_{}", reason.name))
            .expect("a reason of the contract");
        let sent = code_name(latchkey_service_kit::status::code(known));
        if sent != reason.stated_code {
            let what = format!(
                "`{}` is sent as {sent} and described as `{}`",
                reason.name, reason.stated_code
            );
            findings.push(Finding::new(
                "proto/latchkey/errors/v1/error_reason.proto",
                1,
                what,
            ));
        }
    }
    findings
}

/// `FailedPrecondition` is `FAILED_PRECONDITION` in the contract.
fn code_name(code: tonic::Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_without_a_row_and_a_row_without_a_method_are_found() {
        let methods = [
            "/latchkey.a.v1.S/Get".to_owned(),
            "/latchkey.a.v1.S/Set".to_owned(),
        ];
        let table = |text: &str| [Source::sample("crates/keys/src/rpc/access.rs", text)];
        let both = "\"/latchkey.a.v1.S/Get\"\n\"/latchkey.a.v1.S/Set\"";
        assert!(uncovered_methods(&table(both), &methods).is_empty());
        assert_eq!(
            uncovered_methods(&table("\"/latchkey.a.v1.S/Get\""), &methods).len(),
            1
        );
        assert_eq!(
            uncovered_methods(&table(&format!("{both}\"/latchkey.a.v1.S/Old\"")), &methods).len(),
            1
        );
    }

    #[test]
    fn a_reason_without_a_row_under_another_code_or_unknown_is_found() {
        let reasons = [Reason {
            name: "KEY_LOST".into(),
            stated_code: "NOT_FOUND".into(),
        }];
        let page = |heading: &str, name: &str| {
            format!("## The reasons\n### {heading}\n| reason | what |\n| `{name}` | text |\n")
        };
        assert!(undocumented_reasons(&page("NOT_FOUND", "KEY_LOST"), &reasons).is_empty());
        assert_eq!(undocumented_reasons("## The reasons\n", &reasons).len(), 1);
        assert_eq!(
            undocumented_reasons(&page("ABORTED", "KEY_LOST"), &reasons).len(),
            1
        );
        assert_eq!(
            undocumented_reasons(&page("NOT_FOUND", "KEY_GONE"), &reasons).len(),
            2
        );
        assert_eq!(
            undocumented_warnings(&page("NOT_FOUND", "KEY_LOST"), &["KEY_LOST".into()]).len(),
            1
        );
    }

    #[test]
    fn a_reason_described_by_another_code_is_found() {
        let reason = |code: &str| {
            [Reason {
                name: "CLASS_FULL".into(),
                stated_code: code.into(),
            }]
        };
        assert!(misstated_codes(&reason("FAILED_PRECONDITION")).is_empty());
        assert_eq!(misstated_codes(&reason("NOT_FOUND")).len(), 1);
    }

    #[test]
    fn the_contract_is_read() {
        assert!(methods().len() > 40, "{}", methods().len());
        assert!(
            reasons()
                .iter()
                .all(|reason| !reason.stated_code.is_empty())
        );
    }
}
