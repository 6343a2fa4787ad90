//! What was measured, for people and for machines.

use std::fmt::Write as _;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use serde_json::{Map, Value, json};

use super::catalogue::Benchmark;
use super::machine::Machine;
use super::meter::Usage;
use super::rounds::Measured;
use super::scale::{ROUNDS, Scale};

/// All benchmarks of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The machine.
    pub machine: Machine,
    /// How long and how large everything was.
    pub scale: Scale,
    /// Whether it was the quick form, which is held to other bounds.
    pub quick: bool,
    /// What came of each benchmark, in the order in which they were run.
    pub results: Vec<(Benchmark, Measured)>,
}

impl Report {
    /// Whether all answers were right and all bounds were met.
    pub fn is_ok(&self) -> bool {
        self.results.iter().all(|(_, measured)| measured.passes)
    }

    /// Why these are no figures to quote, if so.
    fn caution(&self) -> Option<&'static str> {
        if self.quick {
            return Some(
                "The quick form: short runs, held to half of what they must reach and should reach. No figures to quote.",
            );
        }
        (self.scale.rounds < ROUNDS).then_some("Fewer than five rounds: no figures to quote.")
    }

    /// The machine, and how the figures are to be taken.
    fn preamble(&self) -> String {
        let caution = self.caution().map(|caution| format!("\n\n{caution}"));
        self.machine.for_people() + &caution.unwrap_or_default()
    }

    /// Tables of the ratios and of what both sides took, and what is wrong.
    pub fn for_people(&self) -> String {
        let mut text = format!("{}\n\n{}\n", self.preamble(), self.ratios());
        let _ = writeln!(
            text,
            "\nWhat one operation took: medians over the rounds\n{}",
            self.usages()
        );
        for (benchmark, measured) in &self.results {
            if let Some(what) = worst(*benchmark, measured) {
                let _ = writeln!(
                    text,
                    "{}: the greatest ratio is that of {what}",
                    benchmark.name()
                );
            }
            for wrong in &measured.wrong {
                let _ = writeln!(text, "wrong: {}: {wrong}", benchmark.name());
            }
            if !measured.passes {
                let _ = writeln!(
                    text,
                    "missed: {}: {:.2}, and must be {:.2}",
                    benchmark.name(),
                    measured.ratio,
                    measured.must
                );
            }
        }
        let verdict = if self.is_ok() { "ok" } else { "failed" };
        let _ = writeln!(text, "bench: {verdict}");
        text
    }

    /// The figures as a table for a page.
    pub fn for_page(&self) -> String {
        let mut text = format!(
            "{}\n\n| benchmark | ratio | min – max | must | aim | | ours | baseline | unit |\n|---|---|---|---|---|---|---|---|---|\n",
            self.preamble()
        );
        for (benchmark, measured) in &self.results {
            let _ = writeln!(
                text,
                "| `{}` | **{:.2}** | {:.2} – {:.2} | {:.2} | {:.2} | {} | {} | {} | {} |",
                benchmark.name(),
                measured.ratio,
                measured.min,
                measured.max,
                measured.must,
                measured.aim,
                mark(measured),
                number(measured.ours),
                number(measured.baseline),
                measured.unit
            );
        }
        text
    }

    fn ratios(&self) -> Table {
        let mut table = table(&[
            "benchmark",
            "ratio",
            "min",
            "max",
            "must",
            "aim",
            "",
            "ours",
            "baseline",
            "unit",
        ]);
        for (benchmark, measured) in &self.results {
            table.add_row([
                benchmark.name().to_owned(),
                format!("{:.2}", measured.ratio),
                format!("{:.2}", measured.min),
                format!("{:.2}", measured.max),
                format!("{:.2}", measured.must),
                format!("{:.2}", measured.aim),
                mark(measured).to_owned(),
                number(measured.ours),
                number(measured.baseline),
                measured.unit.to_owned(),
            ]);
        }
        for column in [1, 2, 3, 4, 5, 7, 8] {
            right(&mut table, column);
        }
        table
    }

    fn usages(&self) -> Table {
        let mut table = table(&[
            "benchmark",
            "side",
            "cores",
            "keys µs",
            "enrollment µs",
            "Postgres µs",
            "client µs",
            "WAL bytes",
            "flushes",
            "batch",
            "keys peak MiB",
            "enrollment peak MiB",
        ]);
        for (benchmark, measured) in &self.results {
            for (side, ours) in [("ours", true), ("baseline", false)] {
                let rounds = measured.rounds.iter();
                let samples = rounds.map(|round| if ours { &round.ours } else { &round.baseline });
                let usages: Vec<Usage> = samples.filter_map(|sample| sample.usage).collect();
                if let Some(usage) = Usage::median(&usages) {
                    table.add_row(row(benchmark.name(), side, &usage));
                }
            }
        }
        for column in 2..12 {
            right(&mut table, column);
        }
        table
    }

    /// One object, in which each benchmark is a field under its name.
    ///
    /// # Errors
    /// None that is known of.
    pub fn for_machines(&self) -> serde_json::Result<String> {
        let mut fields = Map::new();
        for (benchmark, measured) in &self.results {
            let value = serde_json::to_value(measured)?;
            fields.insert(benchmark.name().to_owned(), value);
        }
        fields.insert("machine".to_owned(), json!(self.machine));
        let form = if self.quick { "quick" } else { "full" };
        fields.insert("form".to_owned(), json!(form));
        fields.insert("scale".to_owned(), json!(self.scale));
        fields.insert("ok".to_owned(), json!(self.is_ok()));
        serde_json::to_string_pretty(&Value::Object(fields))
    }
}

fn mark(measured: &Measured) -> &'static str {
    match (measured.passes, measured.aimed) {
        (false, _) => "MISSED",
        (true, false) => "met",
        (true, true) => "aim reached",
    }
}

/// Of what the figures of a benchmark are that shows the worst of its rounds.
fn worst(benchmark: Benchmark, measured: &Measured) -> Option<&str> {
    let mut rounds = measured.rounds.iter();
    let worst = rounds.find(|round| round.ratio.total_cmp(&measured.ratio).is_eq())?;
    (benchmark == Benchmark::Memory).then_some(&worst.ours.note)
}

fn row(benchmark: &str, side: &str, usage: &Usage) -> Vec<String> {
    let whole = |value: f64| format!("{value:.0}");
    // What is done by hand has no services.
    let peak = |mib: f64| if mib > 0.0 { whole(mib) } else { String::new() };
    vec![
        benchmark.to_owned(),
        side.to_owned(),
        format!("{:.2}", usage.cores_busy),
        whole(usage.keys_us),
        whole(usage.enrollment_us),
        whole(usage.postgres_us),
        whole(usage.client_us),
        whole(usage.wal_bytes),
        usage
            .wal_flushes
            .map_or_else(String::new, |flushes| format!("{flushes:.3}")),
        usage
            .batch
            .map_or_else(String::new, |batch| format!("{batch:.1}")),
        peak(usage.keys_peak_mib),
        peak(usage.enrollment_peak_mib),
    ]
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(header);
    table
}

fn right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// With as many digits as say something.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::rounds::{Round, Sample};
    use super::*;

    fn report() -> Report {
        let sample = |value| Sample {
            value,
            usage: None,
            note: String::new(),
        };
        let results = Benchmark::ALL.map(|benchmark| {
            let good = benchmark.goal().must;
            let rounds = vec![Round::of(sample(100.0), sample(100.0 * good))];
            let measured = Measured::of(benchmark, benchmark.goal(), rounds, Vec::new());
            (benchmark, measured)
        });
        Report {
            machine: Machine::this("15.14"),
            scale: Scale::full(ROUNDS),
            quick: false,
            results: results.into(),
        }
    }

    #[test]
    fn every_benchmark_is_a_field_with_what_it_is_held_to() {
        let json = report().for_machines().expect("JSON");
        let json: Value = serde_json::from_str(&json).expect("JSON");
        for benchmark in Benchmark::ALL {
            let field = &json[benchmark.name()];
            for number in ["ratio", "min", "max", "must", "aim"] {
                assert!(field[number].is_number(), "{} {number}", benchmark.name());
            }
            let rounds = field["rounds"].as_array().expect("rounds");
            assert_eq!(rounds.len(), 1);
            assert!(rounds[0]["baseline"]["value"].is_number());
            assert!(rounds[0]["ours"]["value"].is_number());
            assert_eq!(field["passes"], true, "{}", benchmark.name());
        }
        assert_eq!(json["machine"]["postgres"], "15.14");
        assert_eq!(json["ok"], true);
        assert_eq!(json["form"], "full");
        assert_eq!(json["scale"]["rounds"], 5);
        assert_eq!(json["scale"]["by_hand_seconds"], 5.0);
    }

    #[test]
    fn figures_that_are_not_to_be_quoted_say_so() {
        let mut report = report();
        assert_eq!(report.caution(), None);
        report.scale.rounds = 4;
        for told in [report.for_people(), report.for_page()] {
            assert!(
                told.contains("Fewer than five rounds: no figures to quote."),
                "{told}"
            );
        }
        report.quick = true;
        assert!(report.for_people().contains("The quick form"));
        let json = report.for_machines().expect("JSON");
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["form"], "quick");
    }

    #[test]
    fn an_aim_is_that_of_the_form_that_was_run() {
        let benchmark = Benchmark::RedeemEnrollment64;
        let marked = |goal, ratio| {
            let sample = |value| Sample {
                value,
                usage: None,
                note: String::new(),
            };
            let rounds = vec![Round::of(sample(1.0), sample(ratio))];
            mark(&Measured::of(benchmark, goal, rounds, Vec::new()))
        };
        // Half of 4.5.
        assert_eq!(marked(benchmark.quick_goal(), 2.3), "aim reached");
        assert_eq!(marked(benchmark.goal(), 3.1), "met");
        assert_eq!(marked(benchmark.goal(), 2.3), "MISSED");
    }

    #[test]
    fn what_is_missed_or_wrong_is_said_plainly() {
        let mut report = report();
        assert!(report.for_people().ends_with("bench: ok\n"));
        let missed = &mut report.results[0].1;
        (missed.ratio, missed.passes) = (1.0, false);
        let wrong = &mut report.results[1].1;
        (wrong.wrong, wrong.passes) = (vec!["one seat too many".to_owned()], false);
        let text = report.for_people();
        for part in [
            "missed: redeem_enrollment_64: 1.00, and must be 3.00",
            "wrong: redeem_event_64: one seat too many",
            "bench: failed",
        ] {
            assert!(text.contains(part), "{part} in:\n{text}");
        }
        let page = report.for_page();
        assert!(
            page.contains("| `redeem_enrollment_64` | **1.00** |"),
            "{page}"
        );
        assert_eq!(page.matches("MISSED").count(), 2, "{page}");
    }
}
