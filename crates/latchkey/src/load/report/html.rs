//! The report as one page that needs nothing but a browser: no script, no font, nothing from elsewhere.

use std::fmt::Write;

use super::figures;
use super::plot::{COLOURS, Plot, escaped, number};
use super::{Report, rows, shown};

/// How the page looks.
const STYLE: &str = include_str!("page.css");

/// The page.
pub fn html(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>latchkey load, {began}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>Load on the redemption endpoint</h1>\n\
         <p class=\"soft\">{target} · {began} UTC · latchkey {version}</p>\n",
        began = report.began.format("%Y-%m-%d %H:%M:%S"),
        target = escaped(&report.target),
        version = report.version,
    );
    page += &verdict(report);
    page += &tiles(report);
    page += &actions(report);
    for figure in figures::all(report) {
        page += &section(&figure.plot, figure.note.as_deref(), &figure.table);
    }
    for unread in report.unread() {
        let _ = writeln!(page, "<p class=\"soft\">{}</p>", escaped(unread));
    }
    page += &outcomes(report);
    page += &plan(report);
    page + "</main>\n</body>\n</html>\n"
}

fn verdict(report: &Report) -> String {
    let ended = report.cut_short();
    let ended = ended.unwrap_or_else(|| "It ended as planned.".to_owned());
    let emphasized = |remark| format!(" <strong class=\"late\">{remark}</strong>");
    let remarks: String = report.remarks().map(emphasized).collect();
    let ended = ended + &remarks;
    let not_judged = report.not_judged();
    if report.wrong.count == 0 && not_judged.is_none() {
        return format!(
            "<p class=\"verdict\"><strong>No answer was wrong.</strong> No class has more students than seats, \
             no key enrolled two students, and every replay said what was said first. {ended}</p>\n"
        );
    }
    let mut items = String::new();
    for wrong in &report.wrong.first {
        let _ = writeln!(items, "<li>{}</li>", escaped(&wrong.what));
    }
    let count = match report.wrong.count {
        0 => None,
        1 => Some("One answer was wrong.".to_owned()),
        count => Some(format!("{count} answers were wrong.")),
    };
    let told: Vec<String> = count.into_iter().chain(not_judged).collect();
    format!(
        "<div class=\"verdict bad\"><strong>{}</strong> {ended}\n<ul>\n{items}</ul></div>\n",
        escaped(&told.join(" "))
    )
}

fn tiles(report: &Report) -> String {
    let tile = |value: String, what: &str| {
        format!("<div class=\"tile\"><b>{value}</b><span>{what}</span></div>\n")
    };
    let latency = report.latency_ms.as_ref();
    let rounded = |rate: f64| number(rate.round());
    let never_sent = if report.never_sent > 0 {
        tile(number(as_number(report.never_sent)), "never sent")
    } else {
        String::new()
    };
    format!(
        "<div class=\"tiles\">\n{}{}{}{}{}{never_sent}</div>\n",
        tile(
            shown(report.granted_per_second, rounded),
            "granted a second"
        ),
        tile(shown(latency.map(|of| of.p50), millis), "median latency"),
        tile(shown(latency.map(|of| of.p99), millis), "99th percentile"),
        tile(number(as_number(report.calls)), "calls"),
        tile(number(as_number(report.not_granted)), "not granted"),
    )
}

fn millis(millis: f64) -> String {
    if millis >= 1e4 {
        return format!("{:.1} s", millis / 1e3);
    }
    let digits = if millis < 10.0 { 2 } else { 1 };
    format!("{millis:.digits$} ms")
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn as_number(count: u64) -> f64 {
    count as f64
}

/// The figures of each action.
fn actions(report: &Report) -> String {
    let caption = format!(
        "Of {:.1} s. Latencies of all calls, whatever became of them, except those without a connection{}.",
        report.measured_seconds,
        if report.plan.rate.is_some() {
            "; measured from the moment at which a call should have been made"
        } else {
            ""
        }
    );
    let table = figures::Table {
        caption,
        head: rows::COLUMNS.map(str::to_owned).to_vec(),
        rows: rows::rows(report, |calls| number(as_number(calls))),
    };
    format!(
        "<section>\n<h2>Actions</h2>\n{}</section>\n",
        table_of(&table)
    )
}

fn section(plot: &Plot, note: Option<&str>, table: &figures::Table) -> String {
    let title = escaped(&plot.title);
    let mut section = format!("<section>\n<h2>{title}</h2>\n");
    if let Some(note) = note {
        let _ = writeln!(section, "<p class=\"soft\">{}</p>", escaped(note));
    }
    if !plot.is_empty() {
        let _ = write!(section, "<figure>\n{}<ul class=\"legend\">\n", plot.svg());
        for (at, series) in plot.series.iter().enumerate() {
            let colour = at % COLOURS;
            let name = escaped(&series.name);
            let _ = writeln!(section, "<li><i class=\"c{colour}\"></i>{name}</li>");
        }
        let _ = write!(
            section,
            "</ul>\n</figure>\n<details><summary>The same as a table</summary>\n{}</details>\n",
            table_of(table)
        );
    }
    section + "</section>\n"
}

fn table_of(table: &figures::Table) -> String {
    let of_words: Vec<bool> = (0..table.head.len())
        .map(|at| is_of_words(table, at))
        .collect();
    let line = |element: &str, scope: &str, cells: &[String]| {
        let mut line = String::from("<tr>");
        for (cell, of_words) in cells.iter().zip(&of_words) {
            let class = if *of_words { " class=\"w\"" } else { "" };
            let _ = write!(
                line,
                "<{element}{scope}{class}>{}</{element}>",
                escaped(cell)
            );
        }
        line + "</tr>\n"
    };
    let rows: String = table.rows.iter().map(|row| line("td", "", row)).collect();
    format!(
        "<p class=\"soft note\">{}</p>\n<div class=\"scroll\" tabindex=\"0\"><table>\n<thead>{}</thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        escaped(&table.caption),
        line("th", " scope=\"col\"", &table.head),
    )
}

/// Whether a column holds words, which begin at the left; numbers end at the right.
fn is_of_words(table: &figures::Table, at: usize) -> bool {
    let mut cells = table.rows.iter().filter_map(|row| row.get(at));
    cells.any(|cell| cell.starts_with(char::is_alphabetic))
}

fn outcomes(report: &Report) -> String {
    let mut rows = Vec::new();
    for action in &report.actions {
        for (outcome, count) in &action.outcomes {
            rows.push(vec![
                action.action.to_string(),
                outcome.clone(),
                number(as_number(*count)),
            ]);
        }
    }
    let table = figures::Table {
        caption: "All calls, those during the ramp too. Capitals are reasons of the contract."
            .to_owned(),
        head: ["action", "outcome", "calls"].map(str::to_owned).to_vec(),
        rows,
    };
    format!(
        "<section>\n<h2>What became of the calls</h2>\n{}</section>\n",
        table_of(&table)
    )
}

fn plan(report: &Report) -> String {
    let plan = &report.plan;
    let pace = match plan.rate {
        Some(rate) => format!(
            "open: {} calls a second, at most {} on their way",
            number(rate),
            plan.streams
        ),
        None => format!("closed: {} calls on their way at once", plan.streams),
    };
    let end = match (plan.duration_seconds, plan.count) {
        (Some(seconds), _) => format!("after {} s", number(seconds)),
        (_, Some(count)) => format!("after {} calls", number(as_number(count))),
        _ => String::new(),
    };
    let items = [
        ("mix", plan.mix.clone()),
        ("loop", pace),
        ("connections", plan.connections.to_string()),
        ("threads", plan.threads.to_string()),
        ("ramp", format!("{} s", number(plan.ramp_seconds))),
        ("planned end", end),
        ("lasted", format!("{:.1} s", report.lasted_seconds)),
        ("seed", plan.seed.to_string()),
        ("made of", report.supply.clone()),
    ];
    let mut list = String::new();
    for (name, value) in items {
        let _ = writeln!(list, "<dt>{name}</dt><dd>{}</dd>", escaped(&value));
    }
    format!("<section>\n<h2>How it was made</h2>\n<dl>\n{list}</dl>\n</section>\n")
}
