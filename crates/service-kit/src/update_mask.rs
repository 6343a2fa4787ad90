//! The fields that an update names.

use std::collections::BTreeSet;

use prost_types::FieldMask;

use crate::validation::Violations;

const FIELD: &str = "update_mask";

/// The fields that an update names.
#[derive(Debug, PartialEq, Eq)]
pub struct Mask(BTreeSet<String>);

impl Mask {
    /// Reads an `update_mask`, which must name at least one field and only some of `fields`.
    pub fn read(violations: &mut Violations, mask: Option<&FieldMask>, fields: &[&str]) -> Self {
        let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
        if paths.is_empty() && !violations.has(FIELD) {
            violations.add(FIELD, "must name at least one field");
        }
        if paths.iter().any(|path| !fields.contains(&path.as_str())) {
            let known = fields.join("`, `");
            violations.add(FIELD, format!("must name only fields of `{known}`"));
        }
        Self(paths.iter().cloned().collect())
    }

    /// Whether `field` is to be changed.
    pub fn has(&self, field: &str) -> bool {
        self.0.contains(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(paths: &[&str]) -> (Mask, Violations) {
        let mut violations = Violations::default();
        let message = FieldMask {
            paths: paths.iter().map(ToString::to_string).collect(),
        };
        let read = Mask::read(&mut violations, Some(&message), &["name", "status"]);
        (read, violations)
    }

    #[test]
    fn a_mask_names_known_fields_and_at_least_one() {
        let (mask, violations) = read(&["status", "status"]);
        assert!(violations.is_empty());
        assert!(mask.has("status") && !mask.has("name"));
        for wrong in [&[][..], &["nonsense"], &["name", "status.x"], &["*"]] {
            assert!(read(wrong).1.has("update_mask"), "{wrong:?}");
        }
    }
}
