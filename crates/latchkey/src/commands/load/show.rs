//! What `latchkey load` shows while it works: a bar on a terminal, plain lines elsewhere.

use std::cell::Cell;
use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use latchkey::load::engine::{Beat, Plan, Until};
use latchkey::load::prepare::Progress;

/// How often a line is written where no terminal shows a bar, in seconds.
const LINE_EVERY: u64 = 5;

/// Shows how far it is, on standard error.
pub(super) struct Show {
    bar: ProgressBar,
    /// Nobody sees a bar move.
    plain: bool,
    what: Cell<&'static str>,
    /// Seconds that a run lasts, or calls that it makes.
    all: u64,
    by_count: bool,
}

impl Show {
    /// Nothing yet.
    pub(super) fn on_stderr() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        let plain = bar.is_hidden();
        Self {
            bar,
            plain,
            what: Cell::new(""),
            all: 0,
            by_count: false,
        }
    }

    /// Preparation is so far.
    pub(super) fn preparing(&self, progress: Progress) {
        let Progress { what, done, all } = progress;
        let is_new = self.what.replace(what) != what;
        if self.plain {
            if is_new {
                eprintln!("Making {all} {what} …");
            }
            return;
        }
        if is_new {
            self.style("Making {msg:<22} {wide_bar} {pos}/{len} {eta:>4}");
            self.bar.set_message(what);
            self.bar.set_length(all as u64);
        }
        self.bar.set_position(done as u64);
    }

    /// Calls begin.
    pub(super) fn begin(&mut self, plan: &Plan) {
        (self.all, self.by_count) = match plan.until {
            Until::After(end) => (end.as_secs().max(1), false),
            Until::Count(count) => (count, true),
        };
        self.bar.reset();
        self.bar.set_length(self.all);
        self.style("{wide_msg} {bar:20} {elapsed}");
        if self.plain {
            eprintln!("Calling …");
        }
    }

    /// A second has passed.
    pub(super) fn beat(&self, beat: &Beat) {
        let line = line(beat);
        if self.plain {
            if beat.passed.is_multiple_of(LINE_EVERY) {
                eprintln!("{:>4} s  {line}", beat.passed);
            }
            return;
        }
        let position = if self.by_count {
            beat.outcomes.total()
        } else {
            beat.passed
        };
        self.bar.set_position(position.min(self.all));
        self.bar.set_message(line);
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn style(&self, template: &str) {
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
    }
}

/// `3210/s  p50 4.1 ms  p99 12.0 ms  CLASS_FULL 12`
fn line(beat: &Beat) -> String {
    let mut line = format!(
        "{:.0}/s  p50 {}  p99 {}",
        beat.per_second,
        millis(beat.p50),
        millis(beat.p99)
    );
    for (outcome, count) in beat.outcomes.refusals() {
        let _ = write!(line, "  {outcome} {count}");
    }
    line
}

fn millis(latency: Duration) -> String {
    if latency.is_zero() {
        return "–".to_owned();
    }
    format!("{:.1} ms", latency.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use latchkey::load::outcome::{Outcome, Outcomes};

    use super::*;

    #[test]
    fn a_line_tells_rate_latencies_and_refusals() {
        let mut outcomes = Outcomes::default();
        outcomes.add(Outcome::Enrolled);
        outcomes.add(Outcome::Unheard);
        outcomes.add(Outcome::Unheard);
        let beat = Beat {
            passed: 1,
            per_second: 3.0,
            p50: Duration::from_micros(4_100),
            p99: Duration::from_millis(12),
            outcomes,
        };
        assert_eq!(
            line(&beat),
            "3/s  p50 4.1 ms  p99 12.0 ms  no answer in time 2"
        );
        let silent = Beat {
            per_second: 0.0,
            p50: Duration::ZERO,
            p99: Duration::ZERO,
            outcomes: Outcomes::default(),
            ..beat
        };
        assert_eq!(line(&silent), "0/s  p50 –  p99 –");
    }
}
