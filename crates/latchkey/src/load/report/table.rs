//! The table at the end.

use std::fmt::Write;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};

use super::{Report, rows};

/// The figures, for a terminal.
pub fn table(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(rows::COLUMNS);
    for row in rows::rows(report, |calls| calls.to_string()) {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!(
        "{}\n{}{}",
        table.trim_fmt(),
        outcomes(report),
        verdict(report)
    )
}

/// What became of the calls of each action.
fn outcomes(report: &Report) -> String {
    let mut text = String::new();
    for action in &report.actions {
        let counts: Vec<String> = action
            .outcomes
            .iter()
            .map(|(outcome, count)| format!("{outcome} {count}"))
            .collect();
        let _ = writeln!(text, "{}: {}", action.action, counts.join(", "));
    }
    text
}

/// How it ended, and whether all was right.
fn verdict(report: &Report) -> String {
    let mut text = String::new();
    for remark in report.cut_short().into_iter().chain(report.remarks()) {
        let _ = writeln!(text, "{remark}");
    }
    if let Some(rate) = report.calls_per_second {
        let measured = report.measured_seconds;
        let _ = writeln!(
            text,
            "{rate:.1} calls answered a second over {measured:.1} s"
        );
    }
    for unread in report.unread() {
        let _ = writeln!(text, "{unread}");
    }
    match report.not_judged() {
        Some(not_judged) => {
            let _ = writeln!(text, "{not_judged}");
        }
        None if report.wrong.count == 0 => text += "No answer was wrong.\n",
        None => {}
    }
    text + &wrong(report)
}

/// What is wrong; nothing, if nothing is.
fn wrong(report: &Report) -> String {
    let mut text = String::new();
    if report.wrong.count == 0 {
        return text;
    }
    let count = report.wrong.count;
    let _ = writeln!(text, "WRONG: {count}");
    for wrong in &report.wrong.first {
        let _ = writeln!(text, "  {}", wrong.what);
    }
    let more = count.saturating_sub(report.wrong.first.len() as u64);
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
    text
}
