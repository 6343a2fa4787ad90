//! What a command is busy with, for the person who waits: a spinner on a terminal, plain lines elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows the current step on standard error. Clones show on the same line.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
    plain: bool,
}

impl Progress {
    /// Shows steps on standard error.
    pub fn on_stderr() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let plain = bar.is_hidden();
        bar.set_style(
            ProgressStyle::with_template("{spinner} {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        Self { bar, plain }
    }

    /// Shows nothing.
    pub fn hidden() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            plain: false,
        }
    }

    /// The current step, in a few words: "Starting Postgres".
    pub fn step(&self, text: impl Into<String>) {
        let text = text.into();
        if self.plain {
            eprintln!("{text} …");
        } else {
            self.bar.set_message(text);
            self.bar.enable_steady_tick(Duration::from_millis(100));
        }
    }

    /// A line that stays: something was done that the person should know of.
    pub fn note(&self, text: impl AsRef<str>) {
        if self.plain {
            eprintln!("{}", text.as_ref());
        } else {
            self.bar.println(text);
        }
    }

    /// Takes the spinner away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Whether a person sees it move.
    pub fn is_visible(&self) -> bool {
        !self.bar.is_hidden()
    }
}
