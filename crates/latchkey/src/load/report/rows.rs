//! The rows of the table of actions, which terminal and page have alike.

use super::{Quantiles, Report, figure};

/// The columns of a row.
pub(super) const COLUMNS: [&str; 8] = [
    "action",
    "calls",
    "granted/s",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "p99.9 ms",
    "max ms",
];

/// A row for each action, and one for all of them where there are several. Where not all calls were granted, another one has
/// the latencies of those that were: a refusal may be quicker, and a call that nobody answered slower. `whole` writes a
/// number of calls.
pub(super) fn rows(report: &Report, whole: impl Fn(u64) -> String) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut add = |name: &str, calls, granted, rate, latencies: [&Option<Quantiles>; 2]| {
        let [all, of_granted] = latencies.map(Option::as_ref);
        rows.push(row(name, whole(calls), figure(rate, 1), all));
        let count = |quantiles: &Quantiles| quantiles.count;
        if of_granted.is_some() && of_granted.map(count) != all.map(count) {
            let name = format!("{name}, granted");
            rows.push(row(&name, whole(granted), String::new(), of_granted));
        }
    };
    for action in &report.actions {
        add(
            action.action.name(),
            action.calls,
            action.granted,
            action.granted_per_second,
            [&action.latency_ms, &action.granted_latency_ms],
        );
    }
    if report.actions.len() > 1 {
        add(
            "all",
            report.calls,
            report.calls - report.not_granted,
            report.granted_per_second,
            [&report.latency_ms, &report.granted_latency_ms],
        );
    }
    rows
}

fn row(name: &str, calls: String, rate: String, latency: Option<&Quantiles>) -> Vec<String> {
    let mut row = vec![name.to_owned(), calls, rate];
    let columns: [fn(&Quantiles) -> f64; 5] = [
        |of| of.p50,
        |of| of.p90,
        |of| of.p99,
        |of| of.p99_9,
        |of| of.max,
    ];
    row.extend(columns.map(|column| figure(latency.map(column), 2)));
    row
}
