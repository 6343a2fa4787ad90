//! Which plots a report has, and the table beside each.

use std::collections::BTreeSet;

use super::html::as_number;
use super::plot::{Axis, Plot, Scale, Series, number};
use super::{Quantiles, Report, SecondReport, figure, shown};

/// The most rows of a table beside a plot; of longer ones every so-many-th is shown.
const ROWS: usize = 120;

/// A table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// A plot with its table.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    pub(super) plot: Plot,
    /// What else is to be said.
    pub(super) note: Option<String>,
    pub(super) table: Table,
}

/// All figures of a report.
pub(super) fn all(report: &Report) -> Vec<Figure> {
    let mut figures = vec![
        percentiles(report),
        rate(report),
        latency_over_time(report),
        refusals(report),
    ];
    figures.extend(processors(report));
    figures.extend(batches(report));
    figures
}

fn axis(label: &str, scale: Scale) -> Axis {
    Axis {
        label: label.to_owned(),
        scale,
    }
}

/// Latency by percentile.
fn percentiles(report: &Report) -> Figure {
    let mut curves: Vec<(String, &Quantiles)> = report
        .actions
        .iter()
        .filter_map(|action| Some((action.action.to_string(), action.latency_ms.as_ref()?)))
        .collect();
    let all = report.latency_ms.as_ref();
    if curves.len() > 1 {
        curves.splice(0..0, all.map(|all| ("all".to_owned(), all)));
    }
    let series = curves.iter().map(|(name, quantiles)| Series {
        name: name.clone(),
        points: quantiles
            .curve
            .iter()
            // A thousand calls say nothing of the slowest of ten thousand; the last place of the axis is far to the right.
            .filter(|(quantile, _)| (1.0 - quantile) * as_number(quantiles.count) >= 1.0)
            .copied()
            .collect(),
    });
    let rows = all.into_iter().flat_map(|all| all.curve.iter().enumerate());
    let rows = rows.map(|(at, (quantile, _))| {
        let mut row = vec![format!("{} %", number(quantile * 100.0))];
        let cells = curves
            .iter()
            .map(|(_, curve)| format!("{:.3}", curve.curve[at].1));
        row.extend(cells);
        row
    });
    Figure {
        plot: Plot {
            id: "percentiles",
            title: "Latency by percentile".to_owned(),
            description: all.map_or_else(String::new, |all| {
                format!(
                    "Half of all calls took at most {:.2} ms, 99 in a hundred at most {:.2} ms, the slowest {:.2} ms.",
                    all.p50, all.p99, all.max
                )
            }),
            x: axis("percentile", Scale::Nines),
            y: axis("milliseconds, logarithmic", Scale::Log),
            series: series.collect(),
            stacked: false,
        },
        note: None,
        table: Table {
            caption: "Milliseconds that so many calls did not exceed.".to_owned(),
            head: std::iter::once("percentile".to_owned())
                .chain(curves.iter().map(|(name, _)| name.clone()))
                .collect(),
            rows: rows.collect(),
        },
    }
}

/// A column of a table, and how its value is read from a second, if there is one.
type Column<'c> = (String, Value<'c>);

/// What is read from a second.
type Value<'c> = Box<dyn Fn(&SecondReport) -> Option<f64> + 'c>;

/// One value a second, for each of `columns`.
struct OverTime<'c> {
    id: &'static str,
    title: &'static str,
    description: String,
    y: Axis,
    stacked: bool,
    columns: Vec<Column<'c>>,
}

impl OverTime<'_> {
    fn figure(self, seconds: &[SecondReport]) -> Figure {
        let series = self.columns.iter().map(|(name, value)| Series {
            name: name.clone(),
            points: seconds
                .iter()
                .filter_map(|second| Some((as_number(second.second as u64), value(second)?)))
                .collect(),
        });
        let every = seconds.len().div_ceil(ROWS).max(1);
        let rows = seconds.iter().step_by(every).map(|second| {
            let mut row = vec![second.second.to_string()];
            let values = self.columns.iter().map(|(_, value)| value(second));
            let two_digits = |value: f64| number((value * 100.0).round() / 100.0);
            row.extend(values.map(|value| shown(value, two_digits)));
            row
        });
        let rows = rows.collect();
        Figure {
            plot: Plot {
                id: self.id,
                title: self.title.to_owned(),
                description: self.description,
                x: axis("seconds", Scale::Linear),
                y: self.y,
                series: series.collect(),
                stacked: self.stacked,
            },
            note: None,
            table: Table {
                caption: if every == 1 {
                    "Each second.".to_owned()
                } else {
                    format!("Every {every}th second.")
                },
                head: std::iter::once("second".to_owned())
                    .chain(self.columns.iter().map(|(name, _)| name.clone()))
                    .collect(),
                rows,
            },
        }
    }
}

/// Answers a second.
fn rate(report: &Report) -> Figure {
    OverTime {
        id: "rate",
        title: "Rate",
        description: format!(
            "On average {} calls were answered and {} granted each second.",
            figure(report.calls_per_second, 0),
            figure(report.granted_per_second, 0)
        ),
        y: axis("answers a second", Scale::Linear),
        stacked: false,
        columns: vec![
            (
                "answered".to_owned(),
                Box::new(|second| Some(as_number(second.calls))),
            ),
            (
                "granted".to_owned(),
                Box::new(|second| Some(as_number(second.granted))),
            ),
        ],
    }
    .figure(&report.seconds)
}

fn latency_over_time(report: &Report) -> Figure {
    OverTime {
        id: "latency",
        title: "Latency over time",
        description: "The median and the 99th percentile of each second: of what was answered in it, and of what was due in it and never sent.".to_owned(),
        y: axis("milliseconds, logarithmic", Scale::Log),
        stacked: false,
        columns: vec![
            ("p50".to_owned(), Box::new(|second| second.p50_ms)),
            ("p99".to_owned(), Box::new(|second| second.p99_ms)),
        ],
    }
    .figure(&report.seconds)
}

fn refusals(report: &Report) -> Figure {
    let reasons: BTreeSet<&String> = report
        .seconds
        .iter()
        .flat_map(|second| second.refusals.keys())
        .collect();
    let nobody = reasons.is_empty();
    let columns = reasons.into_iter().map(|reason| {
        let value = move |second: &SecondReport| {
            Some(as_number(second.refusals.get(reason).copied().unwrap_or(0)))
        };
        let value: Value<'_> = Box::new(value);
        (reason.clone(), value)
    });
    let mut figure = OverTime {
        id: "refusals",
        title: "Refusals and failures",
        description:
            "How many calls of each second were not granted, by reason, one on top of the other; what was never sent in the second in which it was due."
                .to_owned(),
        y: axis("calls a second", Scale::Linear),
        stacked: true,
        columns: columns.collect(),
    }
    .figure(&report.seconds);
    figure.note = nobody.then(|| "Every call was granted.".to_owned());
    figure
}

/// A number of things by service or stage, where metrics were reachable.
fn watched(plot: Plot, name: &str) -> Option<Figure> {
    if plot.is_empty() {
        return None;
    }
    let mut rows = Vec::new();
    for series in &plot.series {
        let every = series.points.len().div_ceil(ROWS).max(1);
        rows.extend(series.points.iter().step_by(every).map(|(at, value)| {
            vec![
                series.name.clone(),
                format!("{at:.1}"),
                format!("{value:.2}"),
            ]
        }));
    }
    Some(Figure {
        plot,
        note: None,
        table: Table {
            caption: "As the services say of themselves, about each second.".to_owned(),
            head: [name, "second", "value"].map(str::to_owned).to_vec(),
            rows,
        },
    })
}

/// Processors that each service keeps busy.
fn processors(report: &Report) -> Option<Figure> {
    let series = report.services.iter().map(|service| Series {
        name: service.name.clone(),
        points: service
            .samples
            .iter()
            .filter_map(|sample| Some((sample.at_seconds, sample.cpu?)))
            .collect(),
    });
    let plot = Plot {
        id: "processors",
        title: "Processors kept busy by the services".to_owned(),
        description: "Seconds of processor time that each service took in a second.".to_owned(),
        x: axis("seconds", Scale::Linear),
        y: axis("processors", Scale::Linear),
        series: series.filter(|series| !series.points.is_empty()).collect(),
        stacked: false,
    };
    watched(plot, "service")
}

/// Items in a batch.
fn batches(report: &Report) -> Option<Figure> {
    let mut series = Vec::new();
    for service in &report.services {
        let stages: BTreeSet<&String> = service
            .samples
            .iter()
            .flat_map(|sample| sample.batch_items.keys())
            .collect();
        for stage in stages {
            let points = service.samples.iter();
            let points = points
                .filter_map(|sample| Some((sample.at_seconds, *sample.batch_items.get(stage)?)));
            series.push(Series {
                name: format!("{}: {stage}", service.name),
                points: points.collect(),
            });
        }
    }
    let plot = Plot {
        id: "batches",
        title: "Items in a batch".to_owned(),
        description: "How many items a batch of each stage had, on average of each second."
            .to_owned(),
        x: axis("seconds", Scale::Linear),
        y: axis("items", Scale::Linear),
        series,
        stacked: false,
    };
    watched(plot, "stage")
}
