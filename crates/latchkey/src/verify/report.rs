//! What was found, for people and for machines.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use latchkey_service_kit::invariants::Finding;
use serde::Serialize;

/// The widest the table gets where no terminal says otherwise, in columns.
const WIDTH: u16 = 118;
/// How many findings are listed for people; machines get them all.
const LISTED: usize = 200;

/// All that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether everything is as it should be.
    pub ok: bool,
    /// What is not.
    pub findings: Vec<Finding>,
}

impl Report {
    pub(super) fn of(mut findings: Vec<Finding>) -> Self {
        findings.sort();
        Self {
            ok: findings.is_empty(),
            findings,
        }
    }

    /// Whether everything is as it should be.
    pub fn is_ok(&self) -> bool {
        self.ok
    }

    /// `verify: ok`, or a table of what was found and how many things these are.
    pub fn for_people(&self) -> String {
        if self.ok {
            return "verify: ok\n".to_owned();
        }
        let mut table = Table::new();
        table
            .load_style(UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(["table", "id", "what should hold", "what was found"]);
        if table.width().is_none() {
            table.set_width(WIDTH);
        }
        for finding in self.findings.iter().take(LISTED) {
            table.add_row([
                finding.table,
                &finding.id,
                finding.invariant,
                &finding.found,
            ]);
        }
        let more = self.findings.len().saturating_sub(LISTED);
        let more = if more > 0 {
            format!("and {more} more: --json lists them all\n")
        } else {
            String::new()
        };
        let count = self.findings.len();
        let plural = if count == 1 { "thing is" } else { "things are" };
        format!(
            "{}\n{more}verify: {count} {plural} broken\n",
            table.trim_fmt()
        )
    }

    /// The same as JSON, in one line.
    ///
    /// # Errors
    /// None that is known of.
    pub fn for_machines(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(id: &str) -> Finding {
        Finding {
            table: "keys.marks",
            id: id.to_owned(),
            invariant: "marks equal live uses",
            found: "no mark".to_owned(),
        }
    }

    #[test]
    fn good_news_is_one_line() {
        let report = Report::of(Vec::new());
        assert!(report.is_ok());
        assert_eq!(report.for_people(), "verify: ok\n");
        assert_eq!(
            report.for_machines().expect("JSON"),
            r#"{"ok":true,"findings":[]}"#
        );
    }

    #[test]
    fn bad_news_names_table_and_id() {
        let report = Report::of(vec![finding("b"), finding("a")]);
        assert!(!report.is_ok());
        let text = report.for_people();
        for part in [
            "keys.marks",
            "marks equal live uses",
            "no mark",
            "2 things are broken",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let json: serde_json::Value =
            serde_json::from_str(&report.for_machines().expect("JSON")).expect("JSON");
        assert_eq!(json["ok"], false);
        assert_eq!(json["findings"][0]["id"], "a");
    }

    #[test]
    fn a_flood_of_findings_is_cut_for_people_only() {
        let many: Vec<Finding> = (0..LISTED + 5)
            .map(|number| finding(&format!("{number:04}")))
            .collect();
        let report = Report::of(many);
        assert!(report.for_people().contains("and 5 more"));
        assert!(report.for_machines().expect("JSON").contains("0204"));
    }
}
