//! Plots as SVG: lines and stacked areas over a time or a percentile. Their colours come from the page, so that they follow
//! its light and dark; what they show stands beside them as a table too.

use std::fmt::Write;

/// The size of a plot, in its own units, and the room around it for labels.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 46.0;

/// How many different colours the page has.
pub(super) const COLOURS: usize = 8;

/// How many ticks an axis has, about.
const TICKS: f64 = 5.0;

/// How values are laid along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Evenly, from 0.
    Linear,
    /// By their logarithm.
    Log,
    /// Percentiles, by how few are beyond: 90 %, 99 % and 99.9 % are equally far apart. Values are quantiles below 1.
    Nines,
}

/// One axis.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    /// What it shows, with the unit.
    pub(super) label: String,
    /// How.
    pub(super) scale: Scale,
}

/// One line or area.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// What it is of.
    pub(super) name: String,
    /// Its points, from left to right.
    pub(super) points: Vec<(f64, f64)>,
}

/// A plot.
#[derive(Debug, Clone)]
pub(super) struct Plot {
    /// Names it on the page: letters and hyphens.
    pub(super) id: &'static str,
    /// Its title.
    pub(super) title: String,
    /// What can be seen in it, for those who do not see it.
    pub(super) description: String,
    /// The axis along.
    pub(super) x: Axis,
    /// The axis up.
    pub(super) y: Axis,
    /// What it shows.
    pub(super) series: Vec<Series>,
    /// Areas on top of one another, instead of lines. All have the same x.
    pub(super) stacked: bool,
}

/// From values to places.
struct Span {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Span {
    /// Around `values`.
    fn around(scale: Scale, values: impl Iterator<Item = f64> + Clone) -> Self {
        let usable = values.filter(|value| scale != Scale::Log || *value > 0.0);
        let low = usable.clone().fold(f64::INFINITY, f64::min);
        let high = usable.fold(f64::NEG_INFINITY, f64::max);
        if !low.is_finite() {
            return Self {
                scale,
                low: if scale == Scale::Log { 0.1 } else { 0.0 },
                high: 1.0,
            };
        }
        let (low, high) = match scale {
            Scale::Linear => (0.0, if high > 0.0 { high } else { 1.0 }),
            Scale::Log => (low / 1.3, high * 1.3),
            Scale::Nines => (low, high),
        };
        Self { scale, low, high }
    }

    fn along(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(self.low).log10(),
            Scale::Nines => -(1.0 - value.min(0.999_999)).log10(),
        }
    }

    /// 0 at the low end, 1 at the high one.
    fn place(&self, value: f64) -> f64 {
        let (low, high) = (self.along(self.low), self.along(self.high));
        if high > low {
            (self.along(value) - low) / (high - low)
        } else {
            0.5
        }
    }

    /// Values with a label, within the span.
    fn ticks(&self) -> Vec<(f64, String)> {
        let within = |value: &f64| *value >= self.low && *value <= self.high * 1.000_001;
        match self.scale {
            Scale::Linear => {
                let step = step(self.high / TICKS);
                let count = (self.high / step).floor();
                let steps = std::iter::successors(Some(0.0), |n| Some(n + 1.0));
                let values = steps.take_while(|n| *n <= count).map(|n| n * step);
                values.map(|value| (value, number(value))).collect()
            }
            Scale::Log => {
                let decades = (self.high / self.low).log10();
                let within_decade: &[f64] = if decades > 3.0 {
                    &[1.0]
                } else {
                    &[1.0, 2.0, 5.0]
                };
                let first = self.low.log10().floor();
                let decades = std::iter::successors(Some(first), |n| Some(n + 1.0))
                    .take_while(|n| *n <= self.high.log10());
                decades
                    .flat_map(|decade| within_decade.iter().map(move |n| n * 10_f64.powf(decade)))
                    .filter(within)
                    .map(|value| (value, number(value)))
                    .collect()
            }
            Scale::Nines => [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999]
                .into_iter()
                .filter(within)
                .map(|value| (value, format!("{} %", number(value * 100.0))))
                .collect(),
        }
    }
}

/// The next of 1, 2, 5, 10 … that is not below `least`.
fn step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.log10().floor());
    let fits = [1.0, 2.0, 5.0, 10.0].map(|n| n * decade);
    fits.into_iter()
        .find(|step| *step >= least * 0.999)
        .unwrap_or(10.0 * decade)
}

/// A number with as many digits as it needs, at most five behind the point.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.5}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    // Thousands apart, by a space that does not break.
    let mut apart = String::new();
    let digits = whole.trim_start_matches('-').len();
    for (at, digit) in whole.trim_start_matches('-').chars().enumerate() {
        if at > 0 && digits > 4 && (digits - at).is_multiple_of(3) {
            apart.push('\u{202f}');
        }
        apart.push(digit);
    }
    let sign = if whole.starts_with('-') { "-" } else { "" };
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{apart}{point}{rest}")
}

/// `text` as it can stand in a page.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

impl Plot {
    /// Whether there is anything to be seen.
    pub(super) fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.points.is_empty())
    }

    /// The plot.
    pub(super) fn svg(&self) -> String {
        let series = self.layers();
        let all = || series.iter().flat_map(|layer| layer.top.iter().copied());
        let x = Span::around(self.x.scale, all().map(|point| point.0));
        let y = Span::around(self.y.scale, all().map(|point| point.1));
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
             <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n",
            escaped(&self.title),
            escaped(&self.description),
            id = self.id,
        );
        let right = |value: f64| LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
        let up = |value: f64| HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM);
        self.axes(&mut svg, &x, &y);
        for (number, layer) in series.iter().enumerate() {
            let path = |points: &mut dyn Iterator<Item = &(f64, f64)>| {
                let places = points.map(|(x, y)| format!("{:.1},{:.1}", right(*x), up(*y)));
                places.collect::<Vec<String>>().join(" ")
            };
            let colour = number % COLOURS;
            let top = path(&mut layer.top.iter());
            let shape = if self.stacked {
                let bottom = path(&mut layer.bottom.iter().rev());
                format!("<polygon class=\"a c{colour}\" points=\"{top} {bottom}\"/>")
            } else {
                format!("<polyline class=\"l c{colour}\" points=\"{top}\"/>")
            };
            let _ = writeln!(svg, "{shape}");
        }
        svg + "</svg>\n"
    }

    fn axes(&self, svg: &mut String, x: &Span, y: &Span) {
        let bottom = HEIGHT - BOTTOM;
        for (value, label) in y.ticks() {
            let at = bottom - y.place(value) * (bottom - TOP);
            let _ = writeln!(
                svg,
                "<line class=\"g\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"t\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0,
            );
        }
        for (value, label) in x.ticks() {
            let at = LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
            let _ = writeln!(
                svg,
                "<line class=\"k\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{bottom}\" y2=\"{}\"/>\
                 <text class=\"t\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                bottom + 5.0,
                bottom + 19.0,
            );
        }
        let _ = writeln!(
            svg,
            "<line class=\"k\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{bottom}\" y2=\"{bottom}\"/>\
             <text class=\"n\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <text class=\"n\" transform=\"rotate(-90)\" x=\"{}\" y=\"14\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            WIDTH - RIGHT,
            HEIGHT - 6.0,
            escaped(&self.x.label),
            -TOP,
            escaped(&self.y.label),
        );
    }

    /// What is drawn: lines as they are, areas on top of one another.
    fn layers(&self) -> Vec<Layer> {
        let mut below: Vec<(f64, f64)> = Vec::new();
        let layers = self.series.iter().map(|series| {
            if !self.stacked {
                return Layer {
                    top: series.points.clone(),
                    bottom: Vec::new(),
                };
            }
            let sum = |(at, point): (usize, &(f64, f64))| {
                let under = below.get(at).map_or(0.0, |point| point.1);
                (point.0, point.1 + under)
            };
            let top: Vec<(f64, f64)> = series.points.iter().enumerate().map(sum).collect();
            let flat = top.iter().map(|point| (point.0, 0.0)).collect();
            let bottom = std::mem::replace(&mut below, top.clone());
            Layer {
                top,
                bottom: if bottom.is_empty() { flat } else { bottom },
            }
        });
        layers.collect()
    }
}

/// An area between two lines, or its upper line alone.
struct Layer {
    top: Vec<(f64, f64)>,
    bottom: Vec<(f64, f64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: Scale) -> Axis {
        Axis {
            label: "calls & answers".to_owned(),
            scale,
        }
    }

    fn plot(stacked: bool) -> Plot {
        let series = |name: &str, value| Series {
            name: name.to_owned(),
            points: vec![(0.0, value), (1.0, 2.0 * value)],
        };
        Plot {
            id: "x",
            title: "A <plot>".to_owned(),
            description: "Two lines.".to_owned(),
            x: axis(Scale::Linear),
            y: axis(Scale::Linear),
            series: vec![series("a", 10.0), series("b", 20.0)],
            stacked,
        }
    }

    #[test]
    fn ticks_are_round_and_within() {
        let labels = |scale, low: f64, high: f64| -> Vec<String> {
            let span = Span::around(scale, [low, high].into_iter());
            span.ticks().into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(
            labels(Scale::Linear, 3.0, 48.0),
            ["0", "10", "20", "30", "40"]
        );
        assert_eq!(
            labels(Scale::Log, 0.5, 40.0),
            ["0.5", "1", "2", "5", "10", "20", "50"]
        );
        assert_eq!(labels(Scale::Log, 0.01, 900.0).len(), 6);
        assert_eq!(
            labels(Scale::Nines, 0.0, 0.999),
            ["0 %", "50 %", "90 %", "99 %", "99.9 %"]
        );
        assert_eq!(
            labels(Scale::Linear, 0.0, 0.0),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
    }

    #[test]
    fn numbers_are_written_for_people() {
        for (value, text) in [
            (0.0, "0"),
            (2.5, "2.5"),
            (1234.0, "1234"),
            (12_345.0, "12\u{202f}345"),
            (-0.125, "-0.125"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_plot_says_what_it_is_and_draws_each_series() {
        let lines = plot(false).svg();
        assert_eq!(lines.matches("<polyline").count(), 2);
        assert!(lines.contains("A &lt;plot&gt;"), "{lines}");
        assert!(lines.contains("aria-labelledby=\"x-title x-desc\""));
        assert!(lines.contains("calls &amp; answers"));
        let areas = plot(true).svg();
        assert_eq!(areas.matches("<polygon").count(), 2);
        assert!(!areas.contains("NaN") && !lines.contains("NaN"));
        // The upper area reaches up to the sum of both.
        let layers = plot(true).layers();
        assert_eq!(layers[1].top, [(0.0, 30.0), (1.0, 60.0)]);
        assert_eq!(layers[1].bottom, layers[0].top);
    }

    #[test]
    fn a_plot_of_one_point_or_none_is_drawn_too() {
        for points in [vec![], vec![(0.0, 1.0)]] {
            let mut plot = plot(false);
            plot.series.truncate(1);
            plot.series[0].points = points;
            let svg = plot.svg();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
